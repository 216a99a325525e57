"""The stress harness with all agents in one process: what it finds, what it says of it, and what it refuses."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from random import Random
from typing import Any

import pytest
from langchain_core.tools import StructuredTool
from langgraph.types import interrupt

from clawproof_langgraph import ConfigurationError, Guard, OutcomeUnknown, ToolPolicy
from clawproof_langgraph.testing import Broken, Scenario, Seat, StressReport, Turn, run_agents
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.stress.patience import Patience
from tests.testing.bank import Bank, unguarded, wrongly_locked
from tests.testing.books import graph_of

FEW: Any = {"n": 4, "rounds": 2, "seed": 1, "seconds": 30}
MORE: Any = {"n": 6, "rounds": 4, "seed": 1, "seconds": 30}
"""Turns enough that two agents meet at an account."""


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank(tmp_path / "bank.db", think=0.04)


def kinds(report: StressReport) -> list[str]:
    return [finding.kind for finding in report.findings]


# --- what breaks ------------------------------------------------------------------------------------------------


def test_a_tool_without_a_guard_is_found(bank: Bank, tmp_path: Path) -> None:
    report = run_agents(bank.scenario(unguarded), folder=tmp_path / "run", **MORE)

    assert kinds(report) == ["invariant"]
    assert "was paid in, and the accounts grew by" in str(report)
    assert "no guarded call is in the log" in str(report)


def test_a_lock_on_the_wrong_resource_is_found_and_the_calls_are_shown(bank: Bank, tmp_path: Path) -> None:
    report = run_agents(bank.scenario(wrongly_locked), folder=tmp_path / "run", **MORE)

    assert kinds(report) == ["invariant"]
    assert report.overlaps == (), "nobody held what another held"
    [note] = [note for note in report.notes if "with no lock in common" in note]
    assert note.startswith("deposit beside itself ran")
    assert report.findings[0].calls and set(report.findings[0].calls) <= set(report.calls)
    assert "deposit on payment/" in str(report)


def test_the_calls_on_the_resources_that_an_invariant_names_are_shown(tmp_path: Path) -> None:
    def invariant() -> None:
        raise Broken("it is odd", resources=["stock/lamp"])

    report = run_agents(sells("lamp", "vase", invariant=invariant), folder=tmp_path, **FEW)

    [finding] = report.findings
    assert finding.calls
    assert {name for id_ in finding.calls for name in report.calls[id_].resources} == {"stock/lamp"}


def test_the_calls_whose_resource_a_text_names_are_shown(tmp_path: Path) -> None:
    report = run_agents(sells("lamp", "vase", invariant=lambda: "stock/vase: one too few"), folder=tmp_path, **FEW)

    [finding] = report.findings
    assert {name for id_ in finding.calls for name in report.calls[id_].resources} == {"stock/vase"}


@pytest.mark.parametrize("said", ["a text", AssertionError("a text"), ValueError("a text")])
def test_an_invariant_says_no_by_a_text_or_by_raising(said: Any, tmp_path: Path) -> None:
    def invariant() -> object:
        if isinstance(said, str):
            return said
        raise said

    report = run_agents(lambda seat: str, invariant=invariant, folder=tmp_path, **FEW)

    assert kinds(report) == ["invariant"] and "a text" in report.findings[0].text


def test_an_assertion_without_words_is_told_by_its_place(tmp_path: Path) -> None:
    def invariant() -> None:
        raise AssertionError

    assert (
        "test_stress.py:" in run_agents(lambda seat: str, invariant=invariant, folder=tmp_path, **FEW).findings[0].text
    )


@pytest.mark.parametrize("said", [None, "", True, 3])
def test_an_invariant_that_says_nothing_holds(said: Any, tmp_path: Path) -> None:
    assert run_agents(lambda seat: str, invariant=lambda: said, folder=tmp_path, **FEW).ok


# --- how agents end ---------------------------------------------------------------------------------------------


def test_an_agent_that_raises_is_a_finding(tmp_path: Path) -> None:
    report = run_agents(raises(KeyError("sku-1")), folder=tmp_path, **FEW)

    assert kinds(report) == ["agent_failed"]
    assert "8 times: KeyError: 'sku-1'" in report.findings[0].text


def test_an_error_that_the_scenario_expects_is_counted(tmp_path: Path) -> None:
    report = run_agents(raises(KeyError("sku-1")), expected=(LookupError,), folder=tmp_path, **FEW)

    assert report.ok and report.turns == {"expected": 8}
    assert "expected: KeyError: 'sku-1' (8 times)" in str(report)


def test_a_refusal_of_the_library_is_counted(tmp_path: Path) -> None:
    report = run_agents(raises(OutcomeUnknown("pay/1", tool="pay")), folder=tmp_path, **FEW)

    assert report.ok and report.turns == {"refused": 8}


def test_a_mistake_that_the_library_finds_is_a_finding(tmp_path: Path) -> None:
    assert kinds(run_agents(raises(ConfigurationError("no lock")), folder=tmp_path, **FEW)) == ["agent_failed"]


def test_an_agent_that_never_ends_is_told_with_the_lease_it_holds(tmp_path: Path) -> None:
    over = threading.Event()

    def make(seat: Seat) -> Any:
        def hold(turn: Turn) -> None:
            with seat.coordinator.lock("stock/lamp", agent=seat.name):
                over.wait()

        return hold

    report = run_agents(make, n=1, seconds=0.2, patience=0.3, folder=tmp_path)
    over.set()

    assert kinds(report) == ["agent_stuck", "not_quiet"]
    assert report.findings[0].text == "agent-1 has not ended its turn 1"
    assert "1 lease and 0 waiters did not go in time" in report.findings[1].text
    assert "(lock) on stock/lamp" in str(report)


def test_a_turn_that_stops_to_ask_is_counted(tmp_path: Path) -> None:
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.prebuilt import ToolNode

    def ask() -> str:
        """Ask somebody."""
        return str(interrupt("may I?"))

    def make(seat: Seat) -> Any:
        return graph_of(ToolNode([StructuredTool.from_function(ask)]), checkpointer=InMemorySaver())

    assert run_agents(make, input=calling("ask"), folder=tmp_path, **FEW).turns == {"interrupted": 8}


def test_an_agent_may_be_async_all_through(tmp_path: Path) -> None:
    loops = set()

    async def make(seat: Seat) -> Any:
        import asyncio

        async def play(turn: Turn) -> None:
            loops.add((seat.name, id(asyncio.get_running_loop())))

        return play

    assert run_agents(make, folder=tmp_path, **FEW).turns == {"ended": 8}
    assert len(loops) == 4, "each agent stays on one loop"


def test_a_graph_runs_on_a_loop_if_told_so(tmp_path: Path) -> None:
    assert run_agents(sells("lamp", is_async=True), folder=tmp_path, **FEW).turns == {"ended": 8}


def test_time_in_which_the_process_itself_stood_still_is_no_waiting() -> None:
    clock = ManualClock(now=0.0)
    patience = Patience(3.0, after=10.0, clock=clock.ticks)

    def is_over_in(seconds: float) -> bool:
        clock.advance(seconds)
        return patience.is_over()

    assert not is_over_in(10.0), "nothing counts before that"
    assert [is_over_in(0.5), is_over_in(600.0), is_over_in(1.0)] == [False, False, False]
    assert is_over_in(1.0)


# --- chance -----------------------------------------------------------------------------------------------------


def test_the_same_seed_draws_the_same(tmp_path: Path) -> None:
    def drawn(seed: int) -> set[tuple[str, int, float]]:
        found = set()

        def make(seat: Seat) -> Any:
            return lambda turn: found.add((turn.agent, turn.number, turn.random.random()))

        run_agents(make, n=3, rounds=2, seed=seed, folder=tmp_path)
        return found

    assert len(drawn(1)) == 6
    assert drawn(1) == drawn(1) != drawn(2)


def test_a_seed_is_drawn_and_told(tmp_path: Path) -> None:
    report = run_agents(lambda seat: str, n=1, rounds=1, folder=tmp_path)
    assert f"seed {report.seed}" in str(report)


# --- the report -------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_report_is_left_in_the_project(project: Path) -> None:
    report = run_agents(sells("lamp"), **FEW)

    [file] = (project / ".clawproof" / "stress").glob("*/report.json")
    told = json.loads(file.read_text())
    assert report.file == file
    assert (told["schema"], told["ok"], told["seed"], told["agents"]) == ("clawproof.stress/1", True, 1, 4)
    assert told == json.loads(json.dumps(report.as_json()))
    assert (project / ".clawproof" / ".gitignore").exists()


def test_old_reports_go(project: Path) -> None:
    runs = project / ".clawproof" / "stress"
    for number in range(25):
        (runs / f"20260101T0000{number:02}Z-000000").mkdir(parents=True)
    (runs / "mine").mkdir()

    run_agents(lambda seat: str, n=1, rounds=1)

    assert len(list(runs.iterdir())) == 21, "twenty runs, and what is no run"
    assert (runs / "20260101T000024Z-000000").exists() and not (runs / "20260101T000000Z-000000").exists()


def test_what_is_in_doubt_is_listed_with_the_command_that_resolves_it(tmp_path: Path) -> None:
    report = run_agents(sells("lamp", error=OSError("lost"), expected=(OSError,)), n=1, rounds=1, folder=tmp_path)

    [doubt] = report.in_doubt
    assert report.ok
    assert f"clawproof resolve {doubt.key} applied --url" in str(report)
    assert f"--namespace {report.namespace}" in report.as_json()["in_doubt"][0]["resolve"]


def test_what_was_waited_for_is_told(tmp_path: Path) -> None:
    report = run_agents(sells("lamp"), folder=tmp_path, **FEW)

    assert [each.resource for each in report.contention] == ["stock/lamp"]
    assert report.contention[0].calls == 8


# --- the fixture ------------------------------------------------------------------------------------------------


def test_the_fixture_gives_the_report(stress: Any, tmp_path: Path) -> None:
    assert stress(lambda seat: str, folder=tmp_path, **FEW).ok


def test_the_fixture_fails_the_test_with_the_report(stress: Any, tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match="BROKEN, invariant: it is odd"):
        stress(lambda seat: str, invariant=lambda: "it is odd", folder=tmp_path, **FEW)


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"processes": 2, "url": "memory://"}, "2 processes cannot share memory://"),
        ({"kills": 1}, "With one process nobody can be killed"),
        ({"n": 0}, "n=0 is no number of at least 1"),
        ({"rounds": True}, "rounds=True is no number"),
        ({"seconds": "soon"}, "not a duration"),
        ({"second": 3}, 'no option "second"; did you mean "seconds"'),
        ({"url": "ftp://x"}, "not known"),
        ({"processes": 2}, "cannot be sent to other processes"),
    ],
)
def test_what_cannot_be_is_refused(options: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=said):
        run_agents(lambda seat: str, **{"folder": tmp_path, **options})


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nothing", "not of the form module:factory"),
        ("no_such_module:make", 'names the module "no_such_module", which is neither in'),
        ("tests.testing.bank:sond", 'has no "sond"; did you mean "sound"'),
        ("tests.testing.bank:MONEY", "is a int, and no function"),
        ("tests.testing.bank:sound", "failed: TypeError"),
        ("tests.waiting:object", 'has no "object"'),
        ("tests.testing.books:Books", "gave a Books; it is to give a Scenario"),
    ],
)
def test_a_bad_target_is_refused(target: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        run_agents(target)


def test_what_is_no_agent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"make_agent gave a int for agent-1; an agent has invoke"):
        run_agents(lambda seat: 3, folder=tmp_path)


def test_a_factory_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="make_agent failed for agent-1: ZeroDivisionError"):
        run_agents(lambda seat: 1 / 0, folder=tmp_path)
    with pytest.raises(ConfigurationError, match="setup failed: ZeroDivisionError"):
        run_agents(lambda seat: str, setup=lambda: 1 / 0, folder=tmp_path)


def test_a_scenario_and_its_parts_are_not_given_twice(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="invariant: the scenario says this"):
        run_agents(Scenario(make_agent=lambda seat: str), invariant=lambda: None, folder=tmp_path)


# --- agents -----------------------------------------------------------------------------------------------------


def sells(*articles: str, error: Exception | None = None, is_async: bool = False, **parts: Any) -> Scenario:
    """Let agents sell articles, each under its own lock."""

    def sell(article: str) -> str:
        """Sell."""
        if error:
            raise error
        return "sold"

    async def asell(article: str) -> str:
        """Sell."""
        return "sold"

    made = {"coroutine": asell, "name": "sell"} if is_async else {"func": sell}

    def make(seat: Seat) -> Any:
        guard = Guard(seat.coordinator, agent=seat.name, tools={"sell": ToolPolicy(locks=["stock/{article}"])})
        return graph_of(guard.tool_node([StructuredTool.from_function(**made)]))

    def draw(chance: Random) -> dict[str, Any]:
        return {"article": chance.choice(articles)}

    return Scenario(make_agent=make, input=calling("sell", draw), use_async=is_async, **parts)


def calling(tool: str, draw: Any = None) -> Any:
    """Give the input that calls a tool once."""
    from langchain_core.messages import AIMessage

    def give(turn: Turn) -> Any:
        call = {"name": tool, "args": draw(turn.random) if draw else {}, "id": turn.thread, "type": "tool_call"}
        return {"messages": [AIMessage("", tool_calls=[call], id=turn.thread)]}

    return give


def raises(error: Exception) -> Any:
    def make(seat: Seat) -> Any:
        def play(turn: Turn) -> None:
            raise error

        return play

    return make
