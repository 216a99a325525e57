"""Errors: each message names the thing and the remedy, and each carries its facts."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from clawproof_langgraph import errors
from clawproof_langgraph.errors import (
    AgentKilled,
    BackendUnavailable,
    CallInProgress,
    ClawproofError,
    ConfigurationError,
    FingerprintMismatch,
    LeaseLost,
    LockOrderError,
    OutcomeUnknown,
    OutcomeUnrecorded,
    StaleRead,
    UnmappedTool,
    WaitTimeout,
)

CASES: list[tuple[ClawproofError, list[str], dict[str, Any]]] = [
    (
        errors.UndeclaredWrite("pay", "clerk", ("order/7",), ("inventory/*",)),
        ['Tool "pay" was not run', 'agent "clerk" may change inventory/*', "not order/7", "`writes`"],
        {"tool": "pay", "agent": "clerk", "resources": ("order/7",)},
    ),
    (errors.UnfitArgument("pay", 'Field "id" is empty.'), ['Tool "pay" was not run. Field "id"'], {"tool": "pay"}),
    (
        UnmappedTool(["pay", "ship"]),
        ["pay, ship", '"pay": ToolPolicy(locks=["..."])', '"ship": ToolPolicy(', 'unmapped="serialize"'],
        {"tools": ("pay", "ship")},
    ),
    (
        WaitTimeout("order/42", 'agent "b"', 5.04),
        ["5.0 s", '"order/42"', 'agent "b"', "nothing was run", "`wait`"],
        {"resource": "order/42", "holder": 'agent "b"', "waited": 5.04},
    ),
    (
        CallInProgress("k1", 'agent "b"', 5.0),
        ['"k1"', 'agent "b"', "5.0 s", "not started a second time", "Ask again later"],
        {"resource": "k1", "holder": 'agent "b"', "waited": 5.0},
    ),
    (
        LockOrderError("a", "b", "it sorts before"),
        ['"a"', '"b"', "it sorts before", "list them in the policy of the outer call"],
        {"wanted": "a", "held": "b"},
    ),
    (
        StaleRead("inventory/1", 3, 4, 'agent "b"'),
        ['"inventory/1"', "version 4", "version 3", 'agent "b"', "Nothing was run", "Read it"],
        {"resource": "inventory/1", "seen": 3, "current": 4, "changed_by": 'agent "b"'},
    ),
    (StaleRead("inventory/1", None, 4, "x"), ["saw nothing of it"], {"seen": None}),
    (
        AgentKilled("orders", "runaway", "ops"),
        ['"orders"', "by ops", ": runaway", "`clawproof revive orders`"],
        {"agent": "orders", "reason": "runaway", "by": "ops"},
    ),
    (AgentKilled("orders", "", ""), ["by an operator. Its tools"], {"reason": "", "by": ""}),
    (
        LeaseLost(("a", "b"), "it expired"),
        ["a, b", "it expired", "`fence`", "`ttl`"],
        {"resources": ("a", "b")},
    ),
    (LeaseLost((), "it expired"), ["The lease on this call"], {"resources": ()}),
    (
        FingerprintMismatch("k1", "pay"),
        ['"k1"', '"pay"', "nothing was run", "new key", "`key_fields`"],
        {"key": "k1", "tool": "pay"},
    ),
    (
        OutcomeUnknown("k1", "pay"),
        ['"pay"', "must not be repeated", "`clawproof resolve k1 applied`", "NotApplied", "not_applied_on",
         "effect_begins()"],
        {"key": "k1", "tool": "pay"},
    ),
    (
        OutcomeUnrecorded("k1", "pay", 3),
        ['"pay"', '"k1"', "though it took effect", "`clawproof resolve k1 applied`"],
        {"key": "k1", "tool": "pay", "result": 3},
    ),
    (
        BackendUnavailable("sqlite:///x.db", "disk full"),
        ["sqlite:///x.db", "disk full", "No tool runs without it", "repair the store"],
        {"store": "sqlite:///x.db"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("error", "words", "facts"), CASES, ids=lambda value: type(value).__name__)
def test_a_message_names_the_thing_and_the_remedy(
    error: ClawproofError, words: list[str], facts: dict[str, Any]
) -> None:
    missing = [word for word in words if word not in str(error)]
    assert not missing, str(error)
    assert {name: getattr(error, name) for name in facts} == facts


def test_every_error_is_told_of_here_or_says_what_its_raiser_says() -> None:
    free = {ClawproofError, ConfigurationError, errors.NotApplied, errors.Rejected}
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ClawproofError)}
    assert kinds == free | {type(error) for error, _, _ in CASES}


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        (ConfigurationError, ValueError),
        (UnmappedTool, ConfigurationError),
        (WaitTimeout, TimeoutError),
        (CallInProgress, WaitTimeout),
        (OutcomeUnrecorded, OutcomeUnknown),
        (errors.NotApplied, ClawproofError),
        (errors.Rejected, ClawproofError),
        (errors.ClawproofWarning, UserWarning),
    ],
)
def test_errors_can_be_caught_as_what_they_are(kind: type[Exception], base: type[Exception]) -> None:
    assert issubclass(kind, base)
    assert issubclass(kind, ClawproofError | Warning)


@pytest.mark.parametrize("error", [error for error, _, _ in CASES], ids=lambda error: type(error).__name__)
def test_an_error_survives_a_process_border(error: ClawproofError) -> None:
    """A pool of processes carries what its worker raised; an error that cannot be read back would break the pool."""
    found = pickle.loads(pickle.dumps(error))
    assert (type(found), str(found), vars(found)) == (type(error), str(error), vars(error))
