"""The tools of the shop: each tells its fate before and after its effect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from langchain_core.messages import HumanMessage
from langchain_core.tools import BaseTool, StructuredTool

from clawproof_langgraph import current_call
from tests.crash.cells import Face, Moment
from tests.crash.fates import Fate
from tests.crash.kinds import ASK_CLERK, CHARGE, LOOK, PAY, SET_PRICE, SIBLING, TRANSFER
from tests.crash.world import RESULT, World


class Tools:
    """Makes the tools.

    Args:
        world: what they change.
        fate: whom they tell.
        face: how they run.
    """

    def __init__(self, world: World, fate: Fate, face: Face) -> None:
        self._world, self._fate, self._face = world, fate, face

    def acting(self, name: str) -> BaseTool:
        """Make a tool that acts by itself."""
        effects = {
            PAY: self._world.pay,
            SET_PRICE: self._world.set_price,
            CHARGE: self._world.charge,
            TRANSFER: self._world.transfer,
            LOOK: self._world.look,
        }
        act = effects[name]

        def effect(number: int) -> str:
            act(number, current_call())
            return RESULT

        async def aeffect(number: int) -> str:
            return effect(number)

        return self._tool(name, effect, aeffect)

    def asking(self, clerk: Any, **options: Any) -> BaseTool:
        """Make the tool that lets another agent act; it returns what that agent says at last.

        Args:
            clerk: the agent.
            options: of its invoke.
        """
        request = {"messages": [HumanMessage("go")]}

        def effect(number: int) -> str:
            return str(clerk.invoke(request, **options)["messages"][-1].text)

        async def aeffect(number: int) -> str:
            return str((await clerk.ainvoke(request, **options))["messages"][-1].text)

        return self._tool(ASK_CLERK, effect, aeffect)

    def sibling(self, watched: str) -> BaseTool:
        """Make the tool that runs beside the watched one."""

        def body(number: int) -> str:
            self._fate.reached(Moment.BESIDE_SIBLING, watched)
            return RESULT

        async def abody(number: int) -> str:
            await self._fate.areached(Moment.BESIDE_SIBLING, watched)
            return RESULT

        return self._made(SIBLING, body, abody)

    def _tool(self, name: str, effect: Callable[[int], str], aeffect: Callable[[int], Awaitable[str]]) -> BaseTool:
        def body(number: int) -> str:
            self._fate.reached(Moment.BEFORE_EFFECT, name)
            told = effect(number)
            self._fate.reached(Moment.AFTER_EFFECT, name)
            return told

        async def abody(number: int) -> str:
            await self._fate.areached(Moment.BEFORE_EFFECT, name)
            told = await aeffect(number)
            await self._fate.areached(Moment.AFTER_EFFECT, name)
            return told

        return self._made(name, body, abody)

    def _made(self, name: str, body: Callable[[int], str], abody: Callable[[int], Awaitable[str]]) -> BaseTool:
        way: dict[str, Any] = {"coroutine": abody} if self._face is Face.ASYNC else {"func": body}
        return StructuredTool.from_function(name=name, description="Act.", **way)
