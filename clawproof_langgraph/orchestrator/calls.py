"""The work of an agent on one task, as a guarded call: under a lease on the task's resources, and under its key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from clawproof_langgraph.codec import NotStorable
from clawproof_langgraph.coordinator import Coordinator
from clawproof_langgraph.graph.body import ToolBody, ToolTraits
from clawproof_langgraph.graph.calls import GuardedCalls, Values
from clawproof_langgraph.graph.identity import CallSite
from clawproof_langgraph.graph.lookout import Lookout
from clawproof_langgraph.graph.notices import Notices
from clawproof_langgraph.graph.surroundings import lags_behind
from clawproof_langgraph.model import Begin, Replay, Want
from clawproof_langgraph.orchestrator.tasks import Planned, job_of
from clawproof_langgraph.policy import ToolPolicy
from clawproof_langgraph.runtime.lease import Lease

_NAME = "task"
"""What the log calls the tool of such a call; it tells which task it is, too."""

_LAGS = (
    'With durability="{mode}", a crash can lose the checkpoint in which tasks of an orchestrator were taken on, while '
    'they are done already; they are then done a second time. Use invoke(..., durability="sync").'
)


class TaskCalls(GuardedCalls):
    """Coordinates the tasks of one agent.

    Args:
        coordinator: where.
        agent: the agent's name.
        ttl, wait: as in a `ToolPolicy`.
        notices: for what is told once.
    """

    def __init__(
        self, coordinator: Coordinator, agent: str, *, ttl: str | float, wait: str | float, notices: Notices
    ) -> None:
        policy = ToolPolicy(
            effect="delegate", key="task/{key}", key_fields=["key"], log_fields=["task"],
            ttl=ttl, wait=wait, retry=False, on_refusal="raise",
        )  # fmt: skip
        self._task_traits = ToolTraits(_NAME, policy, mcp=False, marks_effect=False, gives_pair=False)
        lookout = Lookout(coordinator, notices)
        super().__init__(coordinator, _NAME, policy, agent, self._task_traits, notices, lookout)

    def _ask(self, values: Values, site: CallSite, bell: Callable[[], str]) -> Begin:
        if mode := lags_behind(site.configurable):
            self._notices.warn(("orchestrator", mode), _LAGS.format(mode=mode))
        return super()._ask(values, site, bell)

    def _wants(self, values: Values) -> tuple[Want, ...]:
        return tuple(Want(name, mode) for name, mode in sorted(values["wants"].items()))

    def _body(
        self, code: Callable[[], Any] | None, acode: Callable[[], Awaitable[Any]] | None, values: Values, site: CallSite
    ) -> ToolBody:
        return _TaskBody(self._task_traits, self._coordinator, code, acode, None, values, site)

    def _load(self, replay: Replay) -> Any:
        try:
            return super()._load(replay)
        except NotStorable as error:
            return Lost(str(error))

    def _stub(self, key: str, tool_call_id: str | None) -> Any:
        return Lost(
            "The task was done before; what its agent returned was too large to be stored, or of a kind that cannot "
            "be. Let agents return less, or name their types: Coordinator(results=[...])."
        )


@dataclass(frozen=True, slots=True)
class Lost:
    """Stands for the result of a task that is done, where it cannot be given again; says why."""

    why: str


def values_of(task: Planned) -> dict[str, Any]:
    """Give what the call for a task is made of."""
    return {"task": task["id"], "key": task["key"], "wants": job_of(task).wants}


class _TaskBody(ToolBody):
    """Runs an agent, which has the node to itself: its graph keeps the place that LangGraph gives it there."""

    def _numbered_apart(self, lease: Lease) -> AbstractContextManager[None]:
        return nullcontext()
