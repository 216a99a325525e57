"""What a tool does to the world, as its text tells: frozen data without behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from clawproof_langgraph.audit.findings import Confidence, Place

Kind = Literal["sql", "orm", "http", "cloud", "file", "mail", "message", "queue", "store", "memory", "process"]
"""By what the world is touched; `store` is a key-value or document store, `memory` is state of the process."""


@dataclass(frozen=True, slots=True)
class Touch:
    """One place where a function touches the world.

    Args:
        kind: by what.
        writes: whether it changes something.
        repeatable: whether doing it twice is as good as doing it once; None where that cannot be told.
        what: what is done, such as `INSERT INTO orders`.
        short: what completes the sentence "writes are not idempotent: ...", such as `uses INSERT, not UPSERT`.
        why: why it is, or is not, repeatable, in one sentence.
        fix: what to do about it, in one sentence; empty where nothing is.
        resource: what is touched, such as `orders`; empty where that is not known.
        place: the line that does it.
        via: the calls that lead to it from the function asked about, the outermost first.
        confidence: how sure this is.
    """

    kind: Kind
    writes: bool
    repeatable: bool | None
    what: str
    short: str
    why: str
    fix: str
    resource: str
    place: Place
    confidence: Confidence = Confidence.CERTAIN
    via: tuple[Place, ...] = ()
