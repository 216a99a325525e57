"""What the demo prints: the two acts side by side, the crash, the timeline, and where to look further."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from clawproof_langgraph.cli.demo.acts import Act, Crash
from clawproof_langgraph.cli.demo.folder import usual_folder
from clawproof_langgraph.cli.demo.store import Store
from clawproof_langgraph.cli.demo.workload import PROCESSES, Workload
from clawproof_langgraph.cli.settings import Settings
from clawproof_langgraph.events import Event
from clawproof_langgraph.inspection.timeline import ASCII, BLOCKS, draw, timeline_of

# What is counted: its name, the field of the tally, and whether it must be zero.
ROWS = (
    ("units delivered", "delivered", False),
    ("units sold", "sold", False),
    ("orders told 'sold out'", "refused", False),
    ("units sold that never existed", "oversold", True),
    ("updates lost (overwritten)", "lost_updates", True),
    ("units between stock and ledger", "off_by", True),
    ("payments made twice", "paid_again", True),
    ("orders sold but never paid", "unpaid", True),
    ("work left undone", "undone", True),
)


@dataclass(frozen=True, slots=True)
class Report:
    """All that is reported."""

    unguarded: Act
    guarded: Act
    events: Sequence[Event]
    store: Store
    folder: Path
    seconds: float


def print_introduction(console: Console, work: Workload) -> None:
    """Say what is about to happen."""
    _say(
        console,
        f"{work.agents} LangGraph agents in {PROCESSES + 1} processes share one SQLite inventory: suppliers adjust the "
        f"stock, sellers sell and take payment. Each tool reads, computes and writes, with no transaction. One process "
        f"gets a kill -9 while it takes a payment, and another one resumes its thread from the checkpoint.",
    )


def print_report(console: Console, report: Report) -> None:
    """Print the report."""
    console.print()
    console.print(comparison(report.unguarded, report.guarded))
    _print_crash(console, report.unguarded.crash, report.guarded.crash)
    print_timeline(console, report.events)
    _print_next_steps(console, report)


def comparison(unguarded: Act, guarded: Act) -> Table:
    """Put the two acts side by side."""
    table = Table("counted from the database")
    table.add_column("without the guard", justify="right")
    table.add_column("with the guard", justify="right")
    for name, field, must_be_zero in ROWS:
        numbers = [getattr(act.tally, field) for act in (unguarded, guarded)]
        table.add_row(name, *[_cell(number, must_be_zero) for number in numbers])
    table.add_row("seconds of work", f"{unguarded.seconds:.1f}", f"{guarded.seconds:.1f}", style="dim")
    return table


def _cell(number: int, must_be_zero: bool) -> str:
    if not must_be_zero:
        return str(number)
    return f"[bold red]{number}[/]" if number else "[green]0[/]"


def _print_crash(console: Console, unguarded: Crash, guarded: Crash) -> None:
    console.print(f"\n[bold]Order {escape(guarded.order)}: killed once its payment was made, resumed elsewhere[/]")
    _say(console, f"without the guard, the agent said: {unguarded.said}")
    _say(console, f"  so the order is paid {_times(unguarded.payments)}")
    _say(console, f"with the guard, the agent said: {guarded.said}")
    for key in guarded.resolved:
        _say(console, f"  an operator looked into the payments, and resolved {key} as applied")
    if guarded.finished is not None:
        _say(console, f"  asked again, the agent said: {guarded.finished}")
    _say(console, f"  so the order is paid {_times(guarded.payments)}")


def print_timeline(console: Console, events: Sequence[Event]) -> None:
    """Draw the lanes of the agents over the console's width."""
    glyphs = ASCII if console.options.ascii_only else BLOCKS
    console.print("\n[bold]Act two, agent by agent[/]")
    _say(console, glyphs.legend)
    for line in draw(timeline_of(events), width=console.width, glyphs=glyphs):
        console.print(Text(line, no_wrap=True, overflow="crop"))


def _print_next_steps(console: Console, report: Report) -> None:
    console.print("\n[bold]Look further[/]")
    settings = Settings(report.store.url, report.store.namespace)
    for command in ("trace", "locks", "events"):
        # One line each, however narrow the terminal: a command that is broken in two cannot be pasted.
        console.print(f"  {settings.hint(command)}", markup=False, highlight=False, soft_wrap=True)
    until = " until the next demo" if report.folder == usual_folder() else ""
    _say(console, f"The databases stay in {report.folder}{until}. The demo took {report.seconds:.1f} s.")


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False)
