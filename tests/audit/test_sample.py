"""The audit of a project with six agents and four resources, as people read it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from clawproof_langgraph.cli import main
from tests.audit.projects import sample

EXPECTED = """\
  CHECK 10 — Multi-Agent Coordination
  ───────────────────────────────────
  ✓ Shared resources mapped: 4 resources, 6 agents with write access
  ✓ Orchestrator pattern detected: centralized task coordinator
  ✓ Distributed locks with TTL: 30s default, per-resource configurable
  ✓ Global lock ordering enforced (alphabetical resource-ID)
  ✗ FAIL: Agent "data_enricher" writes are not idempotent — uses INSERT, not UPSERT
  ✓ Event-driven sync: 3 event channels, all agents subscribed
  ✗ FAIL: No deadlock detection alerting configured — locks can expire but no alert fires
  ✓ Concurrent access tested: 12 agents, 20 s, 0 violations
  ✓ Contention measured: hottest resource "inventory/sku-42", p95 wait 40 ms
  ✓ Kill switch available per agent via orchestrator admin API

  Result: 2 issues found — fix idempotency and add deadlock alerting
  Severity: MEDIUM — data corruption risk under concurrent load
"""


def check(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.stdout


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in the folder of the sample project."""
    project = sample(tmp_path)
    monkeypatch.chdir(project)
    return project


@pytest.mark.parametrize("page", ["README.md", "docs/audit.md"])
def test_the_pages_show_what_is_printed(page: str) -> None:
    assert EXPECTED in (Path(__file__).parents[2] / page).read_text("utf-8")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--check", "10"),
        ("--check=10", "."),
        ("check",),
        ("check", "langgraph.json"),
        ("check", "--check", "10", "."),
        ("--format", "text", "--check", "10"),
    ],
)
def test_the_report_has_the_lines_that_people_know(shop: Path, arguments: tuple[str, ...]) -> None:
    assert check(*arguments) == (1, EXPECTED)


def test_with_both_issues_mended_it_passes(shop: Path) -> None:
    customers = shop / "shop" / "tools" / "customers.py"
    insert = '"INSERT INTO segments (customer, segment) VALUES (?, ?)"'
    upsert = '"INSERT INTO segments (customer, segment) VALUES (?, ?) ON CONFLICT (customer, segment) DO NOTHING"'
    assert insert in customers.read_text()
    customers.write_text(customers.read_text().replace(insert, upsert))
    with (shop / "clawproof.toml").open("a") as file:
        file.write('\n[alerts]\nsinks = ["log"]\n')

    code, shown = check("--check", "10")

    assert code == 0
    assert "✗" not in shown
    assert "?" not in shown
    assert "  ✓ Writes idempotent, or made at most once: 7 writing tools\n" in shown
    assert "  ✓ Deadlock detection alerting configured: 7 write policies, 1 sink\n" in shown
    assert shown.endswith("\n  Result: no issues found\n  Severity: NONE\n")


def test_verbose_shows_the_evidence_the_fix_and_the_map(shop: Path) -> None:
    _, shown = check("--check", "10", "--verbose")

    assert "at shop/tools/customers.py:28:9" in shown
    assert '> 28 |         db.execute("INSERT INTO segments' in shown
    assert 'fix: Its policy says effect="idempotent"' in shown
    assert (
        "    inventory/{sku}\n      written by order_taker, stock_keeper, with place_order, reserve_stock, restock"
        in shown
    )


def test_a_graph_is_audited_with_what_it_imports(shop: Path) -> None:
    code, shown = check("check", "shop.team:team")

    assert code == 1
    assert shown == EXPECTED


def test_one_file_is_audited_with_what_it_imports(shop: Path) -> None:
    (shop / "shop" / "other.py").write_text("def f(:\n")

    assert check("check", "shop/team.py") == (1, EXPECTED)


def test_signs_that_the_terminal_lacks_are_written_in_ascii(shop: Path) -> None:
    shown = CliRunner(charset="latin-1").invoke(main, ["check"]).stdout

    assert '  x FAIL: Agent "data_enricher" writes are not idempotent - uses INSERT, not UPSERT\n' in shown
    assert "  + Kill switch" in shown
    assert "  -----------------------------------\n" in shown
