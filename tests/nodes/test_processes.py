"""Runs in several processes are never in one section at once, also when one of them is killed in the midst of it."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from tests.nodes import workers
from tests.servers import Server
from tests.servers.fixtures import redis_server

__all__ = ["redis_server"]

spawn = multiprocessing.get_context("spawn")
RUNS = 10
"""In each of two processes."""


def in_processes(url: str, kind: str, folder: Path, *dying: bool) -> list[int | None]:
    """Run a process for each, and give their exit codes."""
    (folder / "counter").write_text("0")
    processes = [spawn.Process(target=workers.run, args=(url, kind, str(folder), RUNS, dies)) for dies in dying]
    for process in processes:
        process.start()
    for process in processes:
        process.join(90)
    return [process.exitcode for process in processes]


def url_of(store: str, folder: Path, request: pytest.FixtureRequest) -> str:
    if store == "sqlite":
        return f"sqlite:///{folder / 'state.db'}?synchronous=normal"
    server: Server = request.getfixturevalue("redis_server")
    return server.url


@pytest.mark.parametrize("store", ["sqlite", "redis"])
@pytest.mark.parametrize("kind", workers.KINDS)
def test_runs_of_two_processes_take_turns(
    store: str, kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    codes = in_processes(url_of(store, tmp_path, request), kind, tmp_path, False, False)

    assert not (tmp_path / "overlaps").exists()
    assert codes == [0, 0] and (tmp_path / "counter").read_text() == str(2 * RUNS)


@pytest.mark.parametrize("store", ["sqlite", "redis"])
@pytest.mark.parametrize("kind", workers.KINDS)
def test_the_turn_of_a_killed_process_passes_on(
    store: str, kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    killed, survivor = in_processes(url_of(store, tmp_path, request), kind, tmp_path, True, False)

    assert not (tmp_path / "overlaps").exists()
    assert (killed, survivor) == (-9, 0)
    assert int((tmp_path / "counter").read_text()) >= RUNS


@pytest.mark.parametrize("kind", workers.KINDS)
def test_runs_of_one_process_in_memory_take_turns(kind: str, tmp_path: Path) -> None:
    (tmp_path / "counter").write_text("0")

    workers.run("memory://", kind, str(tmp_path), 2 * RUNS, dies=False)

    assert not (tmp_path / "overlaps").exists()
    assert (tmp_path / "counter").read_text() == str(2 * RUNS)
