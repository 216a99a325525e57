"""What names the step in which a node runs, and what LangGraph reads of a node and of a graph."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from langchain_core.runnables import Runnable
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_config
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command
from typing_extensions import TypedDict

from clawproof_langgraph.graph.surroundings import loop_of

from .scripted import play, thread

MODES = ["sync", "async"]


class State(TypedDict, total=False):
    note: str
    rounds: int


class OnlyNote(TypedDict):
    note: str


class Steps:
    """A graph of two nodes that keeps what is said of the second one's step."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str, Any, dict[str, Any]]] = []
        builder = StateGraph(State).add_node("take", lambda state: {"note": "taken"}).add_node("ship", self._ship)
        builder.add_edge(START, "take").add_edge("take", "ship")
        self.graph = builder.compile(checkpointer=InMemorySaver())

    def _ship(self, state: State) -> State:
        configurable = get_config()["configurable"]
        loop = loop_of(configurable)
        parent = (loop.prev_checkpoint_config or {}).get("configurable", {}).get("checkpoint_id", "")
        about = (loop.checkpoint["id"], loop.checkpoint_metadata["source"], parent)
        path = loop.tasks[configurable["__pregel_task_id"]].path
        self.seen.append((*about, path, dict(loop.checkpoint["channel_versions"])))
        return {"rounds": len(self.seen)}

    def before(self) -> Any:
        return next(each for each in self.graph.get_state_history(thread()) if each.next == ("ship",)).config


@pytest.mark.parametrize("mode", MODES)
def test_a_replay_begins_with_a_copy_of_its_checkpoint_that_has_the_same_versions(mode: str) -> None:
    steps = Steps()
    play(steps.graph, {"note": ""}, thread(), mode=mode)
    for _ in range(2):
        play(steps.graph, None, steps.before(), mode=mode)

    (first, loop, _, path, versions), *copies = steps.seen
    assert loop == "loop" and path == ("__pregel_pull", "ship")
    assert [source for _, source, *_ in copies] == ["fork", "fork"]
    assert [parent for _, _, parent, *_ in copies] == [first, copies[0][0]], "the second is a copy of the copy"
    assert all(each[3:] == (path, versions) for each in copies)


@pytest.mark.parametrize("mode", MODES)
def test_a_copy_that_a_command_changed_has_other_versions(mode: str) -> None:
    steps = Steps()
    play(steps.graph, {"note": ""}, thread(), mode=mode)
    play(steps.graph, Command(update={"note": "again"}), steps.before(), mode=mode)
    play(steps.graph, None, steps.graph.update_state(steps.before(), {"note": "more"}), mode=mode)

    first, by_command, by_update = steps.seen
    assert (by_command[1], by_update[1]) == ("fork", "update")
    assert first[4] != by_command[4] != by_update[4]


@pytest.mark.parametrize("mode", MODES)
def test_every_way_to_run_a_graph_leads_through_its_streams(mode: str) -> None:
    through: list[str] = []

    class Watched(CompiledStateGraph):
        def stream(self, *args: Any, **kwargs: Any) -> Any:
            through.append("sync")
            return super().stream(*args, **kwargs)

        def astream(self, *args: Any, **kwargs: Any) -> Any:
            through.append("async")
            return super().astream(*args, **kwargs)

    inner = StateGraph(State).add_node("take", lambda state: {}).add_edge(START, "take").compile()
    inner.__class__ = Watched
    outer = StateGraph(State).add_node("inner", inner).add_edge(START, "inner").compile()

    play(inner, {"note": ""}, mode=mode)
    play(outer, {"note": ""}, mode=mode)
    assert through == [mode] * 2
    assert isinstance(inner.with_config({"tags": ["a"]}), Watched)


def test_hints_of_a_node_that_is_called_are_read_from_its_call() -> None:
    class Node(Runnable[Any, Any]):
        name = "ship"

        def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
            return {}

        def __call__(self, state: OnlyNote) -> Command[Literal["take"]]:
            return Command()

    node = StateGraph(State).add_node(Node()).nodes["ship"]

    assert node.ends == ("take",) and node.input_schema.__name__ == "OnlyNote"
