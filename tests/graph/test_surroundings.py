"""What is warned of around a guarded tool: when, how often, and of what not."""

import gc
import logging
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware, ToolRetryMiddleware
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import START
from langgraph.prebuilt import ToolNode

from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from clawproof_langgraph.errors import ClawproofWarning
from clawproof_langgraph.graph import lookout
from clawproof_langgraph.middleware import CoordinationMiddleware
from tests.langgraph.scripted import asks, call, play, thread, tools_only

from .lending import Lending
from .stage import human
from .surrounding import RETRY, Shop, go, go_on_disk, heard, inside

NODE_RETRIED = 'A RetryPolicy on node "tools" cannot repeat a call of the once tool "pay"'
AGENT_RETRIED = 'A RetryPolicy on node "agent" starts what runs in it anew'
TOOL_RETRY = 'ToolRetryMiddleware around the once tool "pay"'
NO_CHECKPOINTS = 'The graph that runs "pay" keeps no checkpoints'
DURABILITY = 'With durability="async" (LangGraph\'s default), a crash can lose the checkpoint of a call of "pay"'
LOCAL = "Only this process can reach the store memory://"

Build = Callable[[Shop], Any]


@pytest.fixture
def coordinator() -> Iterator[Coordinator]:
    """Give one store: what surrounds a call has nothing to do with which."""
    with Coordinator.from_url("memory://") as made:
        yield made


def retry_middleware(**options: Any) -> ToolRetryMiddleware:
    return ToolRetryMiddleware(initial_delay=0, jitter=False, **options)


def with_retry_outside(shop: Shop) -> Any:
    return shop.agent(retry_middleware(), CoordinationMiddleware(shop.guard))


def with_retry_inside(shop: Shop) -> Any:
    return shop.agent(CoordinationMiddleware(shop.guard), retry_middleware())


def wrapped_with_retry(shop: Shop) -> Any:
    [shop.tool] = shop.guard.wrap_tools([shop.tool])
    return shop.agent(retry_middleware())


def wrapped_in_a_node(shop: Shop) -> Any:
    return shop.loop(ToolNode(shop.guard.wrap_tools([shop.tool])), retry=RETRY)


def deep_down(shop: Shop) -> Any:
    return inside(inside(shop.agent(checkpointer=None), checkpointer=None), retry=RETRY)


def without_checkpoints(shop: Shop) -> Any:
    return inside(shop.agent(checkpointer=False))


SURROUNDED: dict[str, tuple[Build, str]] = {
    "a retried node": (lambda shop: shop.loop(retry=RETRY), NODE_RETRIED),
    "all nodes retried": (lambda shop: shop.loop(defaults=RETRY), NODE_RETRIED),
    "a retried node of wrapped tools": (wrapped_in_a_node, NODE_RETRIED),
    "a retried agent": (lambda shop: inside(shop.agent(checkpointer=None), retry=RETRY), AGENT_RETRIED),
    "an agent deep down in a retried node": (deep_down, AGENT_RETRIED),
    "retries outside": (with_retry_outside, TOOL_RETRY),
    "retries inside": (with_retry_inside, TOOL_RETRY),
    "retries of a wrapped tool": (wrapped_with_retry, TOOL_RETRY),
    "an agent without checkpoints": (without_checkpoints, NO_CHECKPOINTS),
}


@pytest.fixture(params=SURROUNDED)
def surrounded(request: pytest.FixtureRequest) -> tuple[Build, str]:
    """Give a way to surround a payment by what is warned of, and the warning."""
    return SURROUNDED[request.param]


def test_each_surrounding_is_warned_of_once(coordinator: Coordinator, mode: str, surrounded: tuple[Build, str]) -> None:
    build, warning = surrounded
    shop = Shop(coordinator)
    graph = build(shop)

    told = heard(lambda: [go(graph, mode), go(graph, mode)])

    assert [text.startswith(warning) for text in told] == [True]
    assert shop.paid


