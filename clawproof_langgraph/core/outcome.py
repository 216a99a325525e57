"""How a call settles: a table of how the tool ended and what kind of effect it has."""

from __future__ import annotations

from clawproof_langgraph.core.steps import Ending, Raised, Returned
from clawproof_langgraph.model import State
from clawproof_langgraph.policy import Effect

_CERTAIN = {
    Ending.RETURNED: State.DONE,
    Ending.HANDED_OFF: State.DONE,
    Ending.SUSPENDED: State.SUSPENDED,
    Ending.NOT_APPLIED: State.FAILED,
    Ending.REJECTED: State.REJECTED,
    Ending.REFUSED: State.FAILED,
}
_ONCE_FOR_A_KEY = (Effect.KEYED, Effect.TRANSACTIONAL, Effect.DELEGATE)
_UNTOUCHED = (Ending.NOT_APPLIED, Ending.REJECTED, Ending.REFUSED)


def state_after(outcome: Returned | Raised, effect: Effect) -> State:
    """Tell how a call settles.

    A cancelled call is in doubt whatever its effect. An unknown error leaves only a `once` tool in doubt: of the
    other kinds it is known that running them again is safe.
    """
    if outcome.ending in _CERTAIN:
        return _CERTAIN[outcome.ending]
    proves_nothing = isinstance(outcome, Returned) or outcome.effect_begun
    if not proves_nothing or effect is Effect.READ:
        return State.FAILED
    if outcome.ending is Ending.CANCELLED or effect is Effect.ONCE:
        return State.IN_DOUBT
    return State.FAILED


def stays_open(outcome: Returned | Raised, effect: Effect) -> bool:
    """Tell whether a failed call is still the same call when the model asks for it again.

    Its effect may have happened, and must not happen a second time under another key. Of an idempotent tool it may.
    """
    return effect in _ONCE_FOR_A_KEY and may_have_touched(outcome, effect)


def may_have_touched(outcome: Returned | Raised, effect: Effect) -> bool:
    """Tell whether the resources of a call may have changed, so that what others have read of them may be stale."""
    if effect is Effect.READ or outcome.ending in _UNTOUCHED:
        return False
    # A success that leaves as an exception is one, whatever was marked.
    return isinstance(outcome, Returned) or outcome.effect_begun or outcome.ending is Ending.HANDED_OFF
