"""The crash matrix as a command: `python -m tests.crash --all`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table as Drawn

from tests.crash.cells import Cell
from tests.crash.judging import fault
from tests.crash.matrix import chosen_cells, every_cell
from tests.crash.observed import Observed
from tests.crash.page import PAGE, written
from tests.crash.running import run_cells
from tests.crash.tables import Table, tables

_PIPED_WIDTH = 180
"""Columns for a reader that has no terminal."""
_STEP = 500
"""Cells after which a line says how far it is."""


@click.command()
@click.option("--all", "everything", is_flag=True, help=f"Run every cell, and write docs/{PAGE.name} if all are right.")
@click.option("--chosen", is_flag=True, help="Run those that the tests run, in which every two values meet.")
@click.option("--only", metavar="WORDS", multiple=True, help='Only cells with all of these, such as "once |" and exit.')
@click.option("--at-once", default=6 * (os.cpu_count() or 1), show_default=True, help="Cells that run at once.")
@click.pass_context
def main(context: click.Context, everything: bool, chosen: bool, only: Sequence[str], at_once: int) -> None:
    """Kill real processes at each step of a guarded call, resume their graphs, and count the effects.

    Ends with exit code 1 if a cell does not come out as it has to.
    """
    if not everything and not chosen:
        click.echo(context.get_help())
        return
    matrix = every_cell() if everything else chosen_cells()
    cells = [cell for cell in matrix if all(word in str(cell) for word in only)]
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else _PIPED_WIDTH)
    results, faults = _run(cells, at_once, console)
    for table in tables(results):
        _draw(table, console)
    console.print(*(f"\nWRONG: {each}" for each in faults), sep="\n")
    console.print(f"{len(cells)} cells, {len(faults)} beyond the promise or not as expected")
    if everything and not only and not faults:
        PAGE.write_text(written(results))
    sys.exit(1 if faults else 0)


def _run(cells: Sequence[Cell], at_once: int, console: Console) -> tuple[dict[Cell, Observed], list[str]]:
    began, outcomes = time.monotonic(), []
    for outcome in run_cells(cells, at_once=at_once):
        outcomes.append(outcome)
        if len(outcomes) % _STEP == 0 or len(outcomes) == len(cells):
            console.print(f"{len(outcomes)} of {len(cells)} cells in {time.monotonic() - began:.0f} s")
    found = {outcome.cell: outcome.observed for outcome in outcomes if outcome.observed}
    # In the order of the matrix, not in that in which they were done.
    return {cell: found[cell] for cell in cells if cell in found}, [text for text in map(fault, outcomes) if text]


def _draw(table: Table, console: Console) -> None:
    if not table.rows:
        return
    drawn = Drawn(*table.columns, title=table.title, show_lines=True)
    for row in table.rows:
        drawn.add_row(*[entry.replace("**", "") for entry in row])
    console.print(drawn)


if __name__ == "__main__":
    main()
