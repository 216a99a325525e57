"""Guarded tools and graphs of every build, so that a test can say what it is about and nothing else."""

import asyncio
import functools
from collections.abc import Callable, Mapping
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.prebuilt import ToolNode

from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from clawproof_langgraph.middleware import CoordinationMiddleware
from tests.langgraph.scripted import ScriptedModel, agent_loop, call, says

Build = Callable[..., Any]


def human(text: str = "go") -> dict[str, Any]:
    """Make the input of a turn."""
    return {"messages": [HumanMessage(text)]}


def turn(*calls: Any) -> ScriptedModel:
    """Make a model that emits these calls in one message, and then ends its turn, as often as it is asked."""
    return ScriptedModel(replies=[says(*calls), says(text="done"), says(text="done")])


def hooked(guard: Guard, model: ScriptedModel, tools: list[BaseTool], **options: Any) -> Any:
    """Build a hand-written loop whose ToolNode has the guard's hooks."""
    return agent_loop(model, guard.tool_node(tools), **{"checkpointer": InMemorySaver(), **options})


def wrapped(guard: Guard, model: ScriptedModel, tools: list[BaseTool], **options: Any) -> Any:
    """Build a hand-written loop over guarded tools, without hooks."""
    return agent_loop(model, ToolNode(guard.wrap_tools(tools)), **{"checkpointer": InMemorySaver(), **options})


def ready_made(guard: Guard, model: ScriptedModel, tools: list[BaseTool], **options: Any) -> Any:
    """Build an agent with the middleware."""
    middleware = [CoordinationMiddleware(guard)]
    return create_agent(model, tools, **{"checkpointer": InMemorySaver(), "middleware": middleware, **options})


def as_tool(body: Callable[..., Any], face: str, **options: Any) -> BaseTool:
    """Make a tool of a sync body; for the face `async`, an async tool that does the same."""
    if face != "async":
        return StructuredTool.from_function(func=body, **options)

    @functools.wraps(body)
    async def abody(*args: Any, **kwargs: Any) -> Any:
        return body(*args, **kwargs)

    return StructuredTool.from_function(coroutine=abody, **options)


def use(tool: BaseTool, face: str = "sync", call_id: str = "call-1", /, **args: Any) -> Any:
    """Call a tool as a ToolNode does, and give its ToolMessage."""
    request = call(tool.name, call_id, **args)
    return tool.invoke(request) if face == "sync" else asyncio.run(tool.ainvoke(request))


def guarded(coordinator: Coordinator, tool: BaseTool, policy: ToolPolicy, **options: Any) -> BaseTool:
    """Make a guarded copy of one tool."""
    return Guard(coordinator, tools={tool.name: policy}, **options).wrap_tool(tool)


def types_of(coordinator: Coordinator, **about: Any) -> list[str]:
    """List the types of the events so far."""
    return [event.type for event in coordinator.events(**about)]


def doubts(coordinator: Coordinator) -> list[str]:
    """List the tools of the calls in doubt."""
    return [entry.tool for entry in coordinator.snapshot().in_doubt]


def policies(**given: ToolPolicy) -> Mapping[str, ToolPolicy]:
    """Write a table of policies by tool name."""
    return given
