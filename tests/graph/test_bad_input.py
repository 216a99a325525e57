"""What is wrong is said before any tool runs, with its name and the remedy."""

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import TodoListMiddleware
from langchain.agents.structured_output import ToolStrategy
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.prebuilt import ToolNode
from pydantic import BaseModel

from clawproof_langgraph import (
    ConfigurationError,
    Coordinator,
    Guard,
    Lock,
    Retry,
    ToolPolicy,
    UnmappedTool,
)
from clawproof_langgraph.middleware import CoordinationMiddleware
from tests.langgraph.scripted import asks, call, play, results, says, thread, tools_only

from .lending import Lending
from .stage import Build, as_tool, guarded, hooked, human, policies, ready_made, turn, types_of, use, wrapped

BUILDS = [hooked, wrapped, ready_made]


def reserve(sku: str) -> str:
    """Reserve."""
    return f"reserved {sku}"


def ship(order: int) -> str:
    """Ship."""
    return f"shipped {order}"


@pytest.mark.parametrize("build", [hooked, wrapped])
def test_tools_without_a_policy_are_refused_at_build_time_all_at_once_as_a_table_to_paste(
    coordinator: Coordinator, build: Build
) -> None:
    guard = Guard(coordinator, tools={})

    with pytest.raises(UnmappedTool) as caught:
        build(guard, turn(), [as_tool(reserve, "sync"), as_tool(ship, "sync")])

    assert caught.value.tools == ("reserve", "ship")
    assert '"reserve": ToolPolicy(' in str(caught.value) and '"ship": ToolPolicy(' in str(caught.value)
    assert 'unmapped="serialize"' in str(caught.value)


@pytest.mark.parametrize("lent", [False, True])
def test_an_agent_with_a_tool_without_a_policy_is_refused_before_the_model_is_asked(
    coordinator: Coordinator, mode: str, lent: bool
) -> None:
    known, unknown = as_tool(reserve, "sync"), as_tool(ship, "sync")
    model = turn(call("reserve", sku="a"))
    ours = CoordinationMiddleware(Guard(coordinator, tools={"reserve": ToolPolicy()}))
    middleware = [Lending(unknown), ours] if lent else [ours]
    graph = create_agent(model, [known] if lent else [known, unknown], middleware=middleware)

    with pytest.raises(UnmappedTool) as caught:
        play(graph, human(), thread(), mode=mode)

    assert caught.value.tools == ("ship",)
    assert model.seen == [] and coordinator.events() == []


def test_an_agent_whose_policy_names_what_its_tool_does_not_have_is_refused_before_the_model_is_asked(
    coordinator: Coordinator, mode: str
) -> None:
    model = turn(call("reserve", sku="a"))
    guard = Guard(coordinator, tools={"reserve": ToolPolicy(locks=["inventory/{sky}"])})
    graph = ready_made(guard, model, [as_tool(reserve, "sync")])

    with pytest.raises(ConfigurationError, match='names "sky"'):
        play(graph, human(), thread(), mode=mode)

    assert model.seen == []


def test_a_tool_without_a_policy_that_is_only_seen_when_called_is_refused_before_it_runs(
    coordinator: Coordinator, mode: str
) -> None:
    ran: list[str] = []

    @tool
    def sell() -> str:
        """Sell."""
        ran.append("once")
        return "sold"

    middleware = [CoordinationMiddleware(Guard(coordinator, tools={})), Lending(sell)]
    graph = create_agent(turn(call("sell")), [], middleware=middleware)

    with pytest.raises(UnmappedTool, match="sell"):
        play(graph, human(), thread(), mode=mode)

    assert ran == []


def test_an_agent_may_have_langgraphs_own_tools_and_tools_of_the_models_provider_without_a_policy(
    coordinator: Coordinator, mode: str
) -> None:
    class Answer(BaseModel):
        """How the turn ends."""

        text: str

    own = [as_tool(reserve, "sync", name=name) for name in ("task", "transfer_to_billing")]
    middleware = [TodoListMiddleware(), CoordinationMiddleware(Guard(coordinator, tools={}))]
    search = {"type": "web_search", "name": "web_search"}
    model = turn(call("transfer_to_billing", sku="a"), call("write_todos", "call-2", todos=[]))
    model.replies[1] = says(call("Answer", text="done"))
    graph = create_agent(
        model, [*own, search], middleware=middleware, response_format=ToolStrategy(Answer), checkpointer=InMemorySaver()
    )

    state = play(graph, human(), thread(), mode=mode)

    assert state["structured_response"].text == "done"
    assert results(state)[0].content == "reserved a"


