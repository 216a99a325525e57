"""Shared state of one process, with careless tools over it: they read, think and write, as if nobody else did.

What each tool meant to do is noted beside the state, so that a lost update shows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from clawproof_langgraph import Guard, ToolPolicy
from clawproof_langgraph.testing import Seat, Turn

ACCOUNTS = ("ann", "bob", "cid", "dan")
ARTICLES = ("desk", "lamp", "vase")
REGISTERS = ("price", "rate")
STOCK, MONEY = 20, 100

POLICIES = {
    "take": ToolPolicy(locks=["stock/{article}"]),
    "bring": ToolPolicy(locks=["stock/{article}"]),
    "transfer": ToolPolicy(locks=["account/{source}", "account/{target}"]),
    "note": ToolPolicy(locks=["register/{name}"]),
}


class Books:
    """Stock, accounts and registers."""

    def __init__(self, think: float = 0.001) -> None:
        self.think = think
        self.start()

    def start(self) -> None:
        """Begin anew."""
        self.stock = dict.fromkeys(ARTICLES, STOCK)
        self.money = dict.fromkeys(ACCOUNTS, MONEY)
        self.registers: dict[str, str] = dict.fromkeys(REGISTERS, "start")
        self.moves: list[tuple[str, int]] = []
        self.history: list[tuple[str, str, str]] = []

    # --- the tools

    def take(self, article: str, units: int) -> str:
        """Take units out of the stock, if there are so many."""
        before = self.stock[article]
        time.sleep(self.think)
        if before < units:
            return "sold out"
        self.stock[article] = before - units
        self.moves.append((article, -units))
        return "taken"

    def bring(self, article: str, units: int) -> str:
        """Add units to the stock."""
        before = self.stock[article]
        time.sleep(self.think)
        self.stock[article] = before + units
        self.moves.append((article, units))
        return "brought"

    def transfer(self, source: str, target: str, amount: int) -> str:
        """Move money from one account to another."""
        has, gets = self.money[source], self.money[target]
        time.sleep(self.think)
        if has < amount:
            return "no money"
        self.money[source], self.money[target] = has - amount, gets + amount
        return "moved"

    def note(self, name: str, text: str) -> str:
        """Write a register that remembers what it replaces."""
        before = self.registers[name]
        time.sleep(self.think)
        self.registers[name] = text
        self.history.append((name, before, text))
        return f"{text} for {before}"

    # --- what must hold

    def check(self) -> None:
        """Find lost updates, stock below zero, and money that came or went."""
        for article in ARTICLES:
            moved = sum(units for name, units in self.moves if name == article)
            assert self.stock[article] == STOCK + moved, f"updates of stock/{article} were lost"
            assert self.stock[article] >= 0, f"stock/{article} is below zero"
        assert sum(self.money.values()) == MONEY * len(ACCOUNTS), f"the sum of the accounts is {self.money}"
        for register in REGISTERS:
            now = "start"
            for _, before, text in [each for each in self.history if each[0] == register]:
                assert before == now, f"register/{register}: {text} replaced {now} without having seen it"
                now = text

    # --- the agents

    def tools(self) -> list[BaseTool]:
        """Give the tools."""
        functions = (self.take, self.bring, self.transfer, self.note)
        return [StructuredTool.from_function(function) for function in functions]

    def guarded(self, seat: Seat) -> Any:
        """Make an agent whose tools are guarded."""
        return graph_of(Guard(seat.coordinator, agent=seat.name, tools=POLICIES).tool_node(self.tools()))

    def unguarded(self, seat: Seat) -> Any:
        """Make the same agent without a guard."""
        return graph_of(ToolNode(self.tools()))


def graph_of(tool_node: ToolNode, **options: Any) -> Any:
    """Make a graph that runs the calls which it is given."""
    graph = StateGraph(MessagesState)
    graph.add_node("tools", tool_node)
    graph.add_edge(START, "tools")
    return graph.compile(**options)


def asked(turn: Turn) -> dict[str, Any]:
    """Draw one to three calls, which LangGraph runs in parallel."""
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
