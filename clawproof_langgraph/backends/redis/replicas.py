"""Grants and outcomes that are believed once so many replicas have them, so that a failover does not lose them.

Redis acknowledges a write before any replica has it. `WAIT` tells how many replicas have what its own connection wrote,
so it travels with its command, on one connection and in one round trip.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from redis.exceptions import AskError, NoScriptError, TryAgainError

from clawproof_langgraph.backends.redis import encoding
from clawproof_langgraph.backends.redis.backend import RedisBackend, carried_through, left
from clawproof_langgraph.backends.redis.connections import FAULTS, LEAST, Connections
from clawproof_langgraph.backends.redis.encoding import Argument
from clawproof_langgraph.backends.redis.faults import TooFewReplicas
from clawproof_langgraph.backends.redis.keys import Keys
from clawproof_langgraph.backends.redis.scripts import Script, script
from clawproof_langgraph.backends.redis.servers import Client
from clawproof_langgraph.errors import BackendUnavailable
from clawproof_langgraph.model import Begin, BeginReply, Settle, SettleReply

WITHIN: Final = 1.0
"""Seconds that the server waits for its replicas at a time."""
_MARK_LIVES: Final = 60

Command = tuple[Argument, ...]


class ReplicatedRedisBackend(RedisBackend):
    """Coordinates over a server with replicas, so many of which must have a grant or an outcome before it counts.

    A grant that too few of them have is asked for again as long as it surely lives, and is then refused; whoever asked
    withdraws it, as after any request that failed. An outcome is recorded again in the same way.

    Args:
        url, namespace, options: as for `RedisBackend`.
        replicas: how many; at least one.
    """

    def __init__(self, url: str, namespace: str = "default", *, replicas: int, **options: Any) -> None:
        super().__init__(url, namespace, **options)
        self._waiting = _WaitingConnections(self._connections, self._keys, replicas)

    def begin(self, ask: Begin) -> BeginReply:
        within = self._within(ask.ttl)
        reply = self._connections.patiently(
            lambda arguments: self._waiting.run(script("begin"), arguments, within, _is_granted),
            [*self._times(), *encoding.of_fast_begin(ask)],
            lambda: self._again(ask),
            within=min(max(left(ask), LEAST), ask.ttl / 2),
        )
        return self._begun(ask, reply)

    async def abegin(self, ask: Begin) -> BeginReply:
        within = self._within(ask.ttl)
        reply = self._connections.apatiently(
            lambda arguments: self._waiting.arun(script("begin"), arguments, within, _is_granted),
            [*self._times(), *encoding.of_fast_begin(ask)],
            lambda: self._again(ask),
            within=min(max(left(ask), LEAST), ask.ttl / 2),
        )
        return self._begun(ask, await carried_through(reply))

    def settle(self, end: Settle) -> SettleReply:
        within = self._within()
        try:
            reply = self._connections.patiently(
                lambda arguments: self._waiting.run(script("settle"), arguments, within, _always),
                [*self._times(), *self._ended(end)],
                lambda: self._ended_again(end),
                within=end.patience,
            )
        except BackendUnavailable:
            self._note_unsure(end)
            raise
        return SettleReply(reply.decode())

    async def asettle(self, end: Settle) -> SettleReply:
        within = self._within()
        reply = self._connections.apatiently(
            lambda arguments: self._waiting.arun(script("settle"), arguments, within, _always),
            [*self._times(), *self._ended(end)],
            lambda: self._ended_again(end),
            within=end.patience,
        )
        try:
            return SettleReply((await carried_through(reply)).decode())
        except BackendUnavailable:
            self._note_unsure(end)
            raise

    def _within(self, ttl: float = inf) -> float:
        # A lease that ended while its replicas were waited for would leave the doubt of a call that never ran, and a
        # connection that is given up before the server answers would not tell how many replicas there were.
        return min(WITHIN, ttl / 4, self._connections.server.timeout / 2)


def _is_granted(reply: Any) -> bool:
    return bool(reply[0] == b"granted")


def _always(reply: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class _WaitingConnections:
    """Runs scripts together with `WAIT`.

    Args:
        connections: of the backend.
        keys: of its namespace.
        replicas: how many must acknowledge.
    """

    connections: Connections
    keys: Keys
    replicas: int

    def run(self, script: Script, arguments: Sequence[Argument], within: float, counts: Callable[[Any], bool]) -> Any:
        """Run a script, and wait for replicas.

        Args:
            script, arguments: what is to be run.
            within: seconds that the server waits.
            counts: tells of the script's reply whether the replicas matter.

        Raises:
            TooFewReplicas: the script was run, and too few have what it wrote.
        """
        replies = self._send(self._commands("EVALSHA", script.sha, arguments, within))
        if isinstance(replies[0], NoScriptError):
            replies = self._send(self._commands("EVAL", script.text, arguments, within))
        return self._read(replies, within, counts)

    async def arun(
        self, script: Script, arguments: Sequence[Argument], within: float, counts: Callable[[Any], bool]
    ) -> Any:
        """Do what `run` does, on an event loop."""
        replies = await self._asend(self._commands("EVALSHA", script.sha, arguments, within))
        if isinstance(replies[0], NoScriptError):
            replies = await self._asend(self._commands("EVAL", script.text, arguments, within))
        return self._read(replies, within, counts)

    def _commands(self, how: str, what: str, arguments: Sequence[Argument], within: float) -> list[Command]:
        keys = self.keys.scripts
        return [
            (how, what, len(keys), *keys, *arguments),
            # A repeated command may have nothing to write, and WAIT waits for what its own connection has written last.
            ("SET", self.keys.mark, b"", "EX", _MARK_LIVES),
            ("WAIT", self.replicas, max(int(within * 1000), 1)),  # 0 would be for ever
        ]

    def _read(self, replies: Sequence[Any], within: float, counts: Callable[[Any], bool]) -> Any:
        reply, _, acknowledged = replies
        if isinstance(reply, Exception):
            raise reply
        if counts(reply):
            if isinstance(acknowledged, Exception):
                raise acknowledged
            if acknowledged < self.replicas:
                raise TooFewReplicas(acknowledged, self.replicas, within)
        return reply

    # --- on the connection to the primary of the namespace -------------------------------------------------------

    def _send(self, commands: Sequence[Command]) -> list[Any]:
        client = self.connections.whole_client()
        if not self.connections.server.is_cluster:
            return _sent(client, commands)
        try:
            return _not_moved(_sent(client.get_redis_connection(client.get_node_from_key(self.keys.mark)), commands))
        except FAULTS:
            with contextlib.suppress(*FAULTS):  # any command that the Cluster leads by its key finds the new primary
                client.execute_command("EXISTS", self.keys.mark)
            raise

    async def _asend(self, commands: Sequence[Command]) -> list[Any]:
        server = self.connections.server
        client = await self.connections.of_loop("whole", server.aclient)
        if not server.is_cluster:
            return await _asent(client, commands)
        await client.initialize()
        try:
            node = client.get_node_from_key(self.keys.mark)
            address = node.host, int(node.port)
            return _not_moved(
                await _asent(await self.connections.of_loop(address, lambda: server.anode(*address)), commands)
            )
        except FAULTS:
            with contextlib.suppress(*FAULTS):
                await client.execute_command("EXISTS", self.keys.mark)
            raise


def _sent(client: Client, commands: Sequence[Command]) -> list[Any]:
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    replies: list[Any] = pipeline.execute(raise_on_error=False)
    return replies


async def _asent(client: Client, commands: Sequence[Command]) -> list[Any]:
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    replies: list[Any] = await pipeline.execute(raise_on_error=False)
    return replies


def _not_moved(replies: list[Any]) -> list[Any]:
    if isinstance(replies[0], AskError):  # MovedError is one
        raise TryAgainError(str(replies[0])) from replies[0]
    return replies
