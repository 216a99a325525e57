"""The agents: LangGraph graphs with a model node and a tool node, and chat models that follow a script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from clawproof_langgraph.cli.demo.shop import Shop
from clawproof_langgraph.cli.demo.workload import Delivery, Order

Agent = CompiledStateGraph[Any, Any, Any, Any]
Script = Callable[[Sequence[BaseMessage]], AIMessage]
"""What the model says next, given the messages so far."""


class ScriptedModel(BaseChatModel):
    """A chat model that follows a script: no network, no key, no weights."""

    script: Script

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.script(messages))])


def tools_of(shop: Shop) -> list[BaseTool]:
    """Make LangChain tools of the shop's functions."""
    return [StructuredTool.from_function(function) for function in (shop.deliver, shop.sell, shop.charge)]


def build_agent(
    name: str, script: Script, tool_node: ToolNode, checkpointer: BaseCheckpointSaver[Any] | None = None
) -> Agent:
    """Compile an agent: the model speaks, its tool calls run, until it has nothing more to call."""
    model = ScriptedModel(script=script)

    def speak(state: MessagesState) -> dict[str, list[BaseMessage]]:
        return {"messages": [model.invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("model", speak)
    graph.add_node("tools", tool_node)
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    return graph.compile(checkpointer=checkpointer, name=name)


def supplier_script(deliveries: Sequence[Delivery]) -> Script:
    """Write the script of a supplier: one delivery after the other."""

    def script(messages: Sequence[BaseMessage]) -> AIMessage:
        done = sum(isinstance(message, ToolMessage) for message in messages)
        if done == len(deliveries):
            return AIMessage("All is delivered.")
        return _call("deliver", sku=deliveries[done].sku, units=deliveries[done].units)

    return script


def seller_script(order: Order) -> Script:
    """Write the script of a seller: sell, then charge; a person may ask it to finish what was left open."""
    items = [{"sku": sku, "units": units} for sku, units in order.lines]
    charge = {"order_id": order.id, "amount": order.amount}

    def script(messages: Sequence[BaseMessage]) -> AIMessage:
        match messages[-1]:
            case ToolMessage(status="error"):
                return AIMessage(f"Order {order.id} is left to a person: {messages[-1].text}")
            case ToolMessage(name="sell", content="sold out") | ToolMessage(name="charge"):
                return AIMessage(f"Order {order.id}: {messages[-1].text}")
            case ToolMessage(name="sell"):
                return _call("charge", **charge)
            case _ if any(isinstance(message, ToolMessage) for message in messages):
                return _call("charge", **charge)
            case _:
                return _call("sell", order_id=order.id, items=items)

    return script


def _call(tool: str, **arguments: object) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": tool, "args": arguments, "id": f"call-{uuid4().hex}"}])
