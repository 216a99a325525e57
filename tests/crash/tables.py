"""The tables of results: cells that differ only in what makes no difference share an entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.crash.cells import Build, Cell, End, Face, Moment, Resumed, Saving
from tests.crash.kinds import KINDS, Kind
from tests.crash.observed import Observed
from tests.crash.promise import BUSINESS_KEY, SYNC_OR_KEY, needed

Results = Mapping[Cell, Observed]
Row = tuple[str, ...]

NONE = "-"
_NEEDS = {SYNC_OR_KEY: "needs sync or a key", BUSINESS_KEY: "needs a key"}
_WITH_KEY = "with a business key"


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        title: of the table.
        text: how to read it.
        columns: their titles.
        rows: as many texts each as there are columns.
    """

    title: str
    text: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def tables(results: Results) -> list[Table]:
    """Make the tables of what came of all cells."""
    return [_killed(results), _asked_again(results), _cut_short(results), _left(results), _unguarded(results)]


# --- the tables -------------------------------------------------------------------------------------------------


def _killed(results: Results) -> Table:
    cells = [cell for cell in results if cell.guarded and cell.end is End.KILL and cell.resumed is Resumed.GOES_ON]
    rows = [(kind.name, moment, *_by_saving(_of(kind, moment, cells), results)) for kind, moment in _places(cells)]
    return Table(
        "Killed with SIGKILL, then resumed from the SqliteSaver",
        "Each entry is true of a ToolNode with the guard's hooks, of a ToolNode over `guard.wrap_tools`, and of "
        "`create_agent` with the middleware, and for each of a sync tool, an async tool, and a sync tool under "
        "`ainvoke`; where the graphs differ, it names them.",
        ("tool", "killed", *Saving, _WITH_KEY),
        _merged(rows),
    )


def _asked_again(results: Results) -> Table:
    cells = [cell for cell in results if cell.resumed is Resumed.ASKS_AGAIN]
    savings = (Saving.SYNC, Saving.ASYNC)
    rows = [
        (kind.name, moment, *_by_saving(_of(kind, moment, cells), results, savings)) for kind, moment in _places(cells)
    ]
    return Table(
        "The same, but the user sends the message again",
        "The run could go on, but is not asked to: the model is asked anew, and its call is another one, unless the "
        "first is in doubt.",
        ("tool", "killed", *savings, _WITH_KEY),
        _merged(rows),
    )


def _cut_short(results: Results) -> Table:
    cells = [cell for cell in results if cell.end is not End.KILL and cell.saving is not Saving.LATE]
    rows = [
        (kind.name, moment, end, *_by_face([cell for cell in _of(kind, moment, cells) if cell.end is end], results))
        for kind, moment in _places(cells)
        for end in End
        if end is not End.KILL
    ]
    return Table(
        "Ended in the tool by something else",
        "With each durability, and in each graph that can be ended so: `invoke` cannot be cancelled, `create_agent` "
        "has no time-out of a node, and LangGraph has one for async runs only. An own node calls the guarded tool "
        "itself, on the main thread, where a signal interrupts the tool and not only its caller.",
        ("tool", "ended", "by", *Face, Build.BY_HAND),
        _merged(_merged(rows, on=2, loosely=True), on=1),
    )


def _left(results: Results) -> Table:
    cells = [cell for cell in results if cell.end is not End.KILL and cell.saving is Saving.LATE]
    rows = []
    for kind, moment in _places(cells):
        found = _of(kind, moment, cells)
        with_key = [cell for cell in found if cell.business_key]
        plain = _by_face([cell for cell in found if not cell.business_key], results)
        rows.append((kind.name, moment, *plain[1:3], _entry(with_key, results)))
    return Table(
        "Ended by a SystemExit that leaves the event loop, before the message was saved",
        'Who leaves an event loop so cancels its tasks, and under `durability="async"` those that save. A sync tool '
        "goes on in its thread, and settles.",
        ("tool", "ended", Face.ASYNC, Face.THREAD, _WITH_KEY),
        _merged(rows),
    )


def _unguarded(results: Results) -> Table:
    cells = [cell for cell in results if not cell.guarded]
    rows = [(kind.name, moment, *_by_saving(_of(kind, moment, cells), results)[:-1]) for kind, moment in _places(cells)]
    return Table(
        "The same crashes without the guard",
        "The caller is told the last result, whatever happened.",
        ("tool", "killed", *Saving),
        _merged(rows),
    )


# --- rows -------------------------------------------------------------------------------------------------------


def _merged(rows: Iterable[Row], *, on: int = 1, loosely: bool = False) -> tuple[Row, ...]:
    """Put rows together that follow each other and differ in one column only.

    Args:
        rows: of a table.
        on: the column.
        loosely: whether a case that does not exist fits any other.
    """
    merged: list[Row] = []
    for row in rows:
        if merged and _fit(merged[-1], row, on, loosely):
            both = zip(merged[-1], row, strict=True)
            merged[-1] = tuple(
                f"{before}; {now}" if at == on else now if before == NONE else before
                for at, (before, now) in enumerate(both)
            )
        else:
            merged.append(row)
    return tuple((*row[:on], _or_any(row[on]), *row[on + 1 :]) for row in merged)


def _fit(before: Row, now: Row, on: int, loosely: bool) -> bool:
    pairs = [pair for at, pair in enumerate(zip(before, now, strict=True)) if at != on]
    return all(one == other or (loosely and NONE in (one, other)) for one, other in pairs)


def _or_any(cases: str) -> str:
    return "at any moment" if cases == "; ".join(Moment) else cases


def _places(cells: Iterable[Cell]) -> list[tuple[Kind, Moment]]:
    found = {(cell.kind, cell.moment) for cell in cells}
    return [(kind, moment) for kind in KINDS for moment in Moment if (kind, moment) in found]


def _of(kind: Kind, moment: Moment, cells: Iterable[Cell]) -> list[Cell]:
    return [cell for cell in cells if cell.kind == kind and cell.moment is moment]


def _by_saving(cells: Sequence[Cell], results: Results, savings: Iterable[Saving] = Saving) -> tuple[str, ...]:
    plain = [[cell for cell in cells if cell.saving is saving and not cell.business_key] for saving in savings]
    return tuple(_entry(group, results) for group in [*plain, [cell for cell in cells if cell.business_key]])


def _by_face(cells: Sequence[Cell], results: Results) -> tuple[str, ...]:
    ready = [[cell for cell in cells if cell.face is face and cell.build is not Build.BY_HAND] for face in Face]
    by_hand = [cell for cell in cells if cell.build is Build.BY_HAND]
    return tuple(_entry(group, results) for group in [*ready, by_hand])


def _entry(cells: Sequence[Cell], results: Results) -> str:
    """Say what came of cells that share an entry; where they differ, by the graph that makes the difference."""
    graphs: dict[str, list[str]] = {}
    for cell in cells:
        graphs.setdefault(_said(cell, results[cell]), []).append(cell.build)
    if len(graphs) <= 1:
        return next(iter(graphs), NONE)
    return "; ".join(f"{', '.join(dict.fromkeys(builds))}: {said}" for said, builds in graphs.items())


def _said(cell: Cell, seen: Observed) -> str:
    if not cell.guarded:
        return str(seen.effects)
    if need := needed(cell):
        return f"**{seen.effects}**, {_NEEDS[need]}"
    asked = ", a human was asked" if seen.questions else ""
    return f"{seen.effects}, {seen.told}{asked}"