@pytest.mark.filterwarnings("ignore:.*has no policy")
@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize(("unmapped", "resources"), [("serialize", [("tool/reserve",)]), ("allow", [])])
def test_tools_without_a_policy_are_serialised_or_let_through_if_the_guard_is_told_so(
    coordinator: Coordinator, mode: str, build: Build, unmapped: Any, resources: list[Any]
) -> None:
    guard = Guard(coordinator, tools={}, unmapped=unmapped)
    graph = build(guard, turn(call("reserve", sku="a")), [as_tool(reserve, "sync")])

    state = play(graph, {"messages": [HumanMessage("go")]}, thread(), mode=mode)

    assert results(state)[0].content == "reserved a"
    assert [event.resources for event in coordinator.events(types=["call.done"])] == resources


def test_the_policy_of_a_serialised_tool_is_made_once(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []

    def make(**fields: Any) -> ToolPolicy:
        made.append(fields)
        return ToolPolicy(**fields)

    monkeypatch.setattr("clawproof_langgraph.guard.ToolPolicy", make)
    name = f"reserve-{coordinator.session}"
    for _ in range(3):  # a tool that is supplied at each call is another object each time
        use(Guard(coordinator, tools={}, unmapped="serialize").wrap_tool(as_tool(reserve, "sync", name=name)), sku="a")

    assert made == [{"locks": [f"tool/{name}"]}]


def test_langgraphs_own_tools_need_no_policy(coordinator: Coordinator) -> None:
    guard = Guard(coordinator, tools={})
    names = ("write_todos", "task", "transfer_to_billing")

    copies = guard.wrap_tools([as_tool(reserve, "sync", name=name) for name in names])

    assert [use(copy, sku="a").content for copy in copies] == ["reserved a"] * 3
    assert coordinator.events() == []


@pytest.mark.parametrize(
    ("policy", "named"),
    [
        ({"locks": ["inventory/{sky}"]}, 'template "inventory/{sky}" names "sky"'),
        ({"key": "order/{number}"}, 'template "order/{number}" names "number"'),
        ({"key_fields": ["skuu"]}, 'key_fields names "skuu"'),
        ({"log_fields": ["skuu"]}, 'log_fields names "skuu"'),
    ],
)
@pytest.mark.parametrize("build", [hooked, wrapped])
def test_a_field_that_the_tool_does_not_have_is_refused_at_build_time(
    coordinator: Coordinator, build: Build, policy: dict[str, Any], named: str
) -> None:
    guard = Guard(coordinator, tools={"reserve": ToolPolicy(**policy)})

    with pytest.raises(ConfigurationError) as caught:
        build(guard, turn(), [as_tool(reserve, "sync")])

    assert '"reserve"' in str(caught.value) and named in str(caught.value)
    assert "its arguments are: sku" in str(caught.value)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: ToolPolicy(lock=["a"]), 'no field "lock"; did you mean "locks"?'),
        (lambda: ToolPolicy(efect="read"), 'no field "efect"; did you mean "effect"?'),
        (lambda: ToolPolicy(zzz=1), 'no field "zzz"; there are: locks, effect'),
        (lambda: Retry(max_retry=1), 'no field "max_retry"; did you mean "max_retries"?'),
        (lambda: ToolPolicy(effect="write"), "effect"),
        (lambda: ToolPolicy(ttl=0), "ttl must be more than zero"),
        (lambda: ToolPolicy(ttl="0s"), "ttl must be more than zero"),
        (lambda: ToolPolicy(ttl="soon"), 'ttl="soon" is not a duration'),
        (lambda: ToolPolicy(wait=-1), "wait=-1 is not a duration"),
        (lambda: ToolPolicy(locks="inventory/{sku}"), 'locks is a list: write locks=["inventory/{sku}"]'),
        (lambda: ToolPolicy(locks=[""]), "A resource needs a name"),
        (lambda: ToolPolicy(locks=["  "]), "A resource needs a name"),
        (lambda: ToolPolicy(locks=["inventory/{sku"]), 'without its "}"'),
        (lambda: ToolPolicy(locks=["inventory/{}"]), "is not a name"),
        (lambda: ToolPolicy(locks=["inventory/{_sku}"]), "underscore"),
        (lambda: ToolPolicy(locks=["inventory/{sku|upper}"]), 'filter "upper"; there are: lower, realpath'),
        (lambda: Lock("a", mode="alone"), "exclusive"),
        (lambda: ToolPolicy(effect="read", key="a"), "remove `key`"),
        (lambda: ToolPolicy(on_refusal="shout"), "on_refusal"),
    ],
)
def test_a_policy_that_is_wrong_says_what_and_how_to_mend_it(make: Any, named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make()

    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"tools": [("a", ToolPolicy()), ("a", ToolPolicy())]}, 'two policies for tool "a"'),
        ({"tools": {"a": {"locks": ["b"]}}}, 'policy of tool "a" is a dict; write ToolPolicy(...)'),
        ({"tools": {}, "unmapped": "ignore"}, 'unmapped="ignore" is not known; there are: error, allow, serialize'),
        ({"tools": {}, "unmapped": "serialise"}, 'did you mean "serialize"?'),
        ({"tools": {}, "agent": "a\nb"}, r"The agent's name 'a\nb' has control characters"),
        ({"tools": {}, "agent": 5}, 'such as agent="orders"; got 5'),
        (
            {"tools": {}, "resources": {"a/*": {"tll": "1s"}}},
            'Resource "a/*": ResourceTerms has no field "tll"; did you mean "ttl"?',
        ),
        ({"tools": {}, "resources": {"a/*": {"ttl": 0}}}, "ttl must be more than zero"),
    ],
)
def test_a_guard_that_is_wrong_says_what(coordinator: Coordinator, options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Guard(coordinator, **options)

    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"results": ToolPolicy}, "Write results=[Receipt]"),
        ({"results": [int]}, "neither a dataclass, nor a pydantic model"),
        ({"max_events": -1}, "max_events=-1 is no number of events"),
        ({"max_events": "5"}, "max_events='5' is no number of events"),
        ({"keep_results": "3 moons"}, 'keep_results="3 moons" is not a duration'),
    ],
)
def test_a_coordinator_that_is_wrong_says_what(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Coordinator.from_url("memory://", **options)

    assert named in str(caught.value)


@pytest.mark.parametrize("sku", ["", "   ", "a\nb"])
def test_arguments_that_make_no_resource_name_are_refused_before_the_tool_runs(
    coordinator: Coordinator, face: str, sku: str
) -> None:
    ran: list[str] = []

    def sell(sku: str) -> str:
        """Sell."""
        ran.append(sku)
        return "sold"

    copy = guarded(coordinator, as_tool(sell, face), ToolPolicy(locks=["inventory/{sku}"]))
    strict = guarded(coordinator, as_tool(sell, face), ToolPolicy(locks=["inventory/{sku}"], on_refusal="raise"))

    told = use(copy, face, sku=sku)
    with pytest.raises(ConfigurationError, match=r'"sell" was not run.*inventory/'):
        use(strict, face, sku=sku)

    assert (told.status, told.tool_call_id) == ("error", "call-1") and "inventory/" in told.content
    assert ran == [] and coordinator.events() == []


def test_a_thread_goes_on_after_an_argument_that_makes_no_resource_name(coordinator: Coordinator, mode: str) -> None:
    """Raised, it would end the run, and every attempt to go on from the checkpoint."""
    guard = Guard(coordinator, tools={"reserve": ToolPolicy(locks=["inventory/{sku}"])})
    model = turn(call("reserve", "1", sku=""), call("reserve", "2", sku="a"))
    graph = hooked(guard, model, [as_tool(reserve, "sync")])

    found = play(graph, human(), thread(), mode=mode)

    assert [message.status for message in found["messages"] if message.type == "tool"] == ["error", "success"]


def test_an_argument_that_makes_no_resource_name_raises_where_there_is_no_tool_call(coordinator: Coordinator) -> None:
    copy = guarded(coordinator, as_tool(reserve, "sync"), ToolPolicy(locks=["inventory/{sku}"]))

    with pytest.raises(ConfigurationError, match=r'"reserve" was not run.*field "sku"'):
        copy.invoke({"sku": ""})


def test_a_business_key_with_a_line_feed_is_refused_before_the_tool_runs(coordinator: Coordinator, face: str) -> None:
    for key in ("order/{sku}", lambda values: f"order/{values['sku']}"):
        copy = guarded(coordinator, as_tool(reserve, face), ToolPolicy(key=key, on_refusal="raise"))
        with pytest.raises(ConfigurationError, match="control characters"):
            use(copy, face, sku="a\nb")

    assert coordinator.events() == []


def test_an_agent_whose_name_has_a_line_feed_is_refused_before_its_tool_runs(
    coordinator: Coordinator, mode: str
) -> None:
    middleware = [CoordinationMiddleware(Guard(coordinator, tools={"reserve": ToolPolicy()}))]
    model, tools = turn(call("reserve", sku="a")), [as_tool(reserve, "sync")]
    agent = create_agent(model, tools, middleware=middleware, name="or\nders")

    with pytest.raises(ConfigurationError, match="agent's name 'or"):
        play(agent, human(), thread(), mode=mode)

    assert coordinator.events() == []


def test_a_missing_part_of_an_argument_is_named(coordinator: Coordinator) -> None:
    def sell(items: list[dict[str, str]]) -> str:
        """Sell."""
        return "sold"

    copy = guarded(
        coordinator, as_tool(sell, "sync"), ToolPolicy(locks=["inventory/{items[*].sku}"], on_refusal="raise")
    )

    for items in ([], [{"name": "a"}], [{"sku": "a"}, {"sku": ""}]):
        with pytest.raises(ConfigurationError, match=r'field "items\[\*\]\.sku"'):
            use(copy, items=items)


def test_what_is_wrong_with_the_setup_is_never_told_to_the_model(coordinator: Coordinator, mode: str) -> None:
    guard = Guard(coordinator, tools={"reserve": ToolPolicy(key=lambda values: values["nope"])})
    graph = tools_only(ToolNode(guard.wrap_tools([as_tool(reserve, "sync")])))

    with pytest.raises(ConfigurationError, match=r'key function of tool "reserve" failed: KeyError'):
        play(graph, asks(call("reserve", sku="a")), mode=mode)


def test_tools_that_are_not_given_in_a_list_are_refused(coordinator: Coordinator) -> None:
    guard = Guard(coordinator, tools={"reserve": ToolPolicy()})
    for give in (guard.wrap_tools, guard.tool_node):
        for wrong in (as_tool(reserve, "sync"), "reserve", 7):
            with pytest.raises(ConfigurationError, match="in a list"):
                give(wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="'a' is no tool"):
        guard.wrap_tool("a")  # type: ignore[arg-type]


def test_a_policy_whose_name_is_misspelt_is_named_beside_the_tool_without_one(coordinator: Coordinator) -> None:
    guard = Guard(coordinator, tools={"resrve": ToolPolicy()})
    with pytest.raises(UnmappedTool, match=r"without a policy: reserve\. Policies that no tool has taken: resrve\."):
        guard.wrap_tool(reserve)


def test_an_argument_that_has_no_fingerprint_is_named_with_the_remedy(coordinator: Coordinator) -> None:
    def sell(thing: Any) -> str:
        """Sell."""
        return "sold"

    copy = guarded(coordinator, as_tool(sell, "sync"), ToolPolicy())

    with pytest.raises(ConfigurationError, match=r"builtins\.object.*key_fields"):
        copy.invoke({"thing": object()})


def test_a_second_guard_in_an_agent_is_refused_by_langchain(coordinator: Coordinator) -> None:
    middleware = [CoordinationMiddleware(Guard(coordinator, tools=policies())) for _ in range(2)]

    with pytest.raises(AssertionError, match="duplicate"):
        ready_made(middleware[0].guard, turn(), [as_tool(reserve, "sync")], middleware=middleware)


def test_admin_commands_that_name_nothing_are_refused(coordinator: Coordinator) -> None:
    for command, named in (
        (lambda: coordinator.kill(""), "An agent needs a name"),
        (lambda: coordinator.resolve("nothing", "applied"), 'under key "nothing"'),
        (lambda: coordinator.resolve("nothing", "perhaps"), 'outcome="perhaps" is not known'),
        (lambda: coordinator.lock(), "at least one resource"),
        (lambda: coordinator.lock(""), "empty"),
        (lambda: coordinator.lock("a", ttl=0), "ttl must be more than zero"),
        (lambda: coordinator.lock("a", mode="alone"), "alone"),
        (lambda: coordinator.events(colour="red"), "no filter colour"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            command()
        assert named in str(caught.value)
    assert types_of(coordinator) == []
