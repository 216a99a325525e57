"""A write that rests on a read is refused when the resource has changed while the model was thinking."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, ToolMessage
from langchain_core.tools import InjectedToolCallId, StructuredTool, tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.message import REMOVE_ALL_MESSAGES
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, Send, interrupt

from clawproof_langgraph import ConfigurationError, Coordinator, Guard, StaleRead, ToolPolicy
from clawproof_langgraph.middleware import CoordinationMiddleware
from tests.langgraph.scripted import play, results, says, thread
from tests.servers import Server
from tests.servers.fixtures import redis_server

from .shelf import Shelf, opened, put, read, thinks
from .stage import Build, hooked, human, ready_made

__all__ = ["redis_server"]

BUILDS = pytest.mark.parametrize("build", [hooked, ready_made], ids=["tool-node", "create-agent"])
_names = itertools.count()


@pytest.fixture(params=["memory", "sqlite", "redis"])
def shelf(request: pytest.FixtureRequest, redis_server: Server, tmp_path: Path) -> Iterator[Shelf]:
    """Give a shelf over each store."""
    with opened(request.param, tmp_path, redis_server.url, f"shelf-{next(_names)}") as coordinator:
        yield Shelf(coordinator)


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Shelf]:
    """Give a shelf over one store: for what has nothing to do with the store."""
    with opened("memory", tmp_path, "", "shelf") as coordinator:
        yield Shelf(coordinator)


def answers(state: dict[str, Any]) -> list[str]:
    """List what the tools have answered: the first words of a refusal, and all of any other answer."""
    return ["refused" if message.status == "error" else message.text for message in results(state)]


# --- the loop that it is for --------------------------------------------------------------------------------------


@BUILDS
def test_an_agent_whose_read_is_stale_reads_again_and_succeeds(shelf: Shelf, build: Build, mode: str) -> None:
    model = thinks(read("1"), put("2", 4), read("3"), put("4", 3), meanwhile={1: shelf.taken_by_a_rival})

    state = play(build(shelf.guard, model, shelf.tools()), human(), thread(), mode=mode)

    assert answers(state) == ["5", "refused", "4", "now 3"]
    assert shelf.units["1"] == 3
    assert shelf.refusals() == 1


@BUILDS
def test_the_refusal_tells_the_model_who_changed_what_when_and_what_to_do(shelf: Shelf, build: Build) -> None:
    model = thinks(read("1"), put("2", 4), meanwhile={1: shelf.taken_by_a_rival})

    state = play(build(shelf.guard, model, shelf.tools()), human(), thread())

    [told, refusal] = results(state)
    seen = told.response_metadata["clawproof"]["versions"]["shelf/1"]
    [event] = shelf.coordinator.events(types=["call.stale"])
    current = event.data["changes"][0]["current"]
    for words in ('"shelf/1"', f"version {seen}", f"version {current}", 'agent "rival"', " UTC", "Read it again"):
        assert words in refusal.text
    assert refusal.tool_call_id == "2"


@BUILDS
def test_what_was_never_read_is_not_written(shelf: Shelf, build: Build, mode: str) -> None:
    model = thinks(put("1", 4), read("2"), put("3", 4))

    state = play(build(shelf.guard, model, shelf.tools()), human(), thread(), mode=mode)

    assert answers(state) == ["refused", "5", "now 4"]


@BUILDS
def test_a_write_needs_no_new_read_of_what_it_has_written_itself(shelf: Shelf, build: Build, mode: str) -> None:
    model = thinks(read("1"), put("2", 4), put("3", 3))

    state = play(build(shelf.guard, model, shelf.tools()), human(), thread(), mode=mode)

    assert answers(state) == ["5", "now 4", "now 3"]


@BUILDS
def test_a_check_costs_no_step_of_the_store(one: Shelf, build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    backend = one.coordinator._backend
    for name in ("begin", "settle", "record", "events"):
        command = getattr(backend, name)
        monkeypatch.setattr(backend, name, lambda it, name=name, command=command: sent.append(name) or command(it))
    model = thinks(read("1"), put("2", 4))

    play(build(one.guard, model, one.tools()), human(), thread())

    assert sent == ["begin", "settle"] * 2


# --- what the model had seen --------------------------------------------------------------------------------------


@BUILDS
def test_a_read_in_the_same_message_was_not_seen_when_the_write_was_decided(one: Shelf, build: Build) -> None:
    model = thinks(says(read("1"), put("2", 4)), put("3", 3))

    state = play(build(one.guard, model, one.tools()), human(), thread())

    assert answers(state) == ["5", "refused", "now 3"]


def test_nor_was_one_that_a_repetition_of_the_message_finds_there(one: Shelf) -> None:
    node = one.guard.tool_node(one.tools())
    model_said = says(read("1"), put("2", 4), message_id="ai-1")
    builder = StateGraph(MessagesState)
    builder.add_node("tools", node)
    builder.add_edge(START, "tools")
    app = builder.compile()
    first = app.invoke({"messages": [model_said]})

    again = app.invoke({"messages": [model_said, first["messages"][1]]})

    assert answers(again)[-1] == "refused"


@BUILDS
def test_it_is_remembered_in_later_turns_of_the_conversation(one: Shelf, build: Build, mode: str) -> None:
    model = thinks(read("1"), says(text="5"), put("2", 4))
    app = build(one.guard, model, one.tools())
    play(app, human(), thread(), mode=mode)

    state = play(app, human(), thread(), mode=mode)

    assert answers(state) == ["5", "now 4"]


@BUILDS
def test_another_conversation_has_seen_nothing(one: Shelf, build: Build) -> None:
    model = thinks(read("1"), says(text="5"), put("2", 4))
    app = build(one.guard, model, one.tools())
    play(app, human(), thread("a"))

    assert answers(play(app, human(), thread("b"))) == ["refused"]


@BUILDS
def test_a_fork_has_seen_what_came_before_it(one: Shelf, build: Build) -> None:
    model = thinks(read("1"), says(text="5"), put("2", 4), says(text="ok"), put("3", 3))
    app = build(one.guard, model, one.tools())
    play(app, human(), thread())
    before = app.get_state(thread()).config
    play(app, human(), thread())

    state = play(app, human(), before)

    assert answers(state) == ["5", "refused"]  # the write of the other branch came after what this one has read


@BUILDS
def test_a_read_that_was_trimmed_away_was_not_seen(one: Shelf, build: Build) -> None:
    model = thinks(read("1"), says(text="5"), put("2", 4))
    app = build(one.guard, model, one.tools())
    play(app, human(), thread())

    trimmed = {"messages": [RemoveMessage(REMOVE_ALL_MESSAGES), HumanMessage("go on")]}
    state = play(app, trimmed, thread())

    assert answers(state) == ["refused"]


def test_each_branch_of_a_fan_out_has_a_history_of_its_own(one: Shelf, mode: str) -> None:
    node = one.guard.tool_node(one.tools())
    builder = StateGraph(MessagesState)
    builder.add_node("tools", node)
    heard = ToolMessage("5", tool_call_id="r", **_told(one, "1"))
    asked = [("user", "go"), says(read("r")), heard]
    branches = [
        {"messages": [HumanMessage("go"), says(put("a", 4), message_id="a")]},
        {"messages": [*asked[1:], says(put("b", 3), message_id="b")]},
    ]
    builder.add_conditional_edges(START, lambda state: [Send("tools", each) for each in branches], ["tools"])

    state = play(builder.compile(), human(), mode=mode)

    assert {each.tool_call_id: each.status for each in results(state)} == {"a": "error", "b": "success"}


def _asked_and_told(first: str, then: str, versions: tuple[Any, Any], *, beside: bool) -> list[Any]:
    """Make what a conversation has of a read and a write: asked for in one message, or gathered from two branches."""
    calls = {"read": read("r"), "put": put("p", 4)}
    answers = [
        ToolMessage("5", tool_call_id=calls[name]["id"], **told)
        for name, told in zip((first, then), versions, strict=True)
    ]
    if beside:
        return [says(calls[first], calls[then], message_id="both"), *answers]
    asked = [says(calls[name], message_id=name) for name in (first, then)]
    return [asked[0], answers[0], asked[1], answers[1]]


@BUILDS
@pytest.mark.parametrize(
    ("first", "then", "beside", "expected"),
    [
        ("read", "put", True, "refused"),
        ("put", "read", True, "refused"),
        ("put", "read", False, "refused"),
        ("read", "put", False, "now 3"),
    ],
    ids=["read beside write", "write beside read", "write, then read", "read, then write"],
)
def test_what_was_told_last_counts_and_of_calls_side_by_side_the_oldest(
    one: Shelf, build: Build, first: str, then: str, beside: bool, expected: str
) -> None:
    old = _told(one, "1")
    one.taken_by_a_rival()  # the write of the same conversation, while the read was under way or in another branch
    new = _told(one, "1")
    versions = (old, new) if first == "read" else (new, old)
    asked = _asked_and_told(first, then, versions, beside=beside)
    app = build(one.guard, thinks(put("2", 3)), one.tools())

    state = play(app, {"messages": [HumanMessage("go"), *asked]}, thread())

    assert answers(state)[-1] == expected


def _told(shelf: Shelf, sku: str) -> dict[str, Any]:
    """Read a version, as a ToolMessage tells it."""
    app = hooked(shelf.guard, thinks(read("x", sku)), shelf.tools())
    [message] = results(play(app, human(), thread("elsewhere")))
    return {"response_metadata": message.response_metadata}


@pytest.mark.parametrize("full", [True, False], ids=["with the messages", "without"])
def test_who_takes_over_has_seen_what_is_handed_over_to_him(one: Shelf, full: bool) -> None:
    reader = ready_made(one.guard, thinks(read("1")), one.tools(), name="reader", checkpointer=None)
    writer = ready_made(one.guard, thinks(put("2", 4)), one.tools(), name="writer", checkpointer=None)

    def hand_over(state: MessagesState) -> dict[str, Any]:
        heard = reader.invoke(state)["messages"]
        return {"messages": heard if full else heard[-1:]}

    builder = StateGraph(MessagesState)
    builder.add_node("reader", hand_over)
    builder.add_node("writer", writer)
    builder.add_edge(START, "reader")
    builder.add_edge("reader", "writer")

    state = play(builder.compile(), human())

    assert answers(state)[-1] == ("now 4" if full else "refused")


def test_the_versions_of_another_namespace_count_for_nothing(one: Shelf) -> None:
    with Coordinator.from_url("memory://") as other:
        heard = _told(Shelf(other), "1")
    app = hooked(one.guard, thinks(put("2", 4)), one.tools())
    known = [HumanMessage("go"), says(read("r")), ToolMessage("5", tool_call_id="r", **heard)]

    assert answers(play(app, {"messages": known}, thread()))[-1] == "refused"


@pytest.mark.parametrize("told", [None, "x", {}, {"space": "x"}, {"versions": 3}, {"versions": {"shelf/1": "x"}}])
def test_what_somebody_else_writes_there_is_passed_over(one: Shelf, told: Any) -> None:
    if isinstance(told, dict) and "versions" in told:
        told["space"] = _told(one, "1")["response_metadata"]["clawproof"]["space"]
    message = ToolMessage("5", tool_call_id="r", response_metadata={"clawproof": told})
    app = hooked(one.guard, thinks(put("2", 4)), one.tools())

    state = play(app, {"messages": [HumanMessage("go"), says(read("r")), message]}, thread())

    assert answers(state)[-1] == "refused"


# --- repetitions --------------------------------------------------------------------------------------------------


@BUILDS
def test_a_replayed_write_is_answered_as_before(shelf: Shelf, build: Build, mode: str) -> None:
    model = thinks(read("1"), put("2", 4), says(text="ok"), put("3", 3))
    app = build(shelf.guard, model, shelf.tools())
    config = thread()
    play(app, human(), config, mode=mode)
    before_tools = next(state for state in app.get_state_history(config) if _waits_for_put(state))

    state = play(app, None, before_tools.config, mode=mode)

    assert answers(state) == ["5", "now 4", "now 3"]
    assert shelf.units["1"] == 3
    assert shelf.refusals() == 0


def _waits_for_put(state: Any) -> bool:
    messages = state.values.get("messages") or [None]
    last = messages[-1]
    return isinstance(last, AIMessage) and any(call["name"] == "put" for call in last.tool_calls)


@BUILDS
def test_a_write_that_waits_for_a_human_is_not_stale_when_it_goes_on(shelf: Shelf, build: Build, mode: str) -> None:
    @tool("put")
    def put_if_allowed(sku: str, units: int) -> str:
        """Set how many units there are."""
        shelf.units[sku] = units if interrupt("may I?") else shelf.units[sku]
        return f"now {units}"

    tools = [shelf.tools()[0], put_if_allowed]
    app = build(shelf.guard, thinks(read("1"), put("2", 4)), tools)
    play(app, human(), thread(), mode=mode)

    state = play(app, Command(resume=True), thread(), mode=mode)

    assert answers(state) == ["5", "now 4"]


@BUILDS
def test_but_it_is_when_somebody_changed_the_resource_meanwhile(one: Shelf, build: Build) -> None:
    @tool("put")
    def put_if_allowed(sku: str, units: int) -> str:
        """Set how many units there are."""
        one.units[sku] = units if interrupt("may I?") else one.units[sku]
        return f"now {units}"

    app = build(one.guard, thinks(read("1"), put("2", 4)), [one.tools()[0], put_if_allowed])
    play(app, human(), thread())
    one.taken_by_a_rival()

    assert answers(play(app, Command(resume=True), thread())) == ["5", "refused"]


# --- what tools return --------------------------------------------------------------------------------------------


def as_command(units: int, call_id: str) -> Any:
    message = ToolMessage(str(units), tool_call_id=call_id, name="read", id="mine", additional_kwargs={"a": 1})
    other = ToolMessage("other", tool_call_id="other", response_metadata={"b": 2})
    return Command(update={"messages": [other, message]})


def as_list(units: int, call_id: str) -> Any:
    return [as_command(units, call_id)]


def as_message(units: int, call_id: str) -> Any:
    return ToolMessage(
        str(units), tool_call_id=call_id, name="read", id="mine", additional_kwargs={"a": 1}, artifact=[units],
        response_metadata={"mine": 1},
    )  # fmt: skip


def as_pair(units: int, call_id: str) -> Any:
    return str(units), {"raw": units}


@pytest.mark.parametrize("give", [as_command, as_list, as_message, as_pair])
def test_what_a_read_returns_keeps_all_of_its_fields(one: Shelf, give: Any, mode: str) -> None:
    def body(sku: str, call_id: Annotated[str, InjectedToolCallId]) -> Any:
        return give(one.units[sku], call_id)

    options = {"response_format": "content_and_artifact"} if give is as_pair else {}
    reading = StructuredTool.from_function(func=body, name="read", description="Read.", **options)
    bare, guarded = ToolNode([reading]), one.guard.tool_node([reading, one.tools()[1]])

    plain, told = [_run_alone(node, mode) for node in (bare, guarded)]

    for before, after in zip(plain, told, strict=True):
        metadata = dict(after.response_metadata)
        assert bool(metadata.pop("clawproof", None)) is (after.tool_call_id == "1")
        made = before.id != "mine"  # by LangGraph, anew for each message
        same = {"response_metadata": metadata} | ({"id": before.id} if made else {})
        assert after.model_copy(update=same) == before


def _run_alone(node: ToolNode, mode: str) -> list[ToolMessage]:
    builder = StateGraph(MessagesState)
    builder.add_node("tools", node)
    builder.add_edge(START, "tools")
    builder.add_edge("tools", END)
    return results(play(builder.compile(), {"messages": [says(read("1"), message_id="ai-1")]}, mode=mode))


@pytest.mark.parametrize("give", [as_command, as_list, as_message, as_pair])
@BUILDS
def test_a_read_of_any_shape_lets_the_write_be_made(one: Shelf, build: Build, give: Any) -> None:
    def body(sku: str, call_id: Annotated[str, InjectedToolCallId]) -> Any:
        value = give(one.units[sku], call_id)
        own = value[0] if isinstance(value, list) else value
        if isinstance(own, Command):
            del own.update["messages"][0]  # an answer to no call is not for a model
        return value

    options = {"response_format": "content_and_artifact"} if give is as_pair else {}
    reading = StructuredTool.from_function(func=body, name="read", description="Read.", **options)
    app = build(one.guard, thinks(read("1"), put("2", 4)), [reading, one.tools()[1]])

    assert answers(play(app, human(), thread()))[-1] == "now 4"


def test_a_read_that_failed_has_seen_nothing(one: Shelf) -> None:
    @tool("read")
    def read_badly(sku: str) -> int:
        """Read."""
        raise KeyError(sku)

    node = one.guard.tool_node([read_badly, one.tools()[1]], handle_tool_errors=True)
    [message] = _run_alone(node, "sync")
    assert message.status == "error"
    assert "clawproof" not in message.response_metadata


def test_a_read_without_locks_tells_no_version(one: Shelf) -> None:
    guard = Guard(one.coordinator, tools={"read": ToolPolicy(effect="read")})
    [message] = _run_alone(guard.tool_node(one.tools()[:1]), "sync")
    assert message.response_metadata == {}


def test_a_write_that_does_not_rest_on_reads_tells_no_version(one: Shelf) -> None:
    guard = Shelf(one.coordinator, put=ToolPolicy(locks=["shelf/{sku}"])).guard
    state = play(hooked(guard, thinks(put("1", 4)), one.tools()), human(), thread())
    assert results(state)[0].response_metadata == {}


# --- where it cannot work -----------------------------------------------------------------------------------------


def test_without_hooks_it_is_refused_at_build_time(one: Shelf) -> None:
    with pytest.raises(ConfigurationError, match=r"guard\.tool_node\(tools\)"):
        one.guard.wrap_tools(one.tools())
    with pytest.raises(ConfigurationError, match="history"):
        one.guard.wrap_tool(one.tools()[1])
    one.guard.wrap_tool(one.tools()[0])


def test_the_middleware_takes_what_needs_the_history(one: Shelf) -> None:
    middleware = CoordinationMiddleware(one.guard)
    middleware.wrap_model_call(type("Request", (), {"tools": one.tools()})(), lambda request: None)


def test_a_tool_node_that_is_given_calls_without_messages_has_no_history(one: Shelf) -> None:
    builder = StateGraph(dict)
    builder.add_node("tools", one.guard.tool_node(one.tools(), handle_tool_errors=False))
    builder.add_conditional_edges(START, lambda state: [Send("tools", [put("1", 4)])], ["tools"])

    with pytest.raises(ConfigurationError, match="history"):
        builder.compile().invoke({"question": "how many?"})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"requires_read": True}, "locks nothing"),
        ({"requires_read": True, "locks": ["a"], "effect": "read"}, "remove `requires_read`"),
    ],
)
def test_a_policy_that_cannot_require_a_read_says_why(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        ToolPolicy(**fields)


def test_a_refusal_is_raised_where_the_policy_says_so(one: Shelf) -> None:
    strict = Shelf(one.coordinator, put=ToolPolicy(locks=["shelf/{sku}"], requires_read=True, on_refusal="raise"))
    app = hooked(strict.guard, thinks(read("1"), put("2", 4), meanwhile={1: strict.taken_by_a_rival}), strict.tools())

    with pytest.raises(StaleRead) as caught:
        play(app, human(), thread())

    assert (caught.value.resource, caught.value.changed_by) == ("shelf/1", 'agent "rival"')
    assert caught.value.seen is not None
    assert caught.value.current is not None
    assert caught.value.current > caught.value.seen
