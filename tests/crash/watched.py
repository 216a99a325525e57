"""A store and savers that tell a fate which step they are at. The library itself knows nothing of this."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, ToolMessage
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from clawproof_langgraph.backends.sqlite import SqliteBackend
from clawproof_langgraph.model import Begin, BeginReply, Granted, Settle, SettleReply
from tests.crash.cells import Moment
from tests.crash.fates import Fate, Save


class WatchedStore(SqliteBackend):
    """The SQLite store, with a fate that hears of each begin and settle before it is sent and after it is done."""

    def __init__(self, path: Path, fate: Fate) -> None:
        super().__init__(path, synchronous="normal")
        self._fate = fate
        self._tools: dict[str, str] = {}

    def begin(self, ask: Begin) -> BeginReply:
        self._fate.reached(Moment.BEFORE_BEGIN, ask.tool)
        reply = super().begin(ask)
        if isinstance(reply, Granted):
            self._tools[ask.owner] = ask.tool
            self._fate.reached(Moment.AFTER_BEGIN, ask.tool)
        return reply

    async def abegin(self, ask: Begin) -> BeginReply:
        await self._fate.areached(Moment.BEFORE_BEGIN, ask.tool)
        reply = await super().abegin(ask)
        if isinstance(reply, Granted):
            self._tools[ask.owner] = ask.tool
            await self._fate.areached(Moment.AFTER_BEGIN, ask.tool)
        return reply

    def settle(self, end: Settle) -> SettleReply:
        tool = self._tools[end.owner]
        self._fate.reached(Moment.BEFORE_SETTLE, tool)
        reply = super().settle(end)
        self._fate.reached(Moment.AFTER_SETTLE, tool)
        return reply

    async def asettle(self, end: Settle) -> SettleReply:
        tool = self._tools[end.owner]
        await self._fate.areached(Moment.BEFORE_SETTLE, tool)
        reply = await super().asettle(end)
        await self._fate.areached(Moment.AFTER_SETTLE, tool)
        return reply


class WatchedSaver(SqliteSaver):
    """LangGraph's SQLite saver, with a fate that hears of each command before it is sent and after it is done."""

    fate = Fate()

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        save = _checkpoint(config, checkpoint)
        self.fate.saves(save)
        made = super().put(config, checkpoint, metadata, new_versions)
        self.fate.saved(save)
        return made

    def put_writes(self, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> None:
        save = _writes(config, writes)
        self.fate.saves(save)
        super().put_writes(config, writes, task_id, task_path)
        self.fate.saved(save)


class AsyncWatchedSaver(AsyncSqliteSaver):
    """The same for an event loop."""

    fate = Fate()

    async def aput(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        save = _checkpoint(config, checkpoint)
        await self.fate.asaves(save)
        made = await super().aput(config, checkpoint, metadata, new_versions)
        self.fate.saved(save)
        return made

    async def aput_writes(
        self, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        save = _writes(config, writes)
        await self.fate.asaves(save)
        await super().aput_writes(config, writes, task_id, task_path)
        self.fate.saved(save)


def _checkpoint(config: Any, checkpoint: Any) -> Save:
    return _save(config, checkpoint["channel_values"].get("messages"), whole=True)


def _writes(config: Any, writes: Sequence[tuple[str, Any]]) -> Save:
    found = [value for channel, value in writes if channel == "messages"]
    return _save(config, [message for value in found for message in _listed(value)], whole=False)


def _save(config: Any, messages: Any, *, whole: bool) -> Save:
    found = _listed(messages)
    asks = any(isinstance(message, AIMessage) and message.tool_calls for message in found)
    answers = any(isinstance(message, ToolMessage) for message in found)
    return Save(whole, bool(config["configurable"].get("checkpoint_ns")), asks, answers, has_messages=bool(found))


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
