"""What a function does to the world, told from its source alone: it is never imported or run."""

from __future__ import annotations

from clawproof_langgraph.audit.effects.judging import touches_of
from clawproof_langgraph.audit.effects.keys import Unstable, unstable_parts
from clawproof_langgraph.audit.effects.locks import ForeignLock, locks_in
from clawproof_langgraph.audit.effects.polling import Polling, polling_in
from clawproof_langgraph.audit.effects.retries import Retrying, retries_around
from clawproof_langgraph.audit.effects.touches import Kind, Touch

__all__ = [
    "ForeignLock",
    "Kind",
    "Polling",
    "Retrying",
    "Touch",
    "Unstable",
    "locks_in",
    "polling_in",
    "retries_around",
    "touches_of",
    "unstable_parts",
]
