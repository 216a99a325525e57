"""The published conformance suite: what every backend must do, whatever it is made of.

A backend is tested by one subclass, in a file that pytest collects:

    class TestMyBackend(BackendConformance):
        @pytest.fixture
        def make_backend(self, tmp_path):
            return lambda clock: MyBackend(tmp_path / "store", clock=clock)

`make_backend(clock)` opens a namespace that is empty at the start of each test; `clock` takes the place of the
store's own clocks. Called again in the same test, it opens the same namespace once more, as
another process would (a store that lives in one process returns the same backend).
"""

from __future__ import annotations

import pytest

_TOPICS = (
    "admin adoption bells crowds doubts events expiry granting handoff listening looking nesting queueing records "
    "retention subscribing versions"
)
# Without this, a failed assertion in an installed package would not show what it compared.
pytest.register_assert_rewrite("clawproof_langgraph.testing.faces", *(f"{__name__}.{name}" for name in _TOPICS.split()))

from clawproof_langgraph.testing.conformance.admin import Admin  # noqa: E402 - after the registration
from clawproof_langgraph.testing.conformance.adoption import Adoption  # noqa: E402
from clawproof_langgraph.testing.conformance.bells import Bells  # noqa: E402
from clawproof_langgraph.testing.conformance.crowds import Crowds  # noqa: E402
from clawproof_langgraph.testing.conformance.doubts import Doubt, FindingOut  # noqa: E402
from clawproof_langgraph.testing.conformance.events import Events  # noqa: E402
from clawproof_langgraph.testing.conformance.expiry import Expiry, LateSettling, Renewing  # noqa: E402
from clawproof_langgraph.testing.conformance.granting import Fencing, Granting, Repetition  # noqa: E402
from clawproof_langgraph.testing.conformance.handoff import Handoff  # noqa: E402
from clawproof_langgraph.testing.conformance.listening import Listening  # noqa: E402
from clawproof_langgraph.testing.conformance.looking import Looking  # noqa: E402
from clawproof_langgraph.testing.conformance.nesting import Nesting  # noqa: E402
from clawproof_langgraph.testing.conformance.queueing import Liveness, Queueing  # noqa: E402
from clawproof_langgraph.testing.conformance.records import Records  # noqa: E402
from clawproof_langgraph.testing.conformance.retention import Retention  # noqa: E402
from clawproof_langgraph.testing.conformance.subscribing import Subscribing, Trimming, Truncation  # noqa: E402
from clawproof_langgraph.testing.conformance.versions import (  # noqa: E402
    Versions,
    VersionsForgotten,
    VersionsMoved,
    VersionsOfRepetitions,
)

__all__ = ["BackendConformance"]


class BackendConformance(
    Granting,
    Repetition,
    Fencing,
    Queueing,
    Liveness,
    Handoff,
    Nesting,
    Expiry,
    Renewing,
    LateSettling,
    Records,
    Doubt,
    FindingOut,
    Adoption,
    Admin,
    Listening,
    Events,
    Retention,
    Versions,
    VersionsMoved,
    VersionsOfRepetitions,
    VersionsForgotten,
    Looking,
    Subscribing,
    Trimming,
    Truncation,
    Bells,
    Crowds,
):
    """All that a backend promises; subclass it and say how the backend is made."""
