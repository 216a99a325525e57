"""Calls that nest at random over a backend, of which some wait with locks in hand."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from clawproof_langgraph.core.order import check_order
from clawproof_langgraph.core.waits import Wait, wait_for
from clawproof_langgraph.errors import LockOrderError
from clawproof_langgraph.model import Begin, Granted, Mode, Want
from clawproof_langgraph.testing.builders import again, ask, released
from clawproof_langgraph.testing.faces import Face


@dataclass
class Node:
    """A call: what it asked for, inside which other, under which lease once it has one, and the calls inside it."""

    request: Begin
    outer: Node | None
    lease: Granted | None = None
    inner: list[Node] = field(default_factory=list)

    @property
    def chain(self) -> list[Node]:
        """It and those around it, innermost first."""
        return [self, *(self.outer.chain if self.outer else [])]


class Nestings:
    """Begins, nests, claims and ends calls at random.

    Args:
        store: where.
        seed: of what is random.
        ordered: whether what the global order forbids is left out, as a coordinator does.
    """

    def __init__(self, store: Face, seed: int, *, ordered: bool = True) -> None:
        self._store, self._chance, self._ordered = store, random.Random(seed), ordered
        self._number = 0
        self.nodes: list[Node] = []

    def step(self) -> None:
        """Do one thing."""
        running = [node for node in self.nodes if node.lease]
        do = self._chance.choices([self._begin, self._nest, self._go_on, self._end], [2, 5, 2, 2])[0]
        do(running)

    def cycle(self) -> tuple[Wait, ...]:
        """Look for calls that wait for each other."""
        return wait_for(self._store.snapshot()).cycle()

    def finish(self) -> bool:
        """Let all calls end, from the inside out; tell whether they could."""
        for _ in range(len(self.nodes) * 3):
            running = [node for node in self.nodes if node.lease]
            for node in [node for node in self.nodes if not node.lease]:
                self._ask(node, repeated=True)
            for node in running:
                self._end([node])
        return not self.nodes

    def _begin(self, running: list[Node]) -> None:
        self._add(self._wants(), None)

    def _nest(self, running: list[Node]) -> None:
        if not running:
            return
        outer, wants = self._chance.choice(running), self._wants()
        try:
            if self._ordered:
                check_order(wants, [node.request.wants for node in outer.chain])
        except LockOrderError:
            return
        self._add(wants, outer)

    def _go_on(self, running: list[Node]) -> None:
        if waiting := [node for node in self.nodes if not node.lease]:
            self._ask(self._chance.choice(waiting), repeated=True)

    def _end(self, running: list[Node]) -> None:
        if leaves := [node for node in running if node.lease and not node.inner]:
            node = self._chance.choice(leaves)
            assert node.lease is not None
            self._store.settle(released(node.lease))
            self.nodes.remove(node)
            if node.outer:
                node.outer.inner.remove(node)

    def _wants(self) -> tuple[Want, ...]:
        names = sorted(self._chance.sample("abcdef", self._chance.choice([1, 1, 2, 3])))
        modes = [self._chance.choice([Mode.EXCLUSIVE, Mode.EXCLUSIVE, Mode.SHARED]) for _ in names]
        return tuple(map(Want, names, modes))

    def _add(self, wants: tuple[Want, ...], outer: Node | None) -> None:
        self._number += 1
        ancestors = tuple([node.request.owner for node in outer.chain][::-1]) if outer else ()
        node = Node(ask(f"c{self._number}", *wants, ancestors=ancestors), outer)
        self.nodes.append(node)
        if outer:
            outer.inner.append(node)
        self._ask(node, repeated=False)

    def _ask(self, node: Node, *, repeated: bool) -> None:
        reply = self._store.begin(again(node.request) if repeated else node.request)
        node.lease = reply if isinstance(reply, Granted) else None
