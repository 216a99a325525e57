"""Starting anew in a forked child, before any of its code runs.

A child has a copy of everything and owns nothing: not the leases, not the connections, and not the locks of threads
that do not exist in it.
"""

from __future__ import annotations

import os
import weakref
from typing import Final, Protocol


class Forked(Protocol):
    """What cannot be shared with a child."""

    def start_anew(self) -> None:
        """Drop what belongs to the parent; called in the child, on its only thread."""


_living: Final[weakref.WeakSet[Forked]] = weakref.WeakSet()


def start_anew_in_children(subject: Forked) -> None:
    """Have `subject.start_anew` called in every process that is forked from now on, as long as it exists."""
    _living.add(subject)


def _in_child() -> None:
    for subject in list(_living):
        subject.start_anew()


if hasattr(os, "register_at_fork"):  # else there is no fork
    os.register_at_fork(after_in_child=_in_child)
