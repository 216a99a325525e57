"""What can happen, told with the names of the project itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from clawproof_langgraph.audit.findings import Finding, MappedResource, Report


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays in a story.

    Args:
        agent: who does it.
        other: somebody else who touches the same thing.
        tool: what is called.
        resource: what it touches.
    """

    agent: str
    other: str
    tool: str
    resource: str


def story(finding: Finding, report: Report) -> str:
    """Tell what can happen because of a finding."""
    told = _STORIES[finding.rule](cast_for(finding, report))
    return told[0].upper() + told[1:]


def cast_for(finding: Finding, report: Report) -> Cast:
    """Find the names that a story about a finding is told with; where the project has none, a common noun."""
    resource = _resource(finding, report)
    agents = (*resource.writers, *resource.readers) if resource else ()
    agent = finding.agent or next(iter(agents), "")
    other = next((name for name in agents if name != agent), "")
    tool = finding.tool or next(iter((*resource.writing, *resource.reading) if resource else ()), "")
    pattern = finding.resource or (resource.pattern if resource else "")
    return Cast(
        _named(agent) or "an agent",
        _named(other) or "another agent",
        _named(tool) or "a tool",
        _named(pattern) or "a shared record",
    )


def _named(name: str) -> str:
    return f'"{name}"' if name else ""


def _resource(finding: Finding, report: Report) -> MappedResource | None:
    """Find the resource that it is about: by name, else what its tool or its agent touches, the most shared first."""
    shared = sorted(report.resources, key=lambda each: -len({*each.writers, *each.readers}))
    for matches in (
        lambda each: finding.resource == each.pattern,
        lambda each: finding.tool in each.writing,
        lambda each: finding.tool in each.reading,
        lambda each: finding.agent in each.writers,
        lambda each: finding.agent in each.readers,
    ):
        if found := next((each for each in shared if matches(each)), None):
            return found
    if finding.resource or finding.tool or finding.agent:
        return None
    return next(iter(shared), None)


_STORIES: Final[Mapping[str, Callable[[Cast], str]]] = {
    "CP001": lambda it: (
        f"{it.agent} calls {it.tool}, and nothing knows what that touches. At the same moment {it.other} changes the "
        f"same thing. Both have read the same old value, both write, and one of the two changes is gone. Nobody gets "
        f"an error."
    ),
    "CP002": lambda it: (
        f"{it.agent} reads {it.resource}, and its model thinks for some seconds. Meanwhile {it.other} writes to it. "
        f"{it.agent} then writes what it worked out from the old value: the change of {it.other} is lost, and nothing "
        f"tells of it."
    ),
    "CP003": lambda it: (
        f"{it.agent} dies in the middle of {it.tool}, at a restart of its server. Its lock on {it.resource} lives on. "
        f"{it.other} waits for minutes, or gives up before the lock ends, and its work fails although nothing is "
        f"wrong with it."
    ),
    "CP004": lambda it: (
        f"{it.agent} holds one lock inside {it.tool} and wants a second one; {it.other} holds the second and wants the "
        f"first. Both wait for ever, and so do all who come after them."
    ),
    "CP005": lambda it: (
        f"{it.other} changes {it.resource}. {it.agent} looks at it only now and then, so for a while it works with "
        f"what is no longer true: it promises, orders or answers by the old value, without any error."
    ),
    "CP006": lambda it: (
        f"{it.tool} of {it.agent} hangs at a service that does not answer. Its process lives, so its lock on "
        f"{it.resource} is renewed and {it.other} waits behind it. No alert goes out; the first to notice is a "
        f"customer."
    ),
    "CP007": lambda it: (
        f"On a busy morning {it.agent} and {it.other} write to {it.resource} in the same second. That was never tried "
        f"before: the first trial is with the data of customers."
    ),
    "CP008": lambda it: (
        f"{it.agent} calls {it.tool}. The write takes effect, but the answer is lost on the way. The run is resumed, "
        f"or the model asks again, and {it.tool} runs a second time: {it.resource} now has the change twice, as two "
        f"rows, two payments or two messages."
    ),
    "CP009": lambda it: (
        f"All who need {it.resource} queue for it. Each agent that is added makes the queue longer and nothing faster, "
        f"until {it.agent} gives up waiting in the middle of its work."
    ),
    "CP010": lambda it: (
        f"At night {it.agent} begins to write nonsense to {it.resource}. There is no name by which it can be stopped "
        f"alone: either all agents are stopped, {it.other} included, or the nonsense goes on."
    ),
}
