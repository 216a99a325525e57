"""Conversations over every arrangement of agents, with a model that says what a human tells it to say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, HumanInTheLoopMiddleware
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, RemoveMessage, ToolCall, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import BaseTool, InjectedToolCallId, StructuredTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Command, RetryPolicy, Send, interrupt

from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from clawproof_langgraph.middleware import CoordinationMiddleware
from tests.langgraph.scripted import call

Rounds = Sequence[Sequence[ToolCall]]
"""What a model is to emit in one turn: the calls of its first message, those of its second, and so on."""

PLANS: dict[str, Rounds] = {
    "pay": [[call("pay", "1", amount=1)]],
    "pay twice in a message": [[call("pay", "1", amount=1), call("pay", "2", amount=1)]],
    "pay twice in two messages": [[call("pay", "1", amount=1)], [call("pay", "1", amount=1)]],
    "pay, ask, pay": [[call("pay", "1", amount=1)], [call("approve", "2")], [call("pay", "1", amount=1)]],
    "pay while it asks": [[call("pay", "1", amount=1), call("confirm", "2", amount=1)]],
    "pay and fail": [[call("pay", "1", amount=1), call("shaky", "2", amount=1)], [call("pay", "1", amount=1)]],
}
"""What a sub-agent may be asked to do, by the name that it is asked for by."""

EFFECTS = ("pay", "ship", "note", "confirm", "shaky")
POLICIES = {
    "pay": ToolPolicy(),
    "ship": ToolPolicy(),
    "note": ToolPolicy(),
    "confirm": ToolPolicy(),
    "shaky": ToolPolicy(effect="keyed", retry=False),
    "approve": ToolPolicy(effect="read"),
    "delegate": ToolPolicy(effect="delegate"),
}


def told(rounds: Rounds) -> HumanMessage:
    """Make the message that has the model emit these calls, whose text is always the same."""
    return HumanMessage("go", additional_kwargs={"rounds": [list(calls) for calls in rounds]})


class Puppet(BaseChatModel):
    """Emits what the last human message says, one message for each round; LangChain gives each an id of its own."""

    @property
    def _llm_type(self) -> str:
        return "puppet"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> "Puppet":
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        turn = last_turn(messages)
        rounds, emitted = turn[0].additional_kwargs.get("rounds", ()), len(asking(turn))
        calls = [dict(call) for call in rounds[emitted]] if emitted < len(rounds) else []
        return ChatResult(generations=[ChatGeneration(message=AIMessage("", tool_calls=calls))])


def last_turn(messages: Sequence[BaseMessage]) -> Sequence[BaseMessage]:
    """Give the last human message and what follows it."""
    return messages[max(at for at, message in enumerate(messages) if isinstance(message, HumanMessage)) :]


def asking(messages: Sequence[BaseMessage]) -> list[AIMessage]:
    """Pick the messages that call tools."""
    return [message for message in messages if isinstance(message, AIMessage) and message.tool_calls]


# --- tools ------------------------------------------------------------------------------------------------------


@dataclass
class Shop:
    """Tools whose effects are counted.

    Args:
        native: whether async bodies are used under `ainvoke`, and not sync ones on threads.
        failures: how many times a shaky call is going to fail before its effect.
    """

    native: bool = False
    failures: int = 0
    made: list[tuple[str, int]] = field(default_factory=list)

    def tools(self) -> list[BaseTool]:
        def pay(amount: int) -> str:
            """Pay."""
            self.made.append(("pay", amount))
            return f"paid {amount}"

        def ship(amount: int, tool_call_id: Annotated[str, InjectedToolCallId]) -> Command[Any]:
            """Ship, and tell it with a Command."""
            self.made.append(("ship", amount))
            return Command(update={"messages": [ToolMessage("shipped", tool_call_id=tool_call_id)]})

        def note(amount: int) -> ToolMessage:
            """Note; such a tool may be called without an id."""
            self.made.append(("note", amount))
            return ToolMessage("noted", tool_call_id="", name="note")

        def confirm(amount: int) -> str:
            """Ask a human, and only then do it."""
            interrupt("do it?")
            self.made.append(("confirm", amount))
            return "done"

        def shaky(amount: int) -> str:
            """Lose the connection before anything happens, so many times."""
            if self.failures:
                self.failures -= 1
                raise ConnectionError("not reached")
            self.made.append(("shaky", amount))
            return "done"

        def approve() -> str:
            """Ask a human."""
            return interrupt("approve?")

        return [self._made_of(body) for body in (pay, ship, note, confirm, shaky, approve)]

    def _made_of(self, body: Callable[..., Any]) -> BaseTool:
        async def abody(**kwargs: Any) -> Any:
            return body(**kwargs)

        made = StructuredTool.from_function(func=body)
        return made.model_copy(update={"coroutine": abody}) if self.native else made


# --- arrangements -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Options:
    """What is left open in an arrangement.

    Args:
        ready_made: whether agents are made by `create_agent`, and not written by hand.
        inner_ready_made: the same of sub-agents.
        retrying: whether nodes have a RetryPolicy.
        forgetful: whether what precedes the turn is removed whenever the model is asked.
        per_call: whether the human reviews each call as it starts, and not all calls of a message.
        keeping: the checkpointer of a sub-agent inside a tool.
    """

    ready_made: bool = False
    inner_ready_made: bool = False
    retrying: bool = False
    forgetful: bool = False
    per_call: bool = False
    keeping: Any = None

    @property
    def node(self) -> dict[str, Any]:
        policy = RetryPolicy(initial_interval=0, jitter=False, max_attempts=9, retry_on=ConnectionError)
        return {"retry_policy": policy} if self.retrying else {}


Arrangement = Callable[[Guard, Shop, Options], Any]


def hooked(guard: Guard, shop: Shop, options: Options) -> Any:
    """A hand-written loop whose ToolNode has the hooks."""
    return _by_hand(guard.tool_node(shop.tools()), options, InMemorySaver())


def wrapped(guard: Guard, shop: Shop, options: Options) -> Any:
    """A hand-written loop over guarded tools, which see no messages."""
    return _by_hand(ToolNode(guard.wrap_tools(shop.tools())), options, InMemorySaver())


def ready_made(guard: Guard, shop: Shop, options: Options) -> Any:
    """An agent of LangChain with the middleware."""
    return _created(guard, shop.tools(), options, InMemorySaver())


def reviewed(guard: Guard, shop: Shop, options: Options) -> Any:
    """An agent whose payments a human approves, edits or rejects."""
    mode = "per_call" if options.per_call else "batched"
    review = HumanInTheLoopMiddleware({"pay": True, "shaky": True}, interrupt_mode=mode)
    return _created(guard, shop.tools(), options, InMemorySaver(), [review])


def delegating(guard: Guard, shop: Shop, options: Options) -> Any:
    """An agent with another agent inside one of its tools."""
    tools = shop.tools()
    inner = _agent(guard, tools, options, options.keeping, options.inner_ready_made)

    def delegate(plan: str) -> str:
        """Have another agent do it."""
        return inner.invoke({"messages": [told(PLANS[plan])]})["messages"][-1].content

    async def adelegate(plan: str) -> str:
        return (await inner.ainvoke({"messages": [told(PLANS[plan])]}))["messages"][-1].content

    tool = StructuredTool.from_function(func=delegate, coroutine=adelegate)
    return _agent(guard, [*tools, tool], options, InMemorySaver(), options.ready_made)


def as_node(guard: Guard, shop: Shop, options: Options) -> Any:
    """An agent that is the node of another graph; a RetryPolicy of such a node starts the agent over."""
    return _of_desks(guard, shop, options, lambda state: "desk")


def fanned_out(guard: Guard, shop: Shop, options: Options) -> Any:
    """An agent that two tasks of one step run at once, with the same input."""
    return _of_desks(guard, shop, options, lambda state: [Send("desk", state), Send("desk", state)])


def _of_desks(guard: Guard, shop: Shop, options: Options, start: Callable[[Any], Any]) -> Any:
    builder = StateGraph(MessagesState)
    desk = _agent(guard, shop.tools(), options, None, options.inner_ready_made)
    builder.add_node("desk", desk)
    builder.add_conditional_edges(START, start, ["desk"])
    builder.add_edge("desk", END)
    return builder.compile(checkpointer=InMemorySaver())


def _agent(guard: Guard, tools: list[BaseTool], options: Options, checkpointer: Any, is_ready_made: bool) -> Any:
    if is_ready_made:
        return _created(guard, tools, options, checkpointer)
    return _by_hand(guard.tool_node(tools), options, checkpointer)


def _by_hand(tools: ToolNode, options: Options, checkpointer: Any) -> Any:
    model = Puppet()

    def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [*_forgotten(state, options), model.invoke(state["messages"])]}

    builder = StateGraph(MessagesState)
    builder.add_node("model", ask)
    builder.add_node("tools", tools, **options.node)
    builder.add_edge(START, "model")
    builder.add_conditional_edges("model", tools_condition)
    builder.add_edge("tools", "model")
    return builder.compile(checkpointer=checkpointer)


def _created(
    guard: Guard, tools: list[BaseTool], options: Options, checkpointer: Any, outside: Sequence[Any] = ()
) -> Any:
    middleware = [_Forgetting(options), *outside, CoordinationMiddleware(guard)]
    return create_agent(Puppet(), tools, middleware=middleware, checkpointer=checkpointer)


class _Forgetting(AgentMiddleware):
    """Removes what precedes the turn, if it is to."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        self._options = options

    def before_model(self, state: Any, runtime: Any) -> dict[str, Any]:
        return {"messages": _forgotten(state, self._options)}

    async def abefore_model(self, state: Any, runtime: Any) -> dict[str, Any]:
        return self.before_model(state, runtime)


def _forgotten(state: Any, options: Options) -> list[RemoveMessage]:
    messages = state["messages"]
    return [RemoveMessage(m.id) for m in messages[: -len(last_turn(messages))]] if options.forgetful else []


def guard_of(coordinator: Coordinator) -> Guard:
    """Make the guard of all these tools."""
    return Guard(coordinator, tools=POLICIES)
