"""The configuration file of a project, as the audit sees it."""

from __future__ import annotations

from pathlib import Path

from clawproof_langgraph.audit.findings import Place, Unseen
from clawproof_langgraph.audit.project.guards import FileGuards
from clawproof_langgraph.audit.project.model import GuardSeen, Store, Subscription, Waiver
from clawproof_langgraph.audit.targets import Target


class ProjectFile(FileGuards):
    """What the configuration file of a project says; nothing, where there is none."""

    def __init__(self) -> None:
        self.unseen: tuple[Unseen, ...] = ()
        self.exclude: tuple[str, ...] = ()
        self.hot_wait = 1.0

    @classmethod
    def of(cls, target: Target) -> ProjectFile:
        return cls()

    def excludes(self, path: Path) -> bool:
        return False

    def guard(self, file: Path | None, place: Place, agent: str) -> GuardSeen:
        return GuardSeen(place, complete=False, agent=agent)

    def store(self, place: Place) -> Store | None:
        return None

    def as_guards(self) -> tuple[GuardSeen, ...]:
        return ()

    def subscriptions(self) -> tuple[Subscription, ...]:
        return ()

    def sinks(self) -> tuple[str, ...]:
        return ()

    def waivers(self) -> tuple[Waiver, ...]:
        return ()
