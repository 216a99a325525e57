"""No variable of the environment has a say in these tests unless a test says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers.fixtures import redis_server

__all__ = ["redis_server"]

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty folder, the present one, in which no file of anybody else is found."""
    for name in ("URL", "NAMESPACE", "UNMAPPED", "CONFIG"):
        monkeypatch.delenv(f"CLAWPROOF_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(project: Path) -> Write:
    """Give a function that writes a file into the folder, clawproof.toml unless another name is given."""

    def written(text: str, name: str = "clawproof.toml") -> Path:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        return path

    return written
