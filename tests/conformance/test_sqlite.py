"""The SQLite backend keeps the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from clawproof_langgraph.backends.sqlite import SqliteBackend
from clawproof_langgraph.testing.conformance import BackendConformance
from clawproof_langgraph.testing.conformance.suite import MakeBackend


class TestSqlite(BackendConformance):
    """A file; whoever opens it in the same test has connections of its own, as another process would."""

    @pytest.fixture
    def make_backend(self, tmp_path: Path) -> MakeBackend:
        return lambda clock: SqliteBackend(str(tmp_path / "state.db"), synchronous="normal", clock=clock)
