"""Policies: what is checked when they are written, and what follows from them."""

from __future__ import annotations

from typing import Any

import pytest

from clawproof_langgraph import Lock, Retry, ToolPolicy
from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.model import Mode
from clawproof_langgraph.policy import Effect

FOREVER = float("inf")


def test_a_policy_without_words_is_the_strictest() -> None:
    policy = ToolPolicy()
    assert (policy.effect, policy.ttl, policy.on_refusal, policy.retry) == (Effect.ONCE, 30.0, "tell_model", Retry())
    assert policy.rerun_within() == 0.0


@pytest.mark.parametrize(
    ("kind", "written", "near"),
    [
        (ToolPolicy, "lock", "locks"),
        (ToolPolicy, "efect", "effect"),
        (ToolPolicy, "emit", "emits"),
        (ToolPolicy, "keyfields", "key_fields"),
        (Retry, "max_retry", "max_retries"),
        (Retry, "backoff", "backoff_factor"),
        (Retry, "dead_line", "deadline"),
    ],
)
def test_an_unknown_field_is_refused_with_the_nearest_known(kind: Any, written: str, near: str) -> None:
    with pytest.raises(ConfigurationError, match=f'{kind.__name__} has no field "{written}"; did you mean "{near}"'):
        kind(**{written: 1})


