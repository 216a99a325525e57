"""A store that fails when a test says so."""

from collections.abc import Callable
from typing import Any

from clawproof_langgraph.backends.base import Backend
from clawproof_langgraph.backends.urls import open_backend
from clawproof_langgraph.errors import BackendUnavailable
from clawproof_langgraph.model import Begin, BeginReply, Renew, Renewed, Settle, SettleReply

Trouble = Callable[[], None]


def down() -> None:
    """Be unavailable."""
    raise BackendUnavailable("the store", "a test has cut it off")


class FaultyStore:
    """Passes every command on to a real store, unless trouble is planned for it.

    Attributes:
        begins, settles: what was asked so far.
        replies: what the store said to each begin, also where it did not arrive.
        before_settle: the troubles of the next settles, one each; `always_down` makes all of them fail.
        lose_reply: whether the reply to the next begin is lost, so that the client of the store asks again.
        cut_off_begin: whether the reply to the next begin is lost, and the client of the store gives up.
        forget_leases: whether renewals do not arrive, and are told that every lease is gone.
    """

    def __init__(self, url: str) -> None:
        self._store: Backend = open_backend(url, None)
        self.name = self._store.name
        self.begins: list[Begin] = []
        self.settles: list[Settle] = []
        self.replies: list[BeginReply] = []
        self.before_settle: list[Trouble] = []
        self.always_down = False
        self.lose_reply = False
        self.cut_off_begin = False
        self.forget_leases = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def begin(self, ask: Begin) -> BeginReply:
        self.begins.append(ask)
        reply = self._store.begin(ask)
        if self.cut_off_begin:
            self.cut_off_begin = False
            down()
        if self.lose_reply:
            self.lose_reply = False
            self.replies.append(reply)
            reply = self._store.begin(ask._replace(repeated=True))
        self.replies.append(reply)
        return reply

    async def abegin(self, ask: Begin) -> BeginReply:
        return self.begin(ask)

    def settle(self, end: Settle) -> SettleReply:
        self.settles.append(end)
        if self.always_down:
            down()
        if self.before_settle:
            self.before_settle.pop(0)()
        return self._store.settle(end)

    async def asettle(self, end: Settle) -> SettleReply:
        return self.settle(end)

    def renew(self, beat: Renew) -> Renewed:
        if self.forget_leases:
            return Renewed(lost=frozenset(owner for owner, _ in beat.leases))
        return self._store.renew(beat)
