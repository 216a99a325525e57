"""What is done to the processes of a run, and when: drawn from the seed before it begins."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal


@dataclass(frozen=True, slots=True, order=True)
class Blow:
    """Something that is done to one of the processes, so many seconds after the start."""

    at: float
    kind: Literal["kill", "pause"]


def plan_of_blows(seed: int, *, seconds: float, kills: int, pauses: int) -> list[Blow]:
    """Draw the moments of kills and pauses, in order; none in the first and last tenth of the time."""
    chance = Random(f"{seed}/blows")
    at = [chance.uniform(0.1, 0.9) * seconds for _ in range(kills + pauses)]
    return sorted([Blow(each, "kill") for each in at[:kills]] + [Blow(each, "pause") for each in at[kills:]])
