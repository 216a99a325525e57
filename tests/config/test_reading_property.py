"""Whatever a file says that is TOML, reading it ends in a configuration and problems, never in an error of ours."""

from __future__ import annotations

import tempfile
import tomllib
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from clawproof_langgraph.config import read
from clawproof_langgraph.config.models import TOP, AgentTerms, AlertTerms, AuditTerms, ResourceTerms, Waiver
from clawproof_langgraph.policy import Lock, Retry, ToolPolicy

from .test_positions import as_toml

kinds = (ToolPolicy, Retry, Lock, AgentTerms, AlertTerms, AuditTerms, ResourceTerms, Waiver)
fields = st.sampled_from(sorted({name for kind in kinds for name in kind.model_fields}))
words = st.sampled_from(
    ["", "30s", "-1s", "read", "once", "a/{b}", "a/{b", "{a,b}_*", "m:f", "ValueError", "shared", "hold", "CP008",
     "high", "call.done", "https://x", "\u0000", "a\nb", "*", "[", "log"]
)  # fmt: skip
numbers = st.one_of(st.integers(-2, 2), st.booleans(), st.sampled_from([0.0, -0.5, 1e300, float("inf"), float("nan")]))
scalars = st.one_of(words, words, numbers)
keys = st.one_of(fields, fields, words, st.sampled_from(TOP))
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
policies = st.dictionaries(fields, values, max_size=4)
sections = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(TOP, values),
        "defaults": policies,
        "profiles": st.dictionaries(words, policies, max_size=2),
        "tools": st.dictionaries(words, policies | values, max_size=3),
        "agents": st.dictionaries(words, st.dictionaries(fields, values, max_size=4), max_size=2),
        "resources": st.dictionaries(words, st.dictionaries(fields, values, max_size=2), max_size=2),
        "audit": st.dictionaries(fields, values, max_size=4),
        "alerts": st.dictionaries(fields, values, max_size=4),
    },
)


@given(sections)
def test_reading_never_fails_for_what_is_in_a_file(document: dict[str, Any]) -> None:
    text = "".join(f"{name} = {as_toml(value, '')}\n" for name, value in document.items())
    tomllib.loads(text)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clawproof.toml")
        path.write_text(text, encoding="utf-8")
        configuration, problems = read(path)
    assert configuration is not None
    assert all(problem.line >= 1 and problem.message for problem in problems)
    assert len({str(problem) for problem in problems}) == len(problems)
    for name in ("reserve", "a_x", "*"):
        try:
            effective = configuration.policy_of(name)
        except ValueError:  # two patterns that are equal, or one that is none
            continue
        assert effective is None or set(effective.origins) == set(ToolPolicy.model_fields)
