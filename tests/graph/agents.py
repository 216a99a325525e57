"""Agents inside agents, in every arrangement that people build, each over a till whose payments are counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from deepagents import create_deep_agent
from langchain.agents import create_agent
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolCall, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import tools_condition
from langgraph.types import Send
from langgraph_supervisor import create_supervisor
from langgraph_swarm import create_handoff_tool, create_swarm
from pydantic import PrivateAttr

from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from clawproof_langgraph.middleware import CoordinationMiddleware
from tests.langgraph.scripted import call

from .conversing import last_turn
from .till import POLICIES, Till

Plan = Sequence[Sequence[ToolCall]]
"""What an agent emits in a turn: the calls of its first message, those of its second, and so on."""

PAY: Plan = [[call("pay", "1")]]
PAY_AND_ASK: Plan = [*PAY, [call("approve", "2")]]
PAY_AND_BREAK: Plan = [*PAY, [call("break_once", "2")]]

FOREVER = 40
"""How often no model is asked that is going to stop."""


class Agent(BaseChatModel):
    """Emits its plan after each human message, whatever ids LangChain gives to what it emits."""

    name: str
    plan: list[list[ToolCall]]
    _seen: list[list[BaseMessage]] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "planned"

    @property
    def asked(self) -> list[int]:
        """For each time that it was asked, how much of its plan it saw done."""
        return [len(self._mine(messages)) for messages in self._seen]

    @property
    def told(self) -> list[str]:
        """What its tools have answered, as it saw them the last time."""
        return [message.text for message in self._seen[-1] if isinstance(message, ToolMessage)]

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Agent:
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self._seen.append(list(messages))
        assert len(self._seen) < FOREVER, f"{self.name} is asked for ever"
        emitted = len(self._mine(messages))
        calls = [dict(each) for each in self.plan[emitted]] if emitted < len(self.plan) else []
        return ChatResult(generations=[ChatGeneration(message=AIMessage("" if calls else "done", tool_calls=calls))])

    def _mine(self, messages: Sequence[BaseMessage]) -> list[AIMessage]:
        turn = last_turn(messages)
        return [message for message in turn if isinstance(message, AIMessage) and message.name == self.name]


# --- who works --------------------------------------------------------------------------------------------------


@dataclass
class Office:
    """Workers who pay when they are asked, and how they are kept.

    Args:
        coordinator: of all guards.
        plan: what a worker does when it is asked.
        keeping: the checkpointer of a worker's graph.
        at_once: how often the worker is asked in one message, or sent to in one step.
        pay: the policy of the payment.
        delegate: the policy of the tool that a worker is in, where that is guarded.
        node: what else is said of the node of the graph around.
        around: the middleware inside the guard's, of an agent with a worker inside a tool.
    """

    coordinator: Coordinator
    plan: Plan = field(default_factory=lambda: PAY)
    keeping: Any = None
    at_once: int = 1
    pay: ToolPolicy = field(default_factory=ToolPolicy)
    delegate: ToolPolicy = field(default_factory=lambda: ToolPolicy(effect="delegate"))
    node: dict[str, Any] = field(default_factory=dict)
    around: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.till = Till(self.coordinator)
        self.guard = Guard(self.coordinator, tools={**POLICIES, "pay": self.pay})
        self.tools = self.till.tools()
        self.model = Agent(name="worker", plan=[list(calls) for calls in self.plan])
        self.saver: Any = InMemorySaver()

    @property
    def paid(self) -> list[int]:
        """The payments that were made."""
        return self.till.paid

    def worker(self) -> Any:
        """Make the agent that pays."""
        return create_agent(
            self.model,
            self.tools,
            middleware=[CoordinationMiddleware(self.guard)],
            name=self.model.name,
            checkpointer=self.keeping,
        )

    def boss(self, name: str, **args: Any) -> Agent:
        """Make the model that asks the worker, as often as it is to be asked at once."""
        return Agent(name="boss", plan=[[call(name, f"ask-{number}", **args) for number in range(self.at_once)]])

    def delegating(self) -> BaseTool:
        """Make a tool that has the worker do it."""
        worker = self.worker()

        def delegate(request: str) -> str:
            """Have the worker do it."""
            return worker.invoke({"messages": [("user", request)]})["messages"][-1].text

        async def adelegate(request: str) -> str:
            return (await worker.ainvoke({"messages": [("user", request)]}))["messages"][-1].text

        return StructuredTool.from_function(func=delegate, coroutine=adelegate, name="delegate")


# --- how they are asked -----------------------------------------------------------------------------------------


def in_tool(office: Office) -> Any:
    """A worker inside a tool without a guard."""
    return _boss_with(office, [office.delegating()], [])


def in_guarded_tool(office: Office) -> Any:
    """A worker inside a tool that delegates."""
    guard = Guard(office.coordinator, tools={"delegate": office.delegate})
    return _boss_with(office, [office.delegating()], [CoordinationMiddleware(guard)])


def _boss_with(office: Office, tools: list[BaseTool], middleware: list[Any]) -> Any:
    boss = office.boss("delegate", request="go")
    middleware = [*middleware, *office.around]
    return create_agent(boss, tools, middleware=middleware, name="boss", checkpointer=office.saver)


def in_guarded_tool_by_hand(office: Office) -> Any:
    """A worker inside a tool that delegates, in a ToolNode that runs all calls of a message in one task."""
    guard, boss = Guard(office.coordinator, tools={"delegate": office.delegate}), office.boss("delegate", request="go")

    def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [boss.invoke(state["messages"]).model_copy(update={"name": boss.name})]}

    builder = StateGraph(MessagesState)
    builder.add_node("model", ask)
    builder.add_node("tools", guard.tool_node([office.delegating()]), **office.node)
    builder.add_edge(START, "model")
    builder.add_conditional_edges("model", tools_condition)
    builder.add_edge("tools", "model")
    return builder.compile(checkpointer=office.saver)


def as_node(office: Office) -> Any:
    """A worker that is a node."""
    return _sent_to(office, office.worker())


def in_node(office: Office) -> Any:
    """A worker that the code of a node invokes."""
    worker = office.worker()

    def work(state: MessagesState) -> dict[str, Any]:
        return {"messages": worker.invoke(state)["messages"]}

    async def awork(state: MessagesState) -> dict[str, Any]:
        return {"messages": (await worker.ainvoke(state))["messages"]}

    return _sent_to(office, RunnableLambda(work, awork))


def _sent_to(office: Office, desk: Any) -> Any:
    builder = StateGraph(MessagesState)
    builder.add_node("desk", desk, **office.node)
    builder.add_conditional_edges(START, lambda state: [Send("desk", state)] * office.at_once, ["desk"])
    return builder.compile(checkpointer=office.saver)


def supervised(office: Office) -> Any:
    """A worker under a supervisor."""
    boss = office.boss("transfer_to_worker")
    workers = create_supervisor([office.worker()], model=boss, supervisor_name="boss", output_mode="full_history")
    return workers.compile(checkpointer=office.saver)


def in_swarm(office: Office) -> Any:
    """A worker in a swarm, to whom the front desk hands over."""
    handoff = create_handoff_tool(agent_name="worker")
    front = create_agent(office.boss(handoff.name), [handoff], name="boss")
    return create_swarm([front, office.worker()], default_active_agent="boss").compile(checkpointer=office.saver)


def in_deep_agent(office: Office) -> Any:
    """A worker of a deep agent."""
    return _deep_agent(office, [])


def in_guarded_deep_agent(office: Office) -> Any:
    """A worker of a deep agent whose `task` tool delegates."""
    guard = Guard(office.coordinator, tools={"task": office.delegate}, unmapped="allow")
    return _deep_agent(office, [CoordinationMiddleware(guard)])


def _deep_agent(office: Office, middleware: Sequence[Any]) -> Any:
    boss = office.boss("task", description="go", subagent_type="worker")
    worker = {"name": "worker", "description": "Pays.", "runnable": office.worker()}
    return create_deep_agent(boss, subagents=[worker], middleware=middleware, name="boss", checkpointer=office.saver)


Arrangement = Callable[[Office], Any]

GUARDED: dict[str, Arrangement] = {
    "guarded tool": in_guarded_tool,
    "guarded tool by hand": in_guarded_tool_by_hand,
    "guarded deep agent": in_guarded_deep_agent,
}
"""Where the call of a guarded tool is around the worker."""

BRANCHING: dict[str, Arrangement] = {
    "tool": in_tool,
    "node": as_node,
    "in a node": in_node,
    "deep agent": in_deep_agent,
}
"""Others in which several workers can be at work at once."""

HANDING_OVER: dict[str, Arrangement] = {"supervisor": supervised, "swarm": in_swarm}
"""Others in which there is one worker at a time."""

UNGUARDED = {**BRANCHING, **HANDING_OVER}
ALL = {**GUARDED, **UNGUARDED}
KEEPING: dict[str, Callable[[], Any]] = {
    "inherited": lambda: None,
    "stateful": lambda: True,
    "own": InMemorySaver,
    "none": lambda: False,
}
"""The checkpointers that a worker may be compiled with. One of its own gives way to that of the graph around."""

KEPT = [name for name in KEEPING if name != "none"]
"""Those with which a worker goes on from where it was."""
