"""The labels of the corpus, and how well the analysis meets them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clawproof_langgraph.audit.effects import Touch, touches_of
from clawproof_langgraph.audit.source import Function, SourceTree

CORPUS = Path(__file__).parent / "corpus"
LABEL = re.compile(r"^\s*# expect: (unsafe (?P<kind>\w+)|safe|read)$")


@dataclass(frozen=True)
class Labelled:
    """A function of the corpus with what is expected of it: `unsafe KIND`, `safe` or `read`."""

    function: Function
    expected: str


@dataclass(frozen=True)
class Score:
    """How many functions that are not repeatable were found, missed, or seen where there are none."""

    found: int
    missed: tuple[str, ...]
    wrong: tuple[str, ...]

    @property
    def precision(self) -> float:
        return self.found / max(self.found + len(self.wrong), 1)

    @property
    def recall(self) -> float:
        return self.found / max(self.found + len(self.missed), 1)

    def __str__(self) -> str:
        lines = [f"precision {self.precision:.3f}, recall {self.recall:.3f} ({self.found} found)"]
        return "\n".join(
            [*lines, *(f"  missed {each}" for each in self.missed), *(f"  wrong  {each}" for each in self.wrong)]
        )


def labelled(tree: SourceTree) -> Iterator[Labelled]:
    """Give the labelled functions: the comment stands above the first decorator, or above the `def`."""
    for module in tree.modules.values():
        lines = module.text.splitlines()
        for function in module.functions:
            first = min([function.node.lineno, *(each.lineno for each in function.node.decorator_list)])
            match = LABEL.match(lines[first - 2]) if first > 1 else None
            if match is not None:
                yield Labelled(function, match[1])


def score(tree: SourceTree) -> Score:
    """Measure: a function counts as found when a touch of the expected kind is said not to be repeatable."""
    found, missed, wrong = 0, [], []
    for each in labelled(tree):
        touches = touches_of(each.function, tree)
        unsafe = [touch for touch in touches if touch.writes and touch.repeatable is False]
        name = f"{each.function.place}: {each.function.name}: expected {each.expected}"
        if each.expected.startswith("unsafe"):
            kind = each.expected.partition(" ")[2]
            if any(touch.kind == kind for touch in unsafe):
                found += 1
            else:
                missed.append(f"{name}, got {_said(touches)}")
        elif unsafe:
            wrong.append(f"{name}, got {_said(unsafe)}")
        elif each.expected == "read" and any(touch.writes for touch in touches):
            wrong.append(f"{name}, got {_said(touches)}")
    return Score(found, tuple(missed), tuple(wrong))


def _said(touches: list[Touch] | tuple[Touch, ...]) -> str:
    return (
        "; ".join(f"{touch.kind} {touch.what} ({touch.repeatable}) at {touch.place.line}" for touch in touches)
        or "nothing"
    )
