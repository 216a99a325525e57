"""Tasks hold their resources in the coordinator: against other processes, and for the tools inside them."""

import asyncio
import random
import threading
import time
from collections import Counter
from contextlib import ExitStack
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from clawproof_langgraph.middleware import CoordinationMiddleware
from clawproof_langgraph.orchestrator import Task, build_orchestrator
from tests.langgraph.scripted import ScriptedModel, call, says
from tests.waiting import wait_until

from .workshop import Workshop, do, job, statuses, under_way

# --- against others -----------------------------------------------------------------------------------------------


def test_a_task_waits_for_whoever_else_holds_its_resource(coordinator: Coordinator, mode: str) -> None:
    shop = Workshop()

    with ExitStack() as last, coordinator.lock("inventory/1", agent="script"):
        last.enter_context(under_way(shop.orchestrator(coordinator), [job("one", "inventory/1"), job("two")], mode))
        shop.wait_for("end", "two")
        wait_until(lambda: coordinator.snapshot().waiters)
        assert not shop.has("start", "one")

    assert shop.has("end", "one")


def test_whoever_else_wants_a_resource_waits_for_the_task(coordinator: Coordinator, mode: str) -> None:
    shop = Workshop()
    shop.hold("one")

    with under_way(shop.orchestrator(coordinator), [job("one", "inventory/1")], mode):
        shop.wait_for("start", "one")
        assert [lease.agent for lease in coordinator.snapshot().leases] == ["worker"]
        shop.release("one")
        with coordinator.lock("inventory/1", agent="script"):
            assert shop.has("end", "one")


def test_a_wait_that_is_too_long_fails_the_task_alone(coordinator: Coordinator, mode: str) -> None:
    shop = Workshop()
    graph = shop.orchestrator(coordinator, wait=0.05)

    with (
        coordinator.lock("inventory/1", agent="script"),
        under_way(graph, [job("one", "inventory/1"), job("two")], mode) as results,
    ):
        wait_until(lambda: results)

    assert statuses(results) == {"one": "failed", "two": "done"}
    assert results["one"]["error"].startswith("WaitTimeout: ")


def test_the_tasks_of_a_stopped_agent_fail_and_say_why(coordinator: Coordinator, mode: str) -> None:
    shop = Workshop()
    agents = {"worker": shop.worker(), "other": shop.worker()}
    coordinator.kill("worker", reason="sells too cheap", by="ops")

    results = do(shop.orchestrator(coordinator, agents=agents), [job("one"), job("two", agent="other")], mode)

    assert statuses(results) == {"one": "failed", "two": "done"}
    assert "AgentKilled" in results["one"]["error"] and "sells too cheap" in results["one"]["error"]


# --- inside -------------------------------------------------------------------------------------------------------


def seller(coordinator: Coordinator, policy: ToolPolicy, sold: list[str]) -> Any:
    """Make an agent that sells once, with a guarded tool."""

    @tool
    def sell(sku: str) -> str:
        """Sell a unit."""
        sold.append(sku)
        return "sold"

    guard = Guard(coordinator, tools={"sell": policy})
    replies = [says(call("sell", sku="1")), says(text="done")]
    return create_agent(
        ScriptedModel(replies=replies), [sell], middleware=[CoordinationMiddleware(guard)], name="seller"
    )


def selling(coordinator: Coordinator, policy: ToolPolicy, mode: str, *resources: str) -> tuple[Any, list[str]]:
    sold: list[str] = []
    agents = {"seller": seller(coordinator, policy, sold)}
    graph = build_orchestrator(agents, coordinator, checkpointer=InMemorySaver())
    result = do(graph, [Task(id="1", agent="seller", input="sell", resources=list(resources))], mode)["1"]
    return result, sold


@pytest.mark.parametrize("resources", [("inventory/1",), ("inventory/1", "till"), ("a",), ()])
def test_a_tool_inside_a_task_takes_what_the_task_holds_and_what_sorts_after_it(
    coordinator: Coordinator, mode: str, resources: tuple[str, ...]
) -> None:
    result, sold = selling(coordinator, ToolPolicy(locks=["inventory/{sku}"], wait=1), mode, *resources)

    assert result["status"] == "done" and sold == ["1"]
    assert result["result"]["messages"][-2].text == "sold"
    assert coordinator.snapshot().leases == ()


def test_a_tool_that_takes_what_sorts_before_fails_the_task_with_the_remedy(local: Coordinator, mode: str) -> None:
    result, sold = selling(local, ToolPolicy(locks=["inventory/{sku}"]), mode, "till")

    assert (result["status"], sold) == ("failed", [])
    assert 'LockOrderError: Cannot lock "inventory/1" while holding "till"' in result["error"]


