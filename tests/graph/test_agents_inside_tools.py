"""What a tool that delegates makes of the agent inside it: of its errors, and of its memory."""

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.tools import BaseTool, ToolException, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.prebuilt import ToolNode

from clawproof_langgraph import Coordinator, Guard, NotApplied, Rejected, Retry, ToolPolicy
from clawproof_langgraph.middleware import CoordinationMiddleware
from tests.langgraph.scripted import ScriptedModel, agent_loop, call, play, says, thread

from .agents import GUARDED, KEEPING, PAY_AND_BREAK, Office
from .stage import Build, doubts, hooked, human, ready_made, turn, types_of, wrapped

pytestmark = [
    pytest.mark.parametrize("url", ["memory://"]),  # what is inside a tool has nothing to do with the store
    pytest.mark.filterwarnings("ignore::clawproof_langgraph.errors.ClawproofWarning"),
]

# --- errors -----------------------------------------------------------------------------------------------------

REFUSALS = [NotApplied("nothing"), Rejected("no"), ToolException("no")]


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("keeping", ["inherited", "none"])
@pytest.mark.parametrize("arrangement", GUARDED)
def test_what_an_inner_call_says_of_itself_has_nothing_paid_again(
    coordinator: Coordinator, mode: str, arrangement: str, keeping: str, error: Exception
) -> None:
    """A worker who pays, and then meets a tool that was not applied, has done something all the same."""
    patient = ToolPolicy(effect="delegate", retry=Retry(initial_delay=0, jitter=False))
    office = Office(coordinator, PAY_AND_BREAK, KEEPING[keeping](), delegate=patient)
    office.till.breaks = [error]
    graph = GUARDED[arrangement](office)

    with pytest.raises(type(error)):
        play(graph, human(), thread(), mode=mode)
    if isinstance(error, Rejected):  # for good
        with pytest.raises(Rejected):
            play(graph, None, thread(), mode=mode)
    else:
        play(graph, None, thread(), mode=mode)

    assert office.paid == [1]
    assert "call.retrying" not in types_of(coordinator)


def buying(order: BaseTool, posted: list[str]) -> BaseTool:
    """Make a tool that does something of its own, and then calls a guarded tool."""

    @tool
    def buy() -> str:
        """Post a letter, and order."""
        posted.append("letter")
        return order.invoke({})

    return buy


@pytest.mark.parametrize("build", [hooked, wrapped, ready_made])
@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: type(error).__name__)
def test_what_an_inner_call_says_of_itself_proves_nothing_of_the_tool_around_it(
    coordinator: Coordinator, mode: str, build: Build, error: Exception
) -> None:
    posted: list[str] = []

    @tool
    def order() -> str:
        """Order."""
        raise error

    guard = Guard(coordinator, tools={"buy": ToolPolicy(), "order": ToolPolicy(retry=False)})
    graph = build(guard, turn(call("buy")), [buying(guard.wrap_tool(order), posted)])

    with pytest.raises(type(error)):
        play(graph, human(), thread(), mode=mode)

    assert posted == ["letter"] and doubts(coordinator) == ["buy"]


@pytest.mark.parametrize(
    "policy",
    [ToolPolicy(retry=False), ToolPolicy(retry=False, not_applied_on=[NotApplied])],
    ids=["its own error", "its policy"],
)
def test_the_author_of_the_tool_around_may_say_that_nothing_happened(
    coordinator: Coordinator, mode: str, policy: ToolPolicy
) -> None:
    """By an error of its own, or in its policy for those of what it calls."""

    @tool
    def order() -> str:
        """Order."""
        raise NotApplied("sold out")

    guard = Guard(coordinator, tools={"buy": policy, "order": ToolPolicy(retry=False)})
    ordering = guard.wrap_tool(order)

    @tool
    def buy() -> str:
        """Order, and do nothing else."""
        try:
            return ordering.invoke({})
        except NotApplied as error:
            if policy.not_applied_on:
                raise
            raise NotApplied("nothing was ordered") from error

    with pytest.raises(NotApplied):
        play(hooked(guard, turn(call("buy")), [buy]), human(), thread(), mode=mode)

    assert doubts(coordinator) == []


