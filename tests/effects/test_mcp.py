"""The key arrives at a real MCP server, in `_meta` of the tool call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from langchain_mcp_adapters.tools import load_mcp_tools
from mcp import ClientSession
from mcp.server.fastmcp import Context, FastMCP
from mcp.shared.memory import create_connected_server_and_client_session

from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from clawproof_langgraph.effects.mcp import KEY, keyed

from .calls import inside


class Shop:
    """A server with one tool, which notes the `_meta` that it gets."""

    def __init__(self) -> None:
        self.metas: list[dict[str, Any]] = []
        self.server = FastMCP("shop")
        self.fails = False

        @self.server.tool()
        def charge(amount: int, ctx: Context) -> str:
            """Charge the customer's card."""
            meta = ctx.request_context.meta
            self.metas.append(meta.model_dump(exclude_none=True) if meta else {})
            if self.fails:
                raise OSError("the bank did not answer")
            return f"charged {amount}"

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[ClientSession]:
        """Connect a client in this process, with keys."""
        async with create_connected_server_and_client_session(self.server._mcp_server) as session:
            yield keyed(session)

    @property
    def keys(self) -> list[str | None]:
        """The keys that it got."""
        return [meta.get(KEY) for meta in self.metas]


async def test_the_key_is_the_same_in_every_attempt_and_another_in_another_call() -> None:
    shop = Shop()
    async with shop.connected() as session:
        for key in ("order/7", "order/7", "order/8"):
            with inside(key):
                result = await session.call_tool("charge", {"amount": 1})
                assert not result.isError
    first, again, other = shop.keys
    assert first and first == again != other


async def test_distinct_and_identical_calls_of_one_body_have_keys_of_their_own() -> None:
    shop = Shop()
    async with shop.connected() as session:
        with inside("order/7"):
            for amount in (1, 2, 1):
                await session.call_tool("charge", {"amount": amount})
    assert len(set(shop.keys)) == 3


async def test_a_tool_call_that_failed_keeps_its_key_when_it_is_repeated() -> None:
    shop = Shop()
    async with shop.connected() as session:
        with inside("order/7"):
            for shop.fails in (True, False):
                await session.call_tool("charge", {"amount": 1})
    assert shop.keys[0] == shop.keys[1] is not None


async def test_an_error_of_version_2_of_the_sdk_is_one_too() -> None:
    keys: list[Any] = []

    class Session:
        async def call_tool(self, name: str, arguments: Any = None, *, meta: dict[str, Any]) -> Any:
            keys.append(meta[KEY])
            return SimpleNamespace(is_error=len(keys) == 1)

    session = keyed(Session())
    with inside("order/7"):
        for _ in range(3):
            await session.call_tool("charge")
    assert keys[0] == keys[1] != keys[2]


async def test_what_else_the_caller_puts_into_meta_stays_also_a_key_of_its_own() -> None:
    shop = Shop()
    async with shop.connected() as session:
        with inside("order/7"):
            await session.call_tool("charge", {"amount": 1}, meta={"tenant": "a"})
            await session.call_tool("charge", {"amount": 1}, meta={KEY: "mine"})
    assert shop.metas[0]["tenant"] == "a" and shop.keys[0]
    assert shop.keys[1] == "mine"


async def test_nothing_is_added_outside_of_a_call_and_in_a_read() -> None:
    shop = Shop()
    async with shop.connected() as session:
        await session.call_tool("charge", {"amount": 1})
        with inside(""):
            await session.call_tool("charge", {"amount": 1})
    assert shop.keys == [None, None]


async def test_the_rest_of_the_session_is_as_before() -> None:
    async with Shop().connected() as session:
        assert [tool.name for tool in (await session.list_tools()).tools] == ["charge"]


async def test_a_guarded_tool_of_langchain_mcp_adapters_hands_the_key_on() -> None:
    shop = Shop()
    with Coordinator.from_url("memory://") as coordinator:
        guard = Guard(coordinator, agent="orders", tools={"charge": ToolPolicy(effect="keyed", key="order/{amount}")})
        async with shop.connected() as session:
            [charge] = guard.wrap_tools(await load_mcp_tools(session))
            await charge.ainvoke({"amount": 1})
    assert shop.keys[0]
