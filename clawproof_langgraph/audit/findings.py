"""What an audit says: findings, the outcome of each rule, and the report of all. Frozen data without behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Severity(StrEnum):
    """What can happen if nothing is done, the least first."""

    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Confidence(StrEnum):
    """How sure a finding is, the least first."""

    POSSIBLE = "possible"
    LIKELY = "likely"
    CERTAIN = "certain"


class Status(StrEnum):
    """How a rule ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a file.

    Args:
        file: its path, relative to the project where it is inside it, with slashes.
        line: from 1; 0 for the file as a whole.
        column: from 1; 0 for the line as a whole.
        end_line: the last line that belongs to it; 0 for the same one.
    """

    file: str
    line: int = 0
    column: int = 0
    end_line: int = 0

    def __str__(self) -> str:
        return ":".join([self.file, *(str(number) for number in (self.line, self.column) if number)])


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as its rule wants it.

    Args:
        rule: the id of the rule, such as `CP008`.
        message: what is wrong, in one sentence that names the thing.
        fix: what to do about it, in one sentence.
        places: the evidence, the place to mend first.
        tool, agent, resource: whom it is about, where that is known.
        severity: what can happen.
        confidence: how sure it is.
        snippet: a policy, or lines of the configuration file, ready to paste.
        waived: the reason for which it does not count: an inline opt-out or a baseline; empty where it counts.
    """

    rule: str
    message: str
    fix: str
    places: tuple[Place, ...] = ()
    tool: str = ""
    agent: str = ""
    resource: str = ""
    severity: Severity = Severity.MEDIUM
    confidence: Confidence = Confidence.CERTAIN
    snippet: str = ""
    waived: str = ""

    @property
    def place(self) -> Place | None:
        """The place to mend, where there is one."""
        return self.places[0] if self.places else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a rule ended.

    Args:
        rule: its id.
        status: whether it passed, failed, or could not look.
        line: what is said of it in one line.
        findings: what it found; of one that passed, those that were waived.
        otherwise: of one that failed, how it would have ended if none of its findings counted.
    """

    rule: str
    status: Status
    line: str
    findings: tuple[Finding, ...] = ()
    otherwise: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Unseen:
    """Something that could not be looked at.

    Args:
        what: a file, a graph, or a store.
        why: the reason, in one line.
        place: where in a file, if it is one.
    """

    what: str
    why: str
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class MappedResource:
    """A resource of the project, and who touches it.

    Args:
        pattern: its name or template, such as `inventory/{sku}`.
        writers, readers: names of agents.
        writing, reading: names of tools.
        unguarded: of the agents, those of which a call to it goes around every guard.
    """

    pattern: str
    writers: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    writing: tuple[str, ...] = ()
    reading: tuple[str, ...] = ()
    unguarded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of an audit.

    Args:
        root: the folder that was audited.
        target: what was asked for, as it was written.
        outcomes: one for each rule, in the order of their ids.
        resources: the map of resources and agents.
        unseen: what could not be looked at.
        files: how many Python files were read.
        ways: how it was looked: `static`, `import`, `log`.
        observed: what the run-time log showed, a line each.
    """

    root: Path
    target: str
    outcomes: tuple[Outcome, ...]
    resources: tuple[MappedResource, ...] = ()
    unseen: tuple[Unseen, ...] = ()
    files: int = 0
    ways: tuple[str, ...] = ("static",)
    observed: tuple[str, ...] = field(default=())

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The rules that failed."""
        return tuple(outcome for outcome in self.outcomes if outcome.status is Status.FAILED)

    @property
    def severity(self) -> Severity:
        """The worst of what counts."""
        order = list(Severity)
        found = [finding.severity for outcome in self.failed for finding in outcome.findings if not finding.waived]
        return max(found, key=order.index, default=Severity.NONE)