# --- memory -----------------------------------------------------------------------------------------------------


class Assistant:
    """An agent that remembers what it was told, inside a tool, beside a tool without an agent."""

    def __init__(self, keeping: Any = True) -> None:
        self.model = ScriptedModel(replies=[says(text="done")] * 9)
        self.agent = create_agent(self.model, [], name="assistant", checkpointer=keeping)

    @property
    def remembered(self) -> list[int]:
        """How many messages it saw, each time that it was asked."""
        return [len(messages) for messages in self.model.seen]

    def tools(self) -> list[BaseTool]:
        @tool
        def delegate() -> str:
            """Tell the assistant."""
            return self.agent.invoke(human("go"))["messages"][-1].text

        @tool
        async def adelegate() -> str:
            """Tell the assistant, from an event loop."""
            return (await self.agent.ainvoke(human("go")))["messages"][-1].text

        @tool
        def look() -> str:
            """Look."""
            return "nothing"

        return [delegate, adelegate.model_copy(update={"name": "delegate"}), look]


TURNS = [
    says(call("delegate", "1")),
    says(text="done"),
    says(call("look", "1"), call("delegate", "2")),
    says(text="done"),
    says(call("delegate", "1"), call("look", "2")),
    says(text="done"),
]


def unguarded(guard: Guard, model: ScriptedModel, tools: list[BaseTool], **options: Any) -> Any:
    return agent_loop(model, ToolNode(tools), checkpointer=InMemorySaver())


def unguarded_ready_made(guard: Guard, model: ScriptedModel, tools: list[BaseTool], **options: Any) -> Any:
    return create_agent(model, tools, checkpointer=InMemorySaver())


@pytest.mark.parametrize("build", [unguarded, unguarded_ready_made, hooked, wrapped, ready_made])
def test_a_stateful_agent_inside_a_guarded_tool_remembers_its_turns(
    coordinator: Coordinator, mode: str, build: Build
) -> None:
    assistant = Assistant()
    guard = Guard(coordinator, tools={"delegate": ToolPolicy(effect="delegate"), "look": ToolPolicy(effect="read")})
    tools = assistant.tools()
    graph = build(guard, ScriptedModel(replies=TURNS), [tools[mode == "async"], tools[2]])

    for _ in range(3):
        play(graph, human(), thread(), mode=mode)

    assert assistant.remembered == [1, 3, 5]


def test_an_agent_that_a_hook_runs_in_the_same_task_is_not_taken_for_the_one_inside_the_tool(
    coordinator: Coordinator, mode: str
) -> None:
    """LangGraph tells graphs of one task apart by their order: the one of the tool comes second here."""
    reviewer, assistant = Assistant(), Assistant()
    guard = Guard(coordinator, tools={"delegate": ToolPolicy(effect="delegate")})

    class Reviewing(CoordinationMiddleware):
        """Asks another agent before each call."""

        def wrap_tool_call(self, request: Any, handler: Any) -> Any:
            reviewer.agent.invoke(human("may it?"))
            return super().wrap_tool_call(request, handler)

        async def awrap_tool_call(self, request: Any, handler: Any) -> Any:
            await reviewer.agent.ainvoke(human("may it?"))
            return await super().awrap_tool_call(request, handler)

    replies = [says(call("delegate", "1")), says(text="done")] * 2
    tools = [assistant.tools()[mode == "async"]]
    model = ScriptedModel(replies=replies)
    graph = create_agent(model, tools, middleware=[Reviewing(guard)], checkpointer=InMemorySaver())

    for _ in range(2):
        play(graph, human(), thread(), mode=mode)

    assert reviewer.remembered == assistant.remembered == [1, 3]