def test_a_field_like_no_other_is_refused_with_the_list_of_all() -> None:
    with pytest.raises(ConfigurationError, match=r"locks, effect, ttl, .*log_fields"):
        ToolPolicy(xyzzy=1)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as refused:
        ToolPolicy(xyzzy=1, ttl="soon", effect="maybe")
    assert all(word in str(refused.value) for word in ("xyzzy", "soon", "effect"))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"ttl": 0}, "ttl must be more than zero.*30s"),
        ({"ttl": "0s"}, "ttl must be more than zero"),
        ({"ttl": -1}, "ttl=-1 is not a duration"),
        ({"ttl": "soon"}, 'ttl="soon" is not a duration'),
        ({"wait": "later"}, 'wait="later" is not a duration'),
        ({"expected": "x"}, 'expected="x" is not a duration'),
        ({"key_window": "x"}, 'key_window="x" is not a duration'),
        ({"locks": ["inventory/{sku"]}, 'without its "}"'),
        ({"locks": [""]}, "needs a name"),
        ({"key": "order/{"}, 'without its "}"'),
        ({"key": ""}, "needs a name"),
        ({"effect": "read", "key": "x/{y}"}, 'effect="read".*remove `key`'),
        ({"effect": "read", "probe": repr}, "never in doubt; remove `probe`"),
        ({"effect": "read", "on_in_doubt": "interrupt"}, "never in doubt; remove `on_in_doubt`"),
        ({"probe": lambda: None}, "must take one argument, the call"),
        ({"probe": lambda call, key: None}, "must take one argument, the call"),
        ({"not_applied_on": [str]}, "ToolPolicy.not_applied_on"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_value_that_does_not_fit_is_refused_by_name(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        ToolPolicy(**fields)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"max_retries": -1}, "Retry.max_retries"),
        ({"backoff_factor": -1}, "Retry.backoff_factor"),
        ({"initial_delay": "x"}, "initial_delay"),
        ({"deadline": -1}, "deadline"),
        ({"retry_on": "OSError"}, "Retry.retry_on"),
        ({"retry_on": ["OSError"]}, "Retry.retry_on"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_terms_of_retry_that_do_not_fit_are_refused_by_name(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Retry(**fields)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: ToolPolicy(effect="idempotant"), 'ToolPolicy.effect: "idempotant" is not known; did you mean "idem'),
        (lambda: ToolPolicy(effect="maybe"), '"maybe" is not known; there are: read, idempotent, keyed, transactional'),
        (lambda: ToolPolicy(on_in_doubt="re-run"), 'ToolPolicy.on_in_doubt: "re-run" is not known; did you mean "rer'),
        (lambda: ToolPolicy(on_in_doubt="x"), "there are: hold, rerun"),
        (
            lambda: ToolPolicy(on_refusal="tell_me"),
            'ToolPolicy.on_refusal: "tell_me" is not known; did you mean "tell_m',
        ),
        (lambda: Lock("a", "share"), 'Lock.mode: "share" is not known; did you mean "shared"?'),
        (lambda: Lock("a", "alone"), "there are: exclusive, shared, advisory"),
        (lambda: ToolPolicy(retry=3), "ToolPolicy.retry: retry=3 is not a Retry; write retry=Retry(max_retries=3)"),
        (lambda: ToolPolicy(retry=True), "write retry=Retry(max_retries=3)"),
        (lambda: ToolPolicy(retry=0), "or retry=False for none"),
        (lambda: ToolPolicy(retry=None), "or retry=False for none"),
        (lambda: ToolPolicy(not_applied_on=("x",)), "ToolPolicy.not_applied_on: 'x' is no type of exception; write"),
        (lambda: ToolPolicy(not_applied_on="x"), "write not_applied_on=(ValueError, KeyError)"),
        (lambda: ToolPolicy(not_applied_on=[ValueError()]), "ValueError() is no type of exception"),
        (lambda: Retry(retry_on=("x",)), "Retry.retry_on: 'x' is no type of exception; write retry_on=(ValueError,"),
        (lambda: ToolPolicy(locks="inventory/{sku}"), 'write locks=["inventory/{sku}"]'),
        (lambda: ToolPolicy(locks=Lock("a")), "locks is a list: write locks=[Lock(...)]"),
        (lambda: ToolPolicy(locks=None), "locks is a list of templates; got None"),
        (lambda: ToolPolicy(locks=[5]), 'ToolPolicy.locks: 5 is no lock; write "inventory/{sku}" or Lock('),
        (lambda: ToolPolicy(key_fields="sku"), 'key_fields is a list: write key_fields=["sku"]'),
        (lambda: ToolPolicy(key_fields=[""]), "ToolPolicy.key_fields: '' does not name an argument"),
        (lambda: ToolPolicy(log_fields="sku"), 'log_fields is a list: write log_fields=["sku"]'),
        (lambda: ToolPolicy(log_fields=[1]), "ToolPolicy.log_fields: 1 does not name an argument"),
        (lambda: ToolPolicy(emits=""), "ToolPolicy.emits: '' does not name an event; write, for example, emits="),
        (lambda: ToolPolicy(emits=" a"), "does not name an event"),
        (lambda: ToolPolicy(emits="a\nb"), "does not name an event"),
        (lambda: ToolPolicy(emits=5), "5 does not name an event"),
        (
            lambda: ToolPolicy(key=5),
            'ToolPolicy.key: 5 is no key; write a template such as "order/{id}", or a function',
        ),
    ],
)
def test_a_likely_mistake_is_told_with_its_remedy_and_nothing_else(make: Any, told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        make()

    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_one_type_of_exception_may_stand_by_itself() -> None:
    assert ToolPolicy(not_applied_on=ValueError).not_applied_on == (ValueError,)


def test_durations_are_converted_once() -> None:
    policy = ToolPolicy(ttl="2m", wait="500ms", expected="1s", key_window="2d")
    assert (policy.ttl, policy.wait, policy.expected, policy.key_window) == (120.0, 0.5, 1.0, 172800.0)


@pytest.mark.parametrize(
    ("made", "field", "value"),
    [(ToolPolicy(), "ttl", 1.0), (Retry(), "max_retries", 9), (Lock("a"), "resource", "b"), (ToolPolicy(), "new", 1)],
    ids=lambda value: str(value)[:20],
)
def test_a_policy_cannot_be_changed(made: Any, field: str, value: Any) -> None:
    with pytest.raises(Exception, match=r"frozen|no field"):
        setattr(made, field, value)


def test_a_list_given_to_a_policy_may_be_changed_afterwards_without_effect() -> None:
    locks, fields, proofs = ["a"], ["sku"], [ValueError]
    policy = ToolPolicy(locks=locks, key_fields=fields, log_fields=fields, not_applied_on=proofs)
    locks.append("b")
    fields.append("id")
    proofs.clear()

    assert list(policy.locks) == ["a"]
    assert list(policy.key_fields or ()) == ["sku"] == list(policy.log_fields)
    assert list(policy.not_applied_on) == [ValueError]


# --- what follows -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("effect", Effect)
def test_a_bare_text_is_exclusive_for_a_write_and_shared_for_a_read(effect: Effect) -> None:
    mode = Mode.SHARED if effect is Effect.READ else Mode.EXCLUSIVE
    assert ToolPolicy(locks=["a"], effect=effect).lock_list() == (Lock("a", mode),)


@pytest.mark.parametrize("effect", ["read", "once"])
def test_a_lock_keeps_the_mode_that_it_was_given(effect: str) -> None:
    locks = [Lock("a", "shared"), Lock("b", "exclusive"), Lock("c")]
    modes = [lock.mode for lock in ToolPolicy(locks=locks, effect=effect).lock_list()]
    assert modes == [Mode.SHARED, Mode.EXCLUSIVE, Mode.EXCLUSIVE]


@pytest.mark.parametrize("arguments", [("a{",), ("",), ("a", "upgrade"), (None,)])
def test_a_lock_is_checked_when_it_is_made(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigurationError):
        Lock(*arguments)


@pytest.mark.parametrize(
    ("fields", "limit"), [({}, 45.0), ({"ttl": "10s"}, 15.0), ({"wait": "3s"}, 3.0), ({"wait": 0}, 0.0)]
)
def test_the_wait_limit_is_half_as_long_again_as_the_ttl_unless_said(fields: dict[str, Any], limit: float) -> None:
    """A crash costs the queue one TTL; it must not fail it."""
    assert ToolPolicy(**fields).wait_limit() == limit


@pytest.mark.parametrize(
    ("effect", "by_default"),
    [
        ("read", FOREVER),
        ("idempotent", FOREVER),
        ("keyed", 86400.0),
        ("transactional", FOREVER),
        ("delegate", FOREVER),
        ("once", 0.0),
    ],
)
def test_a_call_in_doubt_runs_again_as_its_effect_allows(effect: str, by_default: float) -> None:
    assert ToolPolicy(effect=effect).rerun_within() == by_default


@pytest.mark.parametrize("effect", ["idempotent", "keyed", "transactional", "delegate", "once"])
def test_a_policy_may_say_otherwise(effect: str) -> None:
    assert ToolPolicy(effect=effect, on_in_doubt="hold").rerun_within() == 0.0
    assert ToolPolicy(effect=effect, on_in_doubt="rerun").rerun_within() == FOREVER


@pytest.mark.parametrize(
    "probe",
    [
        lambda call: None,
        lambda call, bank="b": None,
        lambda *args: None,
        type("P", (), {"__call__": lambda self, call: None})(),
        max,
    ],
)
def test_whatever_takes_the_call_alone_is_a_probe(probe: Any) -> None:
    assert ToolPolicy(probe=probe).when_in_doubt() == "probe"


def test_the_window_of_a_keyed_tool_bounds_its_repetition() -> None:
    assert ToolPolicy(effect="keyed", key_window="1h").rerun_within() == 3600.0


@pytest.mark.parametrize(
    ("retry_on", "admitted", "refused"),
    [
        ((ConnectionError, TimeoutError), ConnectionResetError(), ValueError()),
        ([OSError], FileNotFoundError(), ValueError()),
        (lambda error: "429" in str(error), RuntimeError("429"), RuntimeError("404")),
        ((), None, OSError()),
        (ValueError, UnicodeError(), KeyError()),
    ],
    ids=["types", "a list of types", "a function", "nothing", "one type by itself"],
)
def test_retry_admits_what_it_names(retry_on: Any, admitted: Exception | None, refused: Exception) -> None:
    retry = Retry(retry_on=retry_on)
    assert admitted is None or retry.admits(admitted) is True
    assert retry.admits(refused) is False


def test_transport_errors_are_retried_by_default() -> None:
    retry = Retry()
    assert retry.admits(ConnectionRefusedError()) and retry.admits(TimeoutError())
    assert not retry.admits(ValueError())
