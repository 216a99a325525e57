"""Shared state of one process, and two kinds of tools over it.

The careless ones read, think and write in one call, as if nobody else did. The others only read, or set what a model
has made of an earlier read: between the two it thinks, and no call is under way. What each write meant to do is noted
beside the state, so that a lost update shows.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from functools import cached_property
from random import Random
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from clawproof_langgraph import ToolPolicy
from clawproof_langgraph.testing import Turn

ACCOUNTS = ("ann", "bob", "cid", "dan")
ARTICLES = ("desk", "lamp", "vase")
REGISTERS = ("price", "rate")
STOCK, MONEY = 20, 100

_TRANSFER = ["account/{source}", "account/{target}"]


def policies(*, requires_read: bool = True) -> dict[str, ToolPolicy]:
    """Write the policies of all tools; those that set what a model has thought out may go unchecked."""
    return {
        "take": ToolPolicy(locks=["stock/{article}"]),
        "bring": ToolPolicy(locks=["stock/{article}"]),
        "transfer": ToolPolicy(locks=_TRANSFER),
        "note": ToolPolicy(locks=["register/{name}"]),
        "count": ToolPolicy(effect="read", locks=["stock/{article}"]),
        "balance": ToolPolicy(effect="read", locks=["account/{account}"]),
        "look": ToolPolicy(effect="read", locks=["register/{name}"]),
        "set_count": ToolPolicy(locks=["stock/{article}"], requires_read=requires_read),
        "set_balances": ToolPolicy(locks=_TRANSFER, requires_read=requires_read),
        "replace": ToolPolicy(locks=["register/{name}"], requires_read=requires_read),
    }


class Books:
    """Stock, accounts and registers."""

    def __init__(self, think: float = 0.001) -> None:
        self.think = think
        self.stock = dict.fromkeys(ARTICLES, STOCK)
        self.money = dict.fromkeys(ACCOUNTS, MONEY)
        self.registers: dict[str, str] = dict.fromkeys(REGISTERS, "start")
        self.moves: list[tuple[str, int]] = []
        self.history: list[tuple[str, str, str]] = []
        self.calls: Counter[str] = Counter()

    # --- careless tools

    def take(self, article: str, units: int) -> str:
        """Take units out of the stock, if there are so many."""
        self.calls[article] += 1
        before = self.stock[article]
        time.sleep(self.think)
        if before < units:
            return "sold out"
        self._move(article, before - units, -units)
        return "taken"

    def bring(self, article: str, units: int) -> str:
        """Add units to the stock."""
        self.calls[article] += 1
        before = self.stock[article]
        time.sleep(self.think)
        self._move(article, before + units, units)
        return "brought"

    def transfer(self, source: str, target: str, amount: int) -> str:
        """Move money from one account to another."""
        self.calls.update([source, target])
        has, gets = self.money[source], self.money[target]
        time.sleep(self.think)
        if has < amount:
            return "no money"
        self._pay(source, target, has - amount, gets + amount, amount)
        return "moved"

    def note(self, name: str, text: str) -> str:
        """Write a register that remembers what it replaces."""
        self.calls[name] += 1
        before = self.registers[name]
        time.sleep(self.think)
        self._replace(name, before, text)
        return f"{text} for {before}"

    # --- tools that read

    def count(self, article: str) -> int:
        """Tell how many units there are."""
        return self.stock[article]

    def balance(self, account: str) -> int:
        """Tell how much money there is."""
        return self.money[account]

    def look(self, name: str) -> str:
        """Tell what a register says."""
        return self.registers[name]

    # --- tools that write what somebody has thought out

    def set_count(self, article: str, units: int, moved: int) -> str:
        """Set how many units there are, of which so many are new."""
        self.calls[article] += 1
        self._move(article, units, moved)
        return f"{units} left"

    def set_balances(self, source: str, target: str, source_has: int, target_has: int, amount: int) -> str:
        """Set two accounts, between which an amount was moved."""
        self.calls.update([source, target])
        self._pay(source, target, source_has, target_has, amount)
        return "set"

    def replace(self, name: str, seen: str, text: str) -> str:
        """Write a register in the place of what was seen there."""
        self.calls[name] += 1
        self._replace(name, seen, text)
        return f"{text} for {seen}"

    def _move(self, article: str, units: int, moved: int) -> None:
        self.stock[article] = units
        self.moves.append((article, moved))

    def _pay(self, source: str, target: str, source_has: int, target_has: int, amount: int) -> None:
        self.money[source], self.money[target] = source_has, target_has
        self.moves += [(source, -amount), (target, amount)]

    def _replace(self, name: str, seen: str, text: str) -> None:
        self.registers[name] = text
        self.history.append((name, seen, text))

    def tools(self) -> list[BaseTool]:
        """Give all tools; those for agents that think have a sync and an async face."""
        return self._tools

    @cached_property
    def _tools(self) -> list[BaseTool]:
        careless = (self.take, self.bring, self.transfer, self.note)
        reading = (self.count, self.balance, self.look)
        writing = (self.set_count, self.set_balances, self.replace)
        return [*map(StructuredTool.from_function, careless), *map(_with_both_faces, reading + writing)]

    # --- what must hold

    def check(self) -> None:
        """Find lost updates, stock below zero, and money that came or went."""
        for held, first, kind in ((self.stock, STOCK, "stock"), (self.money, MONEY, "account")):
            for name, value in held.items():
                moved = sum(units for of, units in self.moves if of == name)
                assert value == first + moved, f"updates of {kind}/{name} were lost: {value} for {first + moved}"
                assert value >= 0, f"{kind}/{name} is below zero"
        assert sum(self.money.values()) == MONEY * len(ACCOUNTS), f"the sum of the accounts is {self.money}"
        for register in REGISTERS:
            now = "start"
            for _, before, text in [each for each in self.history if each[0] == register]:
                assert before == now, f"register/{register}: {text} replaced {now} without having seen it"
                now = text


def _with_both_faces(function: Callable[..., Any]) -> BaseTool:
    async def afunction(**arguments: Any) -> Any:
        await asyncio.sleep(0)
        return function(**arguments)

    tool = StructuredTool.from_function(function)
    tool.coroutine = afunction
    return tool


def graph_of(tool_node: ToolNode, **options: Any) -> Any:
    """Make a graph that runs the calls which it is given."""
    graph = StateGraph(MessagesState)
    graph.add_node("tools", tool_node)
    graph.add_edge(START, "tools")
    return graph.compile(**options)


def asked(turn: Turn) -> dict[str, Any]:
    """Draw one to three careless calls, which LangGraph runs in parallel."""
    calls = []
    for number in range(turn.random.randint(1, 3)):
        name, draw = turn.random.choice(_CALLS)
        text = f"{turn.agent}-{turn.number}-{number}"
        calls.append({"name": name, "args": draw(turn.random, text), "id": text, "type": "tool_call"})
    return {"messages": [AIMessage("", tool_calls=calls, id=turn.thread)]}


def _an_article(chance: Random, text: str) -> dict[str, Any]:
    return {"article": chance.choice(ARTICLES), "units": chance.randint(1, 5)}


def _a_transfer(chance: Random, text: str) -> dict[str, Any]:
    source, target = chance.sample(ACCOUNTS, 2)
    return {"source": source, "target": target, "amount": chance.randint(1, 40)}


def _a_note(chance: Random, text: str) -> dict[str, Any]:
    return {"name": chance.choice(REGISTERS), "text": text}


_CALLS: tuple[tuple[str, Callable[[Random, str], dict[str, Any]]], ...] = (
    ("take", _an_article),
    ("bring", _an_article),
    ("transfer", _a_transfer),
    ("note", _a_note),
)
