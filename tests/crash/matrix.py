"""Which cells are run: all of them, or a choice in which every two values meet."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, product

from tests.crash.cells import (
    BUILDS,
    Build,
    Cell,
    Face,
    Moment,
    Saving,
    asked_again_cells,
    cut_short_cells,
    guarded_cells,
    unguarded_cells,
)
from tests.crash.kinds import ONCE
from tests.crash.pairs import pairwise
from tests.crash.promise import remedied


@dataclass(frozen=True)
class Matrix:
    """Cells by what they are about.

    Args:
        killed: with the guard, killed with SIGKILL.
        asked_again: the same, and the user sends the message again.
        cut_short: with the guard, ended by something else.
        unguarded: killed without the guard.
    """

    killed: tuple[Cell, ...]
    asked_again: tuple[Cell, ...]
    cut_short: tuple[Cell, ...]
    unguarded: tuple[Cell, ...]

    def __iter__(self) -> Iterator[Cell]:
        return chain(self.killed, self.asked_again, self.cut_short, self.unguarded)


def every_cell() -> Matrix:
    """Give all cells; where one needs something for its promise, also the same cell with that."""
    return Matrix(
        _with_remedies(guarded_cells()),
        _with_remedies(asked_again_cells()),
        _with_remedies(cut_short_cells()),
        tuple(unguarded_cells()),
    )


def chosen_cells() -> Matrix:
    """Give a small choice in which every two values meet, and so every kind is killed at every moment."""
    return Matrix(
        _with_remedies(pairwise(guarded_cells(), _values)),
        _with_remedies(pairwise(asked_again_cells(), _values)),
        _with_remedies(pairwise(cut_short_cells(), _values)),
        tuple(pairwise(unguarded_cells(), _values)),
    )


def known_duplicates() -> list[Cell]:
    """Give the crashes without the guard of which LANGGRAPH.md says that they make an effect twice."""
    builds = [build for build in BUILDS if build is not Build.WRAPPED]
    in_tool = [
        Cell(ONCE, Moment.AFTER_EFFECT, build, face, saving, guarded=False)
        for build, face, saving in product(builds, Face, Saving)
    ]
    beside = [
        Cell(ONCE, Moment.BESIDE_SIBLING, Build.HOOKED, face, saving, guarded=False)
        for face, saving in product(Face, (Saving.SYNC, Saving.ASYNC))
    ]
    return in_tool + beside


def _values(cell: Cell) -> tuple[Hashable, ...]:
    return cell.kind.name, cell.moment, cell.build, cell.face, cell.saving, cell.end


def _with_remedies(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    chosen = list(cells)
    return _unique([*chosen, *remedied(chosen)])


def _unique(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    return tuple(dict.fromkeys(cells))
