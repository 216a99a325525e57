"""Who waits for whom: a pure function of what an instant shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from clawproof_langgraph.model import LeaseView, Mode, Snapshot, WaiterView


@dataclass(frozen=True, slots=True)
class Wait:
    """One call that cannot go on before another does.

    Args:
        who: the id of the call that waits (its owner id).
        on: the id of the call that it waits for.
        resource: what for: the resource that the other one holds, or waits for before it; or the key where both are
            the same call. Empty where the other one is nested in it.
    """

    who: str
    on: str
    resource: str


@dataclass(frozen=True, slots=True)
class WaitFor:
    """The wait-for graph of a namespace at one instant.

    Args:
        waits: its edges.
        leases, waiters: the calls that they are between, by id.
    """

    waits: tuple[Wait, ...]
    leases: dict[str, LeaseView] = field(default_factory=dict)
    waiters: dict[str, WaiterView] = field(default_factory=dict)

    def cycle(self) -> tuple[Wait, ...]:
        """Find calls that wait for each other in a circle; empty where there are none, as it should always be."""
        sorter: TopologicalSorter[str] = TopologicalSorter()
        for wait in self.waits:
            sorter.add(wait.who, wait.on)
        try:
            sorter.prepare()
        except CycleError as exc:
            around = list(reversed(exc.args[1]))
            edges = {(wait.who, wait.on): wait for wait in self.waits}
            return tuple([edges[pair] for pair in pairwise(around)])
        return ()


def wait_for(shown: Snapshot) -> WaitFor:
    """Read the wait-for graph of a namespace from what it shows."""
    leases = {lease.owner: lease for lease in shown.leases}
    waiters = {waiter.owner: waiter for waiter in shown.waiters}
    calls: list[LeaseView | WaiterView] = [*shown.leases, *shown.waiters]
    inside = [Wait(call.ancestors[-1], call.owner, "") for call in calls if call.ancestors]
    waits = [wait for waiter in shown.waiters for wait in _of(waiter, shown)]
    return WaitFor((*waits, *(wait for wait in inside if wait.who in leases)), leases, waiters)


def _of(waiter: WaiterView, shown: Snapshot) -> Iterator[Wait]:
    for lease in shown.leases:
        if lease.owner not in waiter.ancestors and (resource := _between(waiter, lease)):
            yield Wait(waiter.owner, lease.owner, resource)
    if waiter.ancestors:  # it competes with holders only
        return
    for other in shown.waiters:
        if other.ticket < waiter.ticket and (resource := _between(waiter, other)):
            yield Wait(waiter.owner, other.owner, resource)


def _between(waiter: WaiterView, other: LeaseView | WaiterView) -> str:
    """Give what is between two calls; empty where they are not in each other's way."""
    modes = dict(other.wants)
    for resource, mode in waiter.wants:
        if resource in modes and Mode.EXCLUSIVE in (mode, modes[resource]):
            return resource
    return waiter.key if waiter.key == other.key else ""
