"""What agents say that they change, compared with what their calls are about to hold alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from clawproof_langgraph import events
from clawproof_langgraph.config.globs import fits
from clawproof_langgraph.config.models import AgentTerms
from clawproof_langgraph.errors import UndeclaredWrite
from clawproof_langgraph.model import Mode, Note, Want

Agents = Mapping[str, AgentTerms]


def beyond(agents: Agents, agent: str, wants: Iterable[Want]) -> tuple[str, ...]:
    """List the resources that a call has alone, though its agent does not say that it changes them."""
    terms = agents.get(agent)
    if terms is None or not terms.says_what_it_writes:
        return ()
    return tuple(
        [want.resource for want in wants if want.mode is Mode.EXCLUSIVE and not fits(want.resource, terms.writes)]
    )


def check_declared(agents: Agents, agent: str, wants: Iterable[Want], tool: str, noun: str) -> None:
    """Refuse a call of an agent that is held to what it says.

    Raises:
        UndeclaredWrite: it would change something else.
    """
    terms = agents.get(agent)
    if terms is not None and terms.enforce and (found := beyond(agents, agent, wants)):
        raise UndeclaredWrite(tool, agent, found, terms.writes, noun)


def note_of(agent: str, thread: str, tool: str, resources: tuple[str, ...], *, call: str = "") -> Note:
    """Make the event of a call that changes what its agent does not say; one without an id was refused."""
    return Note(
        events.CALL_UNDECLARED, agent, thread, call, resources=resources, data={"tool": tool, "refused": not call}
    )
