"""A store that cannot be used is named with the reason, and no tool runs without it."""

import sqlite3
from pathlib import Path

import pytest

from clawproof_langgraph import BackendUnavailable, ConfigurationError, Coordinator, ToolPolicy

from .stage import as_tool, guarded, use


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("postgres://db/1", 'The store URL "postgres://db/1" is not known'),
        ("clawproof.db", "is not known; there are sqlite:///file.db"),
        ("sqlite://", "names no file"),
        ("sqlite:///{folder}/none/a.db", "There is no folder"),
        ("sqlite:///{folder}", "is a folder; name a file"),
        ("sqlite:///{folder}/a.db?sync=off", "unknown option sync"),
        ("sqlite:///{folder}/a.db?synchronous=off", 'synchronous="off" is not known'),
        ("sqlite:////proc/a.db", "/proc/a.db"),
    ],
)
def test_a_store_that_cannot_be_opened_is_named_with_the_reason(tmp_path: Path, url: str, named: str) -> None:
    with pytest.raises((ConfigurationError, BackendUnavailable)) as caught:
        Coordinator.from_url(url.format(folder=tmp_path))

    assert named in str(caught.value)


def test_a_file_that_is_not_ours_is_refused_and_not_changed(tmp_path: Path) -> None:
    theirs, text = tmp_path / "theirs.db", tmp_path / "notes.txt"
    with sqlite3.connect(theirs) as connection:
        connection.execute("CREATE TABLE customers (name)")
    connection.close()
    text.write_text("not a database, but long enough to look at" * 50)
    for path in (theirs, text):
        before = path.read_bytes()

        with pytest.raises(ConfigurationError, match=r"is not a coordination file.*Name another file"):
            Coordinator.from_url(f"sqlite:///{path}")

        assert path.read_bytes() == before


def test_a_file_of_a_newer_version_is_refused_with_the_upgrade_to_make(tmp_path: Path) -> None:
    path = tmp_path / "locks.db"
    Coordinator.from_url(f"sqlite:///{path}").close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()

    with pytest.raises(ConfigurationError, match=r"newer version.*pip install -U clawproof-langgraph"):
        Coordinator.from_url(f"sqlite:///{path}")


def test_a_full_disk_refuses_writes_and_runs_nothing(tmp_path: Path, face: str) -> None:
    ran: list[str] = []

    def sell(note: str) -> str:
        """Sell."""
        ran.append(note)
        return "sold"

    with Coordinator.from_url(f"sqlite:///{tmp_path / 'locks.db'}") as coordinator:
        copy = guarded(coordinator, as_tool(sell, face), ToolPolicy(locks=["shelf/{note}"]))
        use(copy, face, note="first")
        writer = coordinator._backend._commands.connection
        (pages,) = writer.execute("PRAGMA page_count").fetchone()
        writer.execute(f"PRAGMA max_page_count = {pages}")

        with pytest.raises(BackendUnavailable, match=r"locks.db is unavailable: .*full.*No tool runs without it"):
            use(copy, face, note="x" * 50_000)

    assert ran == ["first"]


def test_a_corrupt_file_refuses_writes_and_runs_nothing(tmp_path: Path, face: str) -> None:
    ran: list[str] = []

    def sell(note: str) -> str:
        """Sell."""
        ran.append(note)
        return "sold"

    path = tmp_path / "locks.db"
    Coordinator.from_url(f"sqlite:///{path}").close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xde\xad\xbe\xef" * ((size - 4096) // 4))

    def open_and_sell() -> None:  # either may notice first
        with Coordinator.from_url(f"sqlite:///{path}") as coordinator:
            use(guarded(coordinator, as_tool(sell, face), ToolPolicy(locks=["shelf"])), face, note="a")

    with pytest.raises(BackendUnavailable, match=r"locks.db.*repair the store"):
        open_and_sell()

    assert ran == []


def test_a_closed_coordinator_runs_nothing(coordinator: Coordinator, face: str) -> None:
    ran: list[str] = []

    def sell() -> str:
        """Sell."""
        ran.append("once")
        return "sold"

    copy = guarded(coordinator, as_tool(sell, face), ToolPolicy())
    coordinator.close()

    with pytest.raises(BackendUnavailable, match="closed"):
        use(copy, face)

    assert ran == []
