"""How a call settles: the whole table of how its tool ended, what kind of effect it has, and whether that had begun."""

from __future__ import annotations

import itertools

import pytest

from clawproof_langgraph.core.outcome import state_after
from clawproof_langgraph.core.steps import Ending, Raised, Returned
from clawproof_langgraph.model import State
from clawproof_langgraph.policy import Effect

CERTAIN = {
    Ending.RETURNED: State.DONE,
    Ending.HANDED_OFF: State.DONE,
    Ending.SUSPENDED: State.SUSPENDED,
    Ending.NOT_APPLIED: State.FAILED,
    Ending.REJECTED: State.REJECTED,
    Ending.REFUSED: State.FAILED,
}
_F, _D = State.FAILED, State.IN_DOUBT
#                       begun:             not begun:
#                       cancelled unknown  cancelled unknown
UNCERTAIN = {
    Effect.READ:          (_F, _F,           _F, _F),
    Effect.IDEMPOTENT:    (_D, _F,           _F, _F),
    Effect.KEYED:         (_D, _F,           _F, _F),
    Effect.TRANSACTIONAL: (_D, _F,           _F, _F),
    Effect.DELEGATE:      (_D, _F,           _F, _F),
    Effect.ONCE:          (_D, _D,           _F, _F),
}  # fmt: skip


def expected(ending: Ending, effect: Effect, begun: bool) -> State:
    """Look it up."""
    if ending in CERTAIN:
        return CERTAIN[ending]
    return UNCERTAIN[effect][(0 if begun else 2) + (ending is Ending.UNKNOWN)]


@pytest.mark.parametrize("begun", [True, False], ids=["begun", "not begun"])
@pytest.mark.parametrize(("ending", "effect"), list(itertools.product(Ending, Effect)))
def test_an_exception_settles_the_call(ending: Ending, effect: Effect, begun: bool) -> None:
    outcome = Raised(RuntimeError(), ending, effect_begun=begun)
    assert state_after(outcome, effect) is expected(ending, effect, begun)


@pytest.mark.parametrize("effect", Effect)
@pytest.mark.parametrize(
    ("ending", "state"), [(Ending.RETURNED, State.DONE), (Ending.REFUSED, State.FAILED)], ids=["success", "refusal"]
)
def test_a_value_settles_the_call(ending: Ending, state: State, effect: Effect) -> None:
    assert state_after(Returned("x", b"1", ending), effect) is state


def test_a_value_that_tells_of_an_error_of_unknown_effect_leaves_a_once_tool_in_doubt() -> None:
    """An MCP server reports an error that may have come from behind the effect."""
    assert state_after(Returned("boom", None, Ending.UNKNOWN), Effect.ONCE) is State.IN_DOUBT
