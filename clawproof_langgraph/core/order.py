"""The global lock order, checked where calls nest.

A call takes all its resources in one step, so it never waits for its own second lock. Only a nested call waits while
something is held; if it may wait solely for what sorts after everything held, no cycle of waits can close.
"""

from __future__ import annotations

from collections.abc import Sequence

from clawproof_langgraph.errors import LockOrderError
from clawproof_langgraph.model import Mode, Want


def check_order(wants: Sequence[Want], held: Sequence[Want]) -> None:
    """Check a nested request against what its call chain holds.

    Args:
        wants: the resources of the nested request.
        held: the resources of all calls around it.

    Raises:
        LockOrderError: it sorts before something held, or would make a shared lock exclusive.
    """
    covered: dict[str, Mode] = {}
    for resource, mode in held:
        if covered.get(resource) is not Mode.EXCLUSIVE:
            covered[resource] = mode
    last = max(covered, default="")
    for resource, mode in wants:
        if resource in covered:
            if mode is Mode.EXCLUSIVE and covered[resource] is Mode.SHARED:
                why = "a shared lock cannot become exclusive while others may hold it too"
                raise LockOrderError(resource, resource, why)
        elif resource < last:
            raise LockOrderError(resource, last, "nested locks must sort after those that are held")
