"""The map of agents and resources as a picture: agents left, resources right, a line for who touches what.

Its size follows from how many there are. Both sides are put in the order in which few lines cross: each box moves, for
some rounds, to the middle of what it is joined with (the barycentre method of K. Sugiyama and others, 1981).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from clawproof_langgraph.audit.findings import MappedResource
from clawproof_langgraph.audit.reports.markup import Markup, element, joined
from clawproof_langgraph.audit.words import counted

_BOX: Final = 250.0
_GAP: Final = 320.0
_ROW: Final = 34.0
_HEIGHT: Final = 26.0
_EDGE: Final = 10.0
_LEGEND: Final = 44.0
_LETTERS: Final = 31
"""As many letters of a name as fit into a box."""
_ROUNDS: Final = 8
_NAMED: Final = 5
"""The most lines without a guard that are told in words."""


@dataclass(frozen=True, slots=True)
class Line:
    """An agent and a resource that it touches.

    Args:
        agent, resource: their names.
        writes, reads: how.
        unguarded: whether a call of it goes around every guard.
    """

    agent: str
    resource: str
    writes: bool
    reads: bool
    unguarded: bool

    @property
    def words(self) -> str:
        """The line in words."""
        how = " and ".join(word for word, does in (("writes", self.writes), ("reads", self.reads)) if does)
        return f"{self.agent} {how} {self.resource}"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each box is: the height of its middle, by name."""

    agents: Mapping[str, float]
    resources: Mapping[str, float]
    height: float


def lines_of(resources: Iterable[MappedResource]) -> tuple[Line, ...]:
    """Read from the map who touches what."""
    return tuple(
        Line(agent, each.pattern, agent in each.writers, agent in each.readers, agent in each.unguarded)
        for each in resources
        for agent in dict.fromkeys((*each.writers, *each.readers))
    )


def layout_of(resources: Sequence[MappedResource]) -> Layout:
    """Find a place for each agent and resource."""
    lines = lines_of(resources)
    right = list(dict.fromkeys(each.pattern for each in resources))
    left = list(dict.fromkeys(line.agent for line in lines))
    agents_of = {name: [line.agent for line in lines if line.resource == name] for name in right}
    resources_of = {name: [line.resource for line in lines if line.agent == name] for name in left}
    for _ in range(_ROUNDS):
        left = _towards(left, resources_of, right)
        right = _towards(right, agents_of, left)
    height = max(len(left), len(right), 1) * _ROW
    return Layout(_spread(left, height), _spread(right, height), height)


def _towards(names: Sequence[str], joined_with: Mapping[str, Sequence[str]], others: Sequence[str]) -> list[str]:
    """Sort names by the middle of what each is joined with; who is joined with nothing stays where it is."""
    ranks = {name: rank / max(len(others), 1) for rank, name in enumerate(others)}

    def middle(name: str) -> float:
        found = [ranks[other] for other in joined_with[name]]
        return sum(found) / len(found) if found else names.index(name) / len(names)

    return sorted(names, key=middle)


def _spread(names: Sequence[str], height: float) -> dict[str, float]:
    return {name: _EDGE + (rank + 0.5) * height / len(names) for rank, name in enumerate(names)}


def picture(resources: Sequence[MappedResource]) -> Markup:
    """Draw the map, for a page that gives its classes their colours."""
    layout, lines = layout_of(resources), lines_of(resources)
    width, height = 2 * _BOX + _GAP + 2, layout.height + 2 * _EDGE + _LEGEND
    # What deserves attention is drawn last, over the rest.
    drawn = sorted(lines, key=lambda line: (line.unguarded, line.writes))
    ends = _Ends(lines, layout)
    return element(
        "svg",
        element("title", "Map of agents and resources", id="picture-title"),
        element("desc", describe(resources), id="picture-description"),
        element("g", [_line(line, ends) for line in drawn], class_="lines"),
        element("g", [_box(name, 1, middle, "agent") for name, middle in layout.agents.items()]),
        element("g", [_box(name, _BOX + _GAP + 1, middle, "resource") for name, middle in layout.resources.items()]),
        element("g", _legend(height - _LEGEND / 2)),
        viewBox=f"0 0 {width:g} {height:g}",
        width=f"{width:g}",
        height=f"{height:g}",
        role="img",
        aria_labelledby="picture-title picture-description",
        class_="map",
    )


def describe(resources: Sequence[MappedResource]) -> str:
    """Say in words what the picture shows."""
    lines = lines_of(resources)
    agents, bare = {line.agent for line in lines}, [line for line in lines if line.unguarded]
    writes = sum(line.writes for line in lines)
    said = (
        f"{counted(len(agents), 'agent')} on the left, {counted(len(resources), 'resource')} on the right, "
        f"{counted(writes, 'line')} for writes and {counted(len(lines) - writes, 'line')} for reads only."
    )
    if not bare:
        return f"{said} All go through a guard."
    named = "; ".join(line.words for line in bare[:_NAMED])
    rest = f"; and {len(bare) - _NAMED} more" if len(bare) > _NAMED else ""
    return f"{said} Without a guard: {named}{rest}."


class _Ends:
    """Where lines begin and end: several at one box side by side, in the order of where they lead."""

    def __init__(self, lines: Sequence[Line], layout: Layout) -> None:
        self.left: dict[Line, float] = {}
        self.right: dict[Line, float] = {}
        for name, middle in layout.agents.items():
            mine = sorted((line for line in lines if line.agent == name), key=lambda o: layout.resources[o.resource])
            self.left |= zip(mine, _fan(middle, len(mine)), strict=True)
        for name, middle in layout.resources.items():
            mine = sorted((line for line in lines if line.resource == name), key=lambda o: layout.agents[o.agent])
            self.right |= zip(mine, _fan(middle, len(mine)), strict=True)


def _fan(middle: float, number: int) -> Iterator[float]:
    room = _HEIGHT - 8
    yield from (middle + (rank + 0.5) / number * room - room / 2 for rank in range(number))


def _line(line: Line, ends: _Ends) -> Markup:
    start, end = ends.left[line], ends.right[line]
    left, right = _BOX + 1, _BOX + _GAP + 1
    bend = (left + right) / 2
    kind = "write" if line.writes else "read"
    return element(
        "path",
        element("title", f"{line.words}, without a guard" if line.unguarded else line.words),
        d=f"M{left:g} {start:.1f}C{bend:g} {start:.1f} {bend:g} {end:.1f} {right:g} {end:.1f}",
        class_=f"{kind} bare" if line.unguarded else kind,
    )


def _box(name: str, left: float, middle: float, kind: str) -> Markup:
    shown = name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…"
    return element(
        "g",
        element("title", name),
        element(
            "rect",
            x=f"{left:g}",
            y=f"{middle - _HEIGHT / 2:.1f}",
            width=f"{_BOX:g}",
            height=f"{_HEIGHT:g}",
            rx="13" if kind == "agent" else "4",
        ),
        element("text", shown, x=f"{left + 12:g}", y=f"{middle + 4.5:.1f}"),
        class_=kind,
    )


def _legend(middle: float) -> Markup:
    parts = []
    for left, kind, words in (
        (1.0, "write", "writes"),
        (130.0, "read", "reads"),
        (255.0, "write bare", "writes without a guard"),
        (475.0, "read bare", "reads without a guard"),
    ):
        parts.append(element("path", d=f"M{left:g} {middle:g}h44", class_=kind))
        parts.append(element("text", words, x=f"{left + 54:g}", y=f"{middle + 4.5:g}", class_="legend"))
    return joined(parts)