def moments(shop: Shop, action: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Do something, and tell how often the model was asked and how often was paid when each warning came."""
    found: list[tuple[int, int]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", ClawproofWarning)
        monkeypatch.setattr(
            warnings, "showwarning", lambda *about: found.append((len(shop.model.seen), len(shop.paid)))
        )
        action()
    return found


def test_each_surrounding_is_warned_of_before_the_tool_runs(
    coordinator: Coordinator, mode: str, surrounded: tuple[Build, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(coordinator)
    graph = surrounded[0](shop)

    [(_, paid)] = moments(shop, lambda: go(graph, mode), monkeypatch)

    assert paid == 0


def test_a_retried_node_with_a_timeout_is_warned_of(coordinator: Coordinator) -> None:
    node = {"retry_policy": RETRY, "timeout": 30}
    graph = tools_only(Shop(coordinator).node(), node=node, checkpointer=InMemorySaver())

    told = heard(lambda: play(graph, asks(call("pay")), thread(), mode="async"))

    assert [text.startswith(NODE_RETRIED) for text in told] == [True]


@pytest.mark.parametrize(
    "build",
    [
        with_retry_outside,
        with_retry_inside,
        without_checkpoints,
        lambda shop: inside(shop.agent(checkpointer=None), retry=RETRY),
    ],
)
def test_the_middleware_warns_before_the_model_is_asked(
    coordinator: Coordinator, mode: str, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(coordinator)

    assert moments(shop, lambda: go(build(shop), mode), monkeypatch) == [(0, 0)]


def test_the_middleware_warns_of_the_durability_before_the_model_is_asked(
    coordinator: Coordinator, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(coordinator)

    def turn() -> None:
        go_on_disk(lambda saver: shop.agent(checkpointer=saver), mode, tmp_path)

    assert moments(shop, turn, monkeypatch) == [(0, 0)]


def test_each_guard_and_each_place_is_warned_of(coordinator: Coordinator) -> None:
    shop, other = Shop(coordinator), Shop(coordinator)
    top, below = shop.loop(retry=RETRY), inside(shop.loop(retry=RETRY, checkpointer=None))

    told = heard(lambda: [go(graph, "sync") for graph in (top, below, top, below, other.loop(retry=RETRY))])

    where = ['node "tools"', 'node "agent > tools"', 'node "tools"']
    assert len(told) == 3 and all(name in text for name, text in zip(where, told, strict=True))


def test_the_same_agent_is_looked_at_in_each_graph_around_it(coordinator: Coordinator, mode: str) -> None:
    shop = Shop(coordinator)
    agent = shop.agent(checkpointer=None)
    builder = inside(agent).builder
    builder.add_node("again", agent, retry_policy=RETRY)
    builder.add_edge("agent", "again")
    graph = builder.compile(checkpointer=InMemorySaver())

    [told] = heard(lambda: [go(inside(agent), mode), go(graph, mode)])

    assert told.startswith('A RetryPolicy on node "again" starts')


def test_a_warning_is_told_at_the_users_line(coordinator: Coordinator) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        go(with_retry_inside(Shop(coordinator)), "sync")

    assert [Path(each.filename).parent.parent.name for each in seen] == ["tests"]


def test_a_tool_that_comes_only_with_its_call_is_warned_of_then(coordinator: Coordinator, mode: str) -> None:
    shop = Shop(coordinator)
    agent = create_agent(
        shop.model, [], middleware=[CoordinationMiddleware(shop.guard), Lending(shop.tool), retry_middleware()]
    )

    told = heard(lambda: go(agent, mode))

    assert [text.startswith(TOOL_RETRY) for text in told] == [True]
    assert shop.paid == [1]


# --- where nothing is wrong -------------------------------------------------------------------------------------


REPEATABLE: list[dict[str, Any]] = [
    *[{"effect": effect} for effect in ("read", "idempotent", "keyed", "transactional", "delegate")],
    {"on_in_doubt": "rerun"},
    {"on_in_doubt": "interrupt"},
    {"probe": lambda call: None},
]


@pytest.mark.parametrize("policy", REPEATABLE)
@pytest.mark.parametrize(
    "build", [lambda shop: shop.loop(retry=RETRY), with_retry_outside, with_retry_inside, wrapped_with_retry]
)
def test_what_may_be_repeated_or_looked_into_may_be_retried_by_others(
    coordinator: Coordinator, mode: str, policy: dict[str, Any], build: Build
) -> None:
    assert heard(lambda: go(build(Shop(coordinator, **policy)), mode)) == []


@pytest.mark.parametrize("policy", [{"effect": "read"}, {"effect": "idempotent"}, {"key": "order/{amount}"}])
def test_an_agent_may_be_started_anew_where_its_calls_may_be_repeated_or_are_known_again(
    coordinator: Coordinator, mode: str, policy: dict[str, Any]
) -> None:
    shop = Shop(coordinator, **policy)
    graphs = [inside(shop.agent(checkpointer=None), retry=RETRY), inside(shop.agent(checkpointer=False))]

    assert heard(lambda: [go(graph, mode) for graph in graphs]) == []


def test_tool_retry_middleware_may_name_other_tools(coordinator: Coordinator, mode: str) -> None:
    shop = Shop(coordinator)
    agent = shop.agent(CoordinationMiddleware(shop.guard), retry_middleware(tools=["look"]))

    assert heard(lambda: go(agent, mode)) == []


def test_a_retry_policy_of_one_attempt_retries_nothing(coordinator: Coordinator, mode: str) -> None:
    once = RETRY._replace(max_attempts=1)

    assert heard(lambda: go(Shop(coordinator).loop(retry=once), mode)) == []


def test_another_node_may_be_retried(coordinator: Coordinator, mode: str) -> None:
    builder = Shop(coordinator).loop().builder
    builder.add_node("greet", lambda state: {}, retry_policy=RETRY)
    builder.add_edge(START, "greet")

    assert heard(lambda: go(builder.compile(checkpointer=InMemorySaver()), mode)) == []


@pytest.mark.parametrize("first", ["human", "guard"])
def test_no_order_with_human_in_the_loop_is_warned_of(coordinator: Coordinator, mode: str, first: str) -> None:
    shop = Shop(coordinator)
    pair = [HumanInTheLoopMiddleware(interrupt_on={"pay": True}), CoordinationMiddleware(shop.guard)]

    assert heard(lambda: go(shop.agent(*(pair if first == "human" else reversed(pair))), mode)) == []


# --- nodes and tasks that call a tool themselves ----------------------------------------------------------------


def calling(shop: Shop, *, with_id: bool) -> Callable[[Any], dict[str, Any]]:
    """Make a node that calls the tool, as a model's tool call or with plain arguments."""
    pay = shop.guard.wrap_tool(shop.tool)

    def node(state: Any) -> dict[str, Any]:
        pay.invoke(call("pay") if with_id else {})
        return {}

    return node


@pytest.mark.parametrize(
    ("with_id", "warning"), [(True, AGENT_RETRIED), (False, 'A RetryPolicy on node "agent" cannot')]
)
def test_a_retried_node_may_ask_a_model_itself_if_it_makes_tool_calls(
    coordinator: Coordinator, mode: str, with_id: bool, warning: str
) -> None:
    shop = Shop(coordinator)
    graph = inside(calling(shop, with_id=with_id), retry=RETRY)

    assert [text.startswith(warning) for text in heard(lambda: go(graph, mode))] == [True]


def test_a_retried_task_of_the_functional_api_is_warned_of(coordinator: Coordinator, mode: str) -> None:
    node = calling(Shop(coordinator), with_id=False)

    @task(retry_policy=RETRY)
    def work() -> None:
        node({})

    @entrypoint(checkpointer=InMemorySaver())
    def flow(_: int) -> None:
        work().result()

    [told] = heard(lambda: flow.invoke(1, thread()))

    assert told.startswith('A RetryPolicy on node "work" cannot repeat')


# --- durability -------------------------------------------------------------------------------------------------


BUILDS = [
    lambda shop, saver: shop.loop(checkpointer=saver),
    lambda shop, saver: shop.agent(checkpointer=saver),
    lambda shop, saver: inside(shop.agent(checkpointer=None), checkpointer=saver),
]


@pytest.mark.parametrize("build", BUILDS)
def test_checkpoints_that_come_late_are_warned_of_once(
    coordinator: Coordinator, mode: str, tmp_path: Path, build: Any
) -> None:
    shop = Shop(coordinator)

    def turns() -> None:
        for name in ("a", "b"):
            go_on_disk(lambda saver: build(shop, saver), mode, tmp_path, name)

    assert [text.startswith(DURABILITY) for text in heard(turns)] == [True]
    assert len(shop.paid) == 2


@pytest.mark.parametrize("build", BUILDS)
def test_checkpoints_in_time_are_not_warned_of_and_late_ones_are_also_after_them(
    coordinator: Coordinator, mode: str, tmp_path: Path, build: Any
) -> None:
    shop = Shop(coordinator)

    def turn(durability: Any, name: str) -> list[str]:
        return heard(lambda: go_on_disk(lambda saver: build(shop, saver), mode, tmp_path, name, durability=durability))

    assert turn("sync", "a") == []
    [told] = turn("exit", "b")
    assert 'durability="exit", a crash' in told


@pytest.mark.parametrize(
    ("policy", "warned"),
    [
        ({"effect": "read"}, False),
        ({"effect": "idempotent"}, False),
        ({"effect": "keyed"}, True),
        ({"effect": "transactional"}, True),
        ({"effect": "delegate"}, True),
        ({"effect": "once"}, True),
        ({"effect": "keyed", "key": "order/{amount}"}, False),
        ({"effect": "once", "key": lambda values: "order"}, False),
    ],
)
def test_late_checkpoints_matter_where_a_new_name_is_a_new_effect(
    coordinator: Coordinator, mode: str, tmp_path: Path, policy: dict[str, Any], warned: bool
) -> None:
    shop = Shop(coordinator, **policy)

    told = heard(lambda: go_on_disk(lambda saver: shop.loop(checkpointer=saver), mode, tmp_path))

    assert bool(told) == warned


@pytest.mark.parametrize("saver", [None, InMemorySaver])
def test_nobody_goes_on_from_checkpoints_that_die_with_the_process(
    coordinator: Coordinator, mode: str, saver: Any
) -> None:
    shop = Shop(coordinator)

    assert heard(lambda: go(shop.loop(checkpointer=saver and saver()), mode)) == []


def test_a_call_inside_a_guarded_call_is_named_by_that_which_is_warned_of(
    coordinator: Coordinator, mode: str, tmp_path: Path
) -> None:
    shop = Shop(coordinator)
    inner = shop.guard.wrap_tool(shop.tool)

    @tool
    def order() -> str:
        """Order, and pay."""
        return str(inner.invoke({}))

    guard = Guard(coordinator, tools={"order": ToolPolicy(effect="delegate", key="order/7")})

    def ordering() -> None:
        node = guard.tool_node([order])
        go_on_disk(lambda saver: tools_only(node, checkpointer=saver), mode, tmp_path, value=asks(call("order")))

    assert heard(ordering) == []
    assert shop.paid == [1]


@pytest.mark.parametrize("face", ["sync", "async"])
def test_an_agent_inside_a_guarded_call_without_checkpoints_of_its_own_is_named_by_it(
    coordinator: Coordinator, face: str
) -> None:
    shop = Shop(coordinator)
    agent = shop.agent(checkpointer=False)

    @tool
    def order() -> str:
        """Have an agent pay."""
        return agent.invoke(human())["messages"][-1].text

    @tool("order")
    async def aorder() -> str:
        """Have an agent pay."""
        return (await agent.ainvoke(human()))["messages"][-1].text

    guard = Guard(coordinator, tools={"order": ToolPolicy(effect="delegate", key="order/7")})
    node = guard.tool_node([order if face == "sync" else aorder])
    graph = tools_only(node, node={"retry_policy": RETRY}, checkpointer=InMemorySaver())

    assert heard(lambda: play(graph, asks(call("order")), thread(), mode=face)) == []
    assert shop.paid == [1]
    assert shop.guard.check(graph) == []


# --- LangGraph Server -------------------------------------------------------------------------------------------

ON_SERVER = {"configurable": {"thread_id": "a", "graph_id": "shop", "assistant_id": "1"}}


@pytest.mark.parametrize("build", [lambda shop: shop.loop(), lambda shop: shop.agent()])
def test_a_run_of_langgraph_server_over_a_store_of_one_process_is_warned_of_once(
    coordinator: Coordinator, mode: str, build: Build
) -> None:
    shop = Shop(coordinator)
    graph = build(shop)
    play(graph, human(), thread("b"), mode=mode)

    told = heard(lambda: [play(graph, human(), ON_SERVER, mode=mode) for _ in range(2)])

    assert [text.startswith(LOCAL) for text in told] == [True]


def test_in_a_process_of_langgraph_server_the_guard_warns_when_it_is_made(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "langgraph_api", types.ModuleType("langgraph_api"))

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        Guard(coordinator, tools={"pay": ToolPolicy()})

    assert [str(each.message).startswith(LOCAL) for each in seen] == [True]
    assert seen[0].filename == __file__


def test_a_file_is_for_one_machine_and_a_store_that_all_reach_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "langgraph_api", types.ModuleType("langgraph_api"))
    with Coordinator.from_url(f"sqlite:///{tmp_path / 'a.db'}") as coordinator:
        [told] = heard(lambda: Guard(coordinator, tools={}))
        assert told.startswith("Only the processes of this machine can reach the store sqlite:///")

        monkeypatch.setattr(coordinator._backend, "reach", "")
        assert heard(lambda: Guard(coordinator, tools={})) == []
        assert heard(lambda: play(Shop(coordinator).loop(), human(), ON_SERVER)) == []


# --- other versions of LangGraph --------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [lambda shop: shop.loop(retry=RETRY), with_retry_inside])
def test_no_call_fails_where_langgraph_is_built_in_another_way(
    coordinator: Coordinator, mode: str, build: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gone(configurable: Any) -> Any:
        raise AttributeError("'PregelLoop' object has no attribute 'tasks'")

    monkeypatch.setattr(lookout, "node_of", gone)
    shop = Shop(coordinator)

    with caplog.at_level(logging.DEBUG, logger="clawproof_langgraph"):
        assert heard(lambda: go(build(shop), mode)) == []

    assert shop.paid == [1]
    assert "what is around a guarded tool cannot be read" in caplog.text


def test_what_was_looked_at_is_forgotten_with_its_graph(coordinator: Coordinator) -> None:
    shop = Shop(coordinator)
    for _ in range(3):
        go(shop.loop(), "sync")
    gc.collect()

    assert len(shop.guard._lookout._seen) == 0
