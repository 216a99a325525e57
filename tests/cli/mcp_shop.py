"""A graph whose tools come from an MCP server, as its adapter gives them: their names are in no source."""

from typing import Any

from langchain_core.tools import StructuredTool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode


def listed() -> list[dict[str, Any]]:
    """Do what a server does when it is asked for its tools."""
    return [{"title": "l/ook", "readOnlyHint": True}, {"title": "p/ay", "destructiveHint": True}]


def loaded() -> list[StructuredTool]:
    """Do what the adapter makes of it."""
    made = []
    for each in listed():

        async def call_tool(sku: str) -> str:
            return sku

        call_tool.__module__ = "langchain_mcp_adapters.tools"
        name = each.pop("title").replace("/", "")
        made.append(StructuredTool.from_function(coroutine=call_tool, name=name, description=name, metadata=each))
    return made


builder = StateGraph(MessagesState)
builder.add_node("tools", ToolNode(loaded()))
builder.add_edge(START, "tools")
app = builder.compile()