def test_a_lock_that_a_task_shares_does_not_become_exclusive_in_its_tool(local: Coordinator, mode: str) -> None:
    agents = {"seller": seller(local, ToolPolicy(locks=["inventory/{sku}"]), [])}
    graph = build_orchestrator(agents, local, checkpointer=InMemorySaver())

    task = Task(id="1", agent="seller", input="sell", resources={"inventory/1": "shared"})
    result = do(graph, [task], mode)["1"]

    assert result["status"] == "failed" and "a shared lock cannot become exclusive" in result["error"]


# --- many ---------------------------------------------------------------------------------------------------------

_THINKS = 0.002
"""Seconds between reading and writing."""


class Bank:
    """Accounts that agents move money between: they read, think, and write."""

    def __init__(self, accounts: int) -> None:
        self.balances = {f"account/{number}": 100 for number in range(accounts)}
        self.users: Counter[tuple[str, str]] = Counter()
        self.broken: list[str] = []
        self._lock = threading.Lock()

    def transfer(self, order: dict[str, Any]) -> str:
        entered = self._enter(order)
        time.sleep(_THINKS)
        return self._write(order, entered)

    async def atransfer(self, order: dict[str, Any]) -> str:
        entered = self._enter(order)
        await asyncio.sleep(_THINKS)
        return self._write(order, entered)

    def _enter(self, order: dict[str, Any]) -> dict[str, int]:
        with self._lock:
            for name, kind in order["uses"].items():
                self.users[name, kind] += 1
                rivals = self.users[name, "exclusive"] + (self.users[name, "shared"] if kind == "exclusive" else 0)
                if rivals > (kind == "exclusive"):
                    self.broken.append(f"{order} beside a rival on {name}")
            return dict(self.balances)

    def _write(self, order: dict[str, Any], seen: dict[str, int]) -> str:
        with self._lock:
            if order["fails"]:
                self._leave(order)
                raise ConnectionError("the line is dead")
            for name, amount in order["moves"].items():
                self.balances[name] = seen[name] + amount
            self._leave(order)
        return "moved"

    def _leave(self, order: dict[str, Any]) -> None:
        for name, kind in order["uses"].items():
            self.users[name, kind] -= 1


def orders(chance: random.Random, accounts: int, agents: int, count: int) -> list[Task]:
    """Make tasks of all kinds: transfers between two accounts, looks at some, which may fail, after one another."""
    made: list[Task] = []
    for number in range(count):
        names = chance.sample([f"account/{number}" for number in range(accounts)], chance.randint(2, 3))
        looks = chance.random() < 0.3
        uses: dict[str, Any] = dict.fromkeys(names, "shared") if looks else dict.fromkeys(names[:2], "exclusive")
        moves = {} if looks else {names[0]: -5, names[1]: 5}
        before = [task["id"] for task in made]
        after = chance.sample(before, min(len(before), chance.choice([0, 0, 0, 1, 2])))
        given = {"uses": uses, "moves": moves, "fails": chance.random() < 0.05}
        agent = f"agent-{chance.randrange(agents)}"
        made.append(Task(id=f"{number}", agent=agent, input=given, resources=uses, after=after))
    return made


@pytest.mark.parametrize("seed", range(3))
def test_twelve_agents_with_random_tasks_keep_the_sum(coordinator: Coordinator, mode: str, seed: int) -> None:
    chance = random.Random(seed)
    bank, tasks = Bank(6), orders(chance, accounts=6, agents=12, count=80)
    chance.shuffle(tasks)
    agents = {f"agent-{number}": RunnableLambda(bank.transfer, bank.atransfer) for number in range(12)}
    graph = build_orchestrator(agents, coordinator, checkpointer=InMemorySaver())

    results = do(graph, tasks, mode)

    assert bank.broken == [] and sum(bank.balances.values()) == 600
    done = [task for task in tasks if results[task["id"]]["status"] == "done"]
    moved = Counter(dict.fromkeys(bank.balances, 100))
    for task in done:
        moved.update(task["input"]["moves"])
    assert bank.balances == dict(moved) and len(results) == 80
    for task in done:
        assert all(results[name]["ended"] <= results[task["id"]]["started"] for name in task["after"])
    lost = {name for name, result in results.items() if result["status"] != "done"}
    assert lost == {t["id"] for t in tasks if t["input"]["fails"] or lost & set(t["after"])}
