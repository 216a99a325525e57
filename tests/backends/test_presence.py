"""Whether a store and a namespace exist is told without making them; files: `tests/audit/test_observed.py`."""

from __future__ import annotations

import pytest

from clawproof_langgraph import Coordinator
from clawproof_langgraph.audit.observed import Observed, observe
from clawproof_langgraph.backends.presence import missing
from clawproof_langgraph.errors import ConfigurationError


def test_a_namespace_on_a_server_is_found_and_not_made(redis_server) -> None:  # type: ignore[no-untyped-def]
    assert "no namespace" in missing(redis_server.url, "looked-for")
    assert "no namespace" in missing(redis_server.url, "looked-for")  # the first look made none
    with Coordinator.from_url(redis_server.url, namespace="looked-for") as coordinator:
        with coordinator.lock("inventory/1", agent="orders"):
            pass
        assert missing(redis_server.url, "looked-for") == ""
        seen = observe(redis_server.url, "looked-for")
    assert isinstance(seen, Observed) and seen.agents == ("orders",)


def test_an_unknown_kind_of_store_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="not known"):
        missing("nosuch://host", "default")
