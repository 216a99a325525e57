"""The global lock order, checked where calls nest.

A call takes all its resources in one step, so it never waits for its own second lock. Only a nested call waits while
something is held. What a call around it holds already it shares with the siblings inside that call, and nobody else; so
it is enough, and needed, that what it wants sorts after all that was taken further in than that. A cycle of waits would
have to come down again, in the outermost call that all of it is inside of, and cannot.
"""

from __future__ import annotations

from collections.abc import Sequence

from clawproof_langgraph.errors import LockOrderError
from clawproof_langgraph.model import Mode, Want


def check_order(wants: Sequence[Want], chain: Sequence[Sequence[Want]]) -> None:
    """Check a nested request against what its call chain holds.

    Args:
        wants: the resources of the nested request.
        chain: the resources of each call around it, those of the innermost first.

    Raises:
        LockOrderError: it sorts before something that was taken further in, or would make a shared lock exclusive.
    """
    for want in wants:
        _check(want, chain)


def _check(want: Want, chain: Sequence[Sequence[Want]]) -> None:
    last = ""
    for held in chain:
        mode = dict(held).get(want.resource)
        if mode is Mode.SHARED and want.mode is Mode.EXCLUSIVE:
            why = "a shared lock cannot become exclusive while others may hold it too"
            remedy = (
                f'Take it exclusively from the start: Lock("{want.resource}") in the policy of the outer call, or '
                f'mode="exclusive" in the outer coordinator.lock(...).'
            )
            raise LockOrderError(want.resource, want.resource, why, remedy)
        if mode is not None:
            break
        last = max([last, *(resource for resource, _ in held)])
    if want.resource < last:
        raise LockOrderError(want.resource, last, "nested locks must sort after those that are held")
