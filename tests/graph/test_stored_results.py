"""Results that a repetition of their call is answered with, and those that it cannot be answered with."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from pydantic import BaseModel

from clawproof_langgraph import Coordinator, Guard, ToolPolicy, codec
from clawproof_langgraph.codec import NotStorable
from clawproof_langgraph.errors import ConfigurationError

from .stage import as_tool, use

KEY = ToolPolicy(key="order/{number}")


class Receipt(BaseModel):
    number: int


@pytest.fixture(autouse=True)
def _own_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "_encoders", dict(codec._encoders))
    monkeypatch.setattr(codec, "_decoders", dict(codec._decoders))


def place(number: int) -> Receipt:
    """Place an order."""
    return Receipt(number=number)


def placing(coordinator: Coordinator, face: str) -> Any:
    return Guard(coordinator, tools={"place": KEY}).wrap_tool(as_tool(place, face))


def plain(tool: Any, face: str) -> Any:
    """Call a tool with plain arguments, so that what it returns is seen as it is."""
    return tool.invoke({"number": 7}) if face == "sync" else asyncio.run(tool.ainvoke({"number": 7}))


def test_a_model_that_the_coordinator_was_told_of_is_given_back(tmp_path: Path, face: str) -> None:
    url = f"sqlite:///{tmp_path / 'locks.db'}"
    with Coordinator.from_url(url, results=[Receipt]) as coordinator:
        assert plain(placing(coordinator, face), face) == Receipt(number=7)
    with Coordinator.from_url(url, results=[Receipt]) as coordinator:
        assert plain(placing(coordinator, face), face) == Receipt(number=7)
        assert [event.type for event in coordinator.events(types=["call.replayed"])] == ["call.replayed"]


def test_the_text_of_a_message_is_given_back(coordinator: Coordinator, face: str) -> None:
    """What a tool with an agent inside gives, as a rule."""

    def answer(number: int) -> str:
        """Answer with what an agent has said last."""
        return AIMessage(f"done {number}").text

    tool = Guard(coordinator, tools={"answer": KEY}).wrap_tool(as_tool(answer, face))

    assert [plain(tool, face) for _ in range(2)] == ["done 7", "done 7"]
    assert len(coordinator.events(types=["call.replayed"])) == 1


def test_one_that_it_was_not_told_of_is_not_stored_and_the_call_is_still_not_repeated(
    tmp_path: Path, face: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Coordinator.from_url(f"sqlite:///{tmp_path / 'locks.db'}") as coordinator:
        tool = placing(coordinator, face)
        assert plain(tool, face) == Receipt(number=7)
        assert "succeeded; what it returned cannot be shown" in use(tool, face, number=7).content
    assert "results=[Receipt]" in caplog.text


@pytest.mark.parametrize("stored", [b"2{}", b"1{", b"", b'1{"$":"os.system","v":"x"}'])
def test_a_stored_result_that_is_damaged_or_newer_is_an_error_that_names_the_call_and_changes_nothing(
    tmp_path: Path, face: str, stored: bytes
) -> None:
    path = tmp_path / "locks.db"
    with Coordinator.from_url(f"sqlite:///{path}", results=[Receipt]) as coordinator:
        plain(placing(coordinator, face), face)
    records = "SELECT key, state, result, attempt, updated_at FROM records"
    with sqlite3.connect(path) as file:
        file.execute("UPDATE records SET result = ?", (stored,))
        before = file.execute(records).fetchall()
    file.close()

    with (
        Coordinator.from_url(f"sqlite:///{path}", results=[Receipt]) as coordinator,
        pytest.raises(
            NotStorable, match=r'"place" was already run for this call.*order/7.*stored result (is damaged|holds)'
        ),
    ):
        plain(placing(coordinator, face), face)

    with sqlite3.connect(path) as file:
        assert file.execute(records).fetchall() == before
    file.close()


def test_a_coordinator_refuses_what_cannot_be_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="neither a dataclass"):
        Coordinator.from_url(f"sqlite:///{tmp_path / 'locks.db'}", results=[dict])
