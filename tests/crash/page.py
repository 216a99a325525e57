"""The page docs/crash-matrix.md, which is made of results and changes only with them."""

from __future__ import annotations

from pathlib import Path

from tests.crash.tables import Results, Table, tables

PAGE = Path(__file__).parents[2] / "docs" / "crash-matrix.md"

_HEAD = """\
# What a crash costs

A real process is ended at each step of a call, and a new one resumes its graph from LangGraph's SQLite checkpoints:
{count} cells. An entry says how often the effect happened, counted in the tool's own database, and what the caller was
told in the end: `result`, what the tool returned; `unknown`, a ToolMessage that the outcome is unknown, that the call
must not be repeated, and by which key an operator finds it; `raised`, the same as an exception.

A bold number is more than the promise of the [README](../README.md#what-is-promised), and needs `durability="sync"` or
a business key (`key=` in the policy). The same crash with either is in the table, too.

`python -m tests.crash --all` runs each cell and writes this page; it ends with exit code 1 if a cell breaks its
promise. The tests run a choice of cells in which every two values meet.

- `sync`, `async` and `exit` are LangGraph's durability. Under `async`, its default, it is chance how much is saved when
  the process ends, so there are three columns: the model's message is saved; only what the model's task wrote is saved,
  and not the checkpoint after it; nothing is saved but the input.
- The model gives new ids to its calls whenever it is asked again, as real ones do.
- A dash is a case that does not exist, or that needs nothing.
"""


def written(results: Results) -> str:
    """Write the page."""
    return "\n".join([_HEAD.format(count=len(results)), *[_markdown(table) for table in tables(results)]])


def _markdown(table: Table) -> str:
    lines = [table.columns, ("---",) * len(table.columns), *table.rows]
    rows = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([f"## {table.title}", "", table.text, "", *rows, ""])
