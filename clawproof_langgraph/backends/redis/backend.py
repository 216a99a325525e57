"""The Redis backend: each command is one script, sent by this thread or by this event loop."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from clawproof_langgraph.backends.base import AsyncBell, Backend, Bell, Hear, Listening
from clawproof_langgraph.backends.clocks import Clock
from clawproof_langgraph.backends.forks import start_anew_in_children
from clawproof_langgraph.backends.redis import encoding
from clawproof_langgraph.backends.redis.ahead import Ahead
from clawproof_langgraph.backends.redis.bells import RedisBells
from clawproof_langgraph.backends.redis.checks import check
from clawproof_langgraph.backends.redis.connections import LONGEST_WAIT, PATIENCE, Again, Connections
from clawproof_langgraph.backends.redis.encoding import Argument
from clawproof_langgraph.backends.redis.keys import keys_of
from clawproof_langgraph.backends.redis.listening import StopsListener
from clawproof_langgraph.backends.redis.scripts import script
from clawproof_langgraph.backends.redis.servers import Server
from clawproof_langgraph.errors import BackendUnavailable, ConfigurationError
from clawproof_langgraph.events import EventFilter, Page
from clawproof_langgraph.model import (
    Begin,
    BeginReply,
    Fact,
    Granted,
    Renew,
    Renewed,
    Settle,
    SettleReply,
    Snapshot,
    Sweep,
    Swept,
    Withdraw,
)

_BESIDE: Final = 3.0
"""Seconds for a sweep, and for showing that waiters are alive: the renewals of leases wait for both."""
_REMEMBERED: Final = 10_000
"""The most requests that are remembered until they settle, so that their end need not be told what they were; and the
most outcomes of which it is remembered that they may have been recorded."""

# Listeners that a fork has copied. Parent and child share what their event loops wait on, so a child that tidied them
# up would deafen its parent.
_inherited: list[object] = []


class RedisBackend(Backend):
    """Coordinates the machines that share a Redis or Valkey server.

    Args:
        url: where the server is.
        namespace: nothing is shared between namespaces.
        eviction: `refuse` a server that drops keys when it is short of memory, or `allow` it.
        clock: what the store goes by; None for the server's own clock.

    Raises:
        ConfigurationError: the URL, or the server behind it, cannot be used.
        BackendUnavailable: the server cannot be reached.
    """

    def __init__(
        self, url: str, namespace: str = "default", *, eviction: str = "refuse", clock: Clock | None = None
    ) -> None:
        if eviction not in ("refuse", "allow"):
            raise ConfigurationError(f'eviction="{eviction}" is not known; use "refuse" or "allow".')
        self._keys, self._clock = keys_of(namespace), clock
        self._granted: dict[str, Begin] = {}
        self._unsure: dict[str, None] = {}
        self._connections = Connections(Server(url))
        self.name = self._connections.server.name
        self._ahead = Ahead(self._command_ahead, self._begun)
        self._bells = RedisBells(self._connections, self._keys.bells, self._ahead)
        self._listeners: list[StopsListener] = []
        self._connections.open(
            lambda client: check(client, self.name, eviction=eviction), self._keys.secret, secrets.token_bytes(32)
        )
        start_anew_in_children(self)

    def start_anew(self) -> None:
        """Open connections of its own in a forked child."""
        self._connections.start_anew()
        self._bells = RedisBells(self._connections, self._keys.bells, self._ahead)
        _inherited.append(self._listeners)
        self._listeners = []

    @property
    def secret(self) -> bytes:
        return self._connections.kept

    # --- commands -----------------------------------------------------------------------------------------------

    def begin(self, ask: Begin) -> BeginReply:
        began = time.monotonic()
        reply = self._run("begin", self._asked(ask), lambda: self._again(ask), within=left(ask))
        return self._ahead.noted(ask, began, reply, self._begun(ask, reply))

    def settle(self, end: Settle) -> SettleReply:
        try:
            reply = self._run("settle", self._ended(end), lambda: self._ended_again(end), within=end.patience)
        except BackendUnavailable:
            self._note_unsure(end)
            raise
        return SettleReply(reply.decode())

    def renew(self, beat: Renew) -> Renewed:
        shortest = min([ttl for _, ttl in beat.leases], default=_BESIDE)
        return encoding.renewed(self._run_beside("renew", encoding.of_renew(beat), within=shortest))

    def withdraw(self, leave: Withdraw) -> None:
        self._ahead.forget(leave.owner)
        self._run("withdraw", encoding.of_withdraw(leave), lambda: self._left_again(leave), within=0.0)

    def sweep(self, terms: Sweep) -> Swept:
        return encoding.swept(self._run_beside("sweep", encoding.of_sweep(terms), within=_BESIDE))

    def record(self, fact: Fact) -> int:
        name, arguments = encoding.of_fact(fact)
        reply = self._run(name, arguments, keys=self._keys_of())
        return encoding.recorded(fact, reply)

    def page(self, wanted: EventFilter) -> Page:
        asked = encoding.of_page(wanted)
        return encoding.page_of(wanted, asked, self._run("page", asked))

    def follow(self, after: int, timeout: float) -> bool:
        return self._connections.follow(*self._following(after, timeout))

    def snapshot(self) -> Snapshot:
        return encoding.snapshot_of(self._run("snapshot", []))

    async def abegin(self, ask: Begin) -> BeginReply:
        began = time.monotonic()
        reply = await self._arun("begin", self._asked(ask), lambda: self._again(ask), within=left(ask))
        return self._ahead.noted(ask, began, reply, self._begun(ask, reply))

    async def asettle(self, end: Settle) -> SettleReply:
        try:
            reply = await self._arun("settle", self._ended(end), lambda: self._ended_again(end), within=end.patience)
        except BackendUnavailable:
            self._note_unsure(end)
            raise
        return SettleReply(reply.decode())

    async def awithdraw(self, leave: Withdraw) -> None:
        self._ahead.forget(leave.owner)
        await self._arun("withdraw", encoding.of_withdraw(leave), lambda: self._left_again(leave), within=0.0)

    async def arecord(self, fact: Fact) -> int:
        name, arguments = encoding.of_fact(fact)
        reply = await self._arun(name, arguments, keys=self._keys_of())
        return encoding.recorded(fact, reply)

    async def apage(self, wanted: EventFilter) -> Page:
        asked = encoding.of_page(wanted)
        return encoding.page_of(wanted, asked, await self._arun("page", asked))

    async def afollow(self, after: int, timeout: float) -> bool:
        return await self._connections.afollow(*self._following(after, timeout))

    async def asnapshot(self) -> Snapshot:
        return encoding.snapshot_of(await self._arun("snapshot", []))

    def _run(
        self,
        name: str,
        arguments: Sequence[Argument],
        again: Again | None = None,
        *,
        within: float = PATIENCE,
        keys: Sequence[str] = (),
    ) -> Any:
        times = self._times()
        return self._connections.run(
            script(name), keys or self._keys.scripts, [*times, *arguments], again, within=within
        )

    def _run_beside(self, name: str, arguments: Sequence[Argument], *, within: float) -> Any:
        """Run what the heartbeat asks for, on a connection of its own."""
        times = self._times()
        return self._connections.run_beside(script(name), self._keys.scripts, [*times, *arguments], within=within)

    async def _arun(
        self,
        name: str,
        arguments: Sequence[Argument],
        again: Again | None = None,
        *,
        within: float = PATIENCE,
        keys: Sequence[str] = (),
    ) -> Any:
        times = self._times()
        sent = self._connections.arun(
            script(name), keys or self._keys.scripts, [*times, *arguments], again, within=within
        )
        return await carried_through(sent)

    def _keys_of(self) -> Sequence[str]:
        """Name the keys for recording a fact, with one that is its own: whoever repeats it gets the same answer."""
        return (*self._keys.facts, self._keys.said + secrets.token_hex(12))

    def _begun(self, ask: Begin, reply: Any) -> BeginReply:
        answer = encoding.begun(ask, reply)
        if isinstance(answer, Granted) and answer.key == ask.key and not answer.attempt:
            self._granted[ask.owner] = ask
            if len(self._granted) > _REMEMBERED:
                del self._granted[next(iter(self._granted))]
        return answer

    def _asked(self, ask: Begin) -> list[Argument]:
        if self._ahead.is_unheard(ask.owner):
            return encoding.of_begin(ask, unheard=True)
        return encoding.of_fast_begin(ask)

    def _command_ahead(self, ask: Begin) -> Sequence[Argument]:
        begin, keys = script("begin"), self._keys.scripts
        return ["EVALSHA", begin.sha, len(keys), *keys, *self._times(), *encoding.of_fast_begin(ask, ahead=True)]

    def _ended(self, end: Settle) -> list[Argument]:
        if end.owner in self._unsure:
            del self._unsure[end.owner]
            return encoding.of_settle(end, unheard=True)
        return encoding.of_settle(end, self._granted.pop(end.owner, None))

    def _note_unsure(self, end: Settle) -> None:
        """Note that an outcome may have been recorded, though its caller was told that it may not."""
        self._unsure[end.owner] = None
        if len(self._unsure) > _REMEMBERED:
            del self._unsure[next(iter(self._unsure))]

    def _ended_again(self, end: Settle) -> list[Argument]:
        """Repeat an outcome of which the reply was lost: it may have been recorded."""
        return [*self._times(), *encoding.of_settle(end, unheard=True)]

    def _following(self, after: int, timeout: float) -> list[Argument]:
        """Write a command that waits until the log goes on; a time of zero would be without end."""
        milliseconds = max(int(min(timeout, LONGEST_WAIT) * 1000), 1)
        return ["XREAD", "BLOCK", milliseconds, "COUNT", 1, "STREAMS", self._keys.log, after]

    def _again(self, ask: Begin) -> list[Argument]:
        """Repeat a request of which the reply was lost: it may have been granted, or be in the queue."""
        return [*self._times(), *encoding.of_begin(ask, unheard=True)]

    def _left_again(self, leave: Withdraw) -> list[Argument]:
        """Repeat a withdrawal of which the reply was lost: without the request, what is gone is not told again."""
        return [*self._times(), *encoding.of_withdraw(replace(leave, call=None))]

    def _times(self) -> tuple[Argument, ...]:
        times = ("", "") if self._clock is None else (self._clock.time(), self._clock.ticks())
        return (*times, self._keys.bells)

    # --- bells --------------------------------------------------------------------------------------------------

    def take_bell(self) -> Bell:
        return self._bells.of_threads

    def give_bell(self, bell: Bell) -> None:
        pass

    def loop_bell(self) -> AsyncBell:
        return self._bells.of_loop()

    def ring(self, address: str, owner: str) -> None:
        self._bells.ring(address, owner)

    def listen(self, session: str, hear: Hear) -> Listening:
        listener = StopsListener(self._connections.server, self._keys.stops, hear)
        self._listeners.append(listener)
        return listener

    def close(self) -> None:
        while self._listeners:
            self._listeners.pop().close()
        self._bells.close()
        self._connections.close()


def left(ask: Begin) -> float:
    """Tell how many seconds the caller has left."""
    return ask.patience - ask.waited


async def carried_through(sent: Any) -> Any:
    """Wait for a command that is over when its caller goes on, even one that is cancelled.

    A withdrawal that overtook its begin would leave a grant behind.
    """
    task = asyncio.ensure_future(sent)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:  # cancelled again: the command still takes but a moment
                continue
        task.exception()  # it was cancelled: how it ended is not asked any more
        raise
