"""The file: which are refused untouched, and what becomes of one that is damaged or cannot grow."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clawproof_langgraph import BackendUnavailable, ConfigurationError, Coordinator
from clawproof_langgraph.backends.sqlite import SqliteBackend, backend
from clawproof_langgraph.events import EventFilter
from clawproof_langgraph.model import Granted, Note, Queued, Renew, Settle, Sweep
from clawproof_langgraph.testing.builders import call, settled
from clawproof_langgraph.testing.clock import ManualClock

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file that does not exist yet."""
    return tmp_path / "state.db"


def refused(path: Path) -> str:
    """Open a file that must be refused, and give the reason."""
    with pytest.raises(ConfigurationError) as found:
        SqliteBackend(path)
    assert str(path) in str(found.value)
    return str(found.value)


def used(path: Path, calls: int = 0) -> None:
    """Make a file that has been used."""
    made = SqliteBackend(path, synchronous="normal")
    for n in range(calls):
        made.settle(settled(made.begin(call(f"c{n}", f"resource/{n}", key=f"key-{n}")), result=b"x" * 200))  # type: ignore[arg-type]
    made.close()


def until_it_fails(command: Callable[[int], object]) -> None:
    """Send a command with rising numbers."""
    for number in range(5000):
        command(number)


# --- which files are ours ---------------------------------------------------------------------------------------


def test_a_file_of_another_program_is_refused_and_not_changed(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (a)")
    connection.commit()
    connection.close()
    before = path.read_bytes()

    assert "not a coordination file" in refused(path)
    assert path.read_bytes() == before


def test_a_file_with_another_mark_is_refused(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA application_id = 1")
    connection.commit()
    connection.close()
    assert "not a coordination file" in refused(path)


@pytest.mark.parametrize("content", [b"some text\n" * 500, os.urandom(4096)], ids=["text", "noise"])
def test_a_file_that_is_no_database_is_refused_and_not_changed(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert "not a coordination file" in refused(path)
    assert path.read_bytes() == content


def test_an_empty_file_is_taken(path: Path) -> None:
    path.touch()
    used(path, calls=1)


@pytest.mark.parametrize(
    ("version", "remedy"), [(99, "pip install -U clawproof-langgraph"), (1, "before its first release")]
)
def test_a_file_of_another_version_is_refused_with_the_remedy(path: Path, version: int, remedy: str) -> None:
    used(path)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.commit()
    connection.close()
    assert remedy in refused(path)


def test_a_folder_is_refused_with_the_remedy(tmp_path: Path) -> None:
    assert "is a folder; name a file" in refused(tmp_path)


def test_a_folder_that_is_not_there_is_refused_with_the_remedy(tmp_path: Path) -> None:
    assert "create it first" in refused(tmp_path / "none" / "state.db")


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """Make a folder that every user may enter."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def as_ordinary_user(work: Callable[[], str]) -> str:
    """Do something in a process without the rights of root, for whom nothing is read-only; give what it returns."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if os.geteuid() == 0:
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            os.write(writing, work().encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    with os.fdopen(reading) as answer:
        return answer.read()


@pytest.mark.parametrize("read_only", ["folder", "file"])
def test_a_place_that_cannot_be_written_is_refused_with_the_remedy(public_folder: Path, read_only: str) -> None:
    path = public_folder / "state.db"
    if read_only == "file":
        used(path)
        path.chmod(0o444)
        public_folder.chmod(0o777)
    else:
        public_folder.chmod(0o555)

    def open_it() -> str:
        try:
            SqliteBackend(path)
        except ConfigurationError as refused:
            return str(refused)
        return "it was opened"

    found = as_ordinary_user(open_it)

    assert f"Cannot write {path}" in found
    assert "give this user the right" in found


# --- damage -----------------------------------------------------------------------------------------------------


def root_page(path: Path, table: str) -> int:
    """Tell on which page a table begins."""
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    connection.close()
    return int(found)


def overwrite(path: Path, pages: range, size: int = 4096) -> None:
    """Write noise over pages of a closed file."""
    with path.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * size)
            file.write(b"\xff" * size)


def test_a_file_damaged_in_the_middle_makes_the_store_unavailable(path: Path) -> None:
    used(path, calls=200)
    pages = path.stat().st_size // 4096
    overwrite(path, range(pages // 3, pages))

    made = SqliteBackend(path)
    with pytest.raises(BackendUnavailable, match="malformed"):
        until_it_fails(lambda n: made.begin(call("again", key=f"key-{n}")))
    with pytest.raises(BackendUnavailable):
        made.events(EventFilter())
    made.close()


@pytest.mark.parametrize("table", ["sqlite_autoindex_namespaces_1", "live", "events", "records", "killed"])
def test_a_damaged_table_is_told_as_an_unavailable_store(path: Path, table: str) -> None:
    """Whichever command meets the damage first, also opening."""
    used(path, calls=3)
    page = root_page(path, table)
    overwrite(path, range(page, page + 1))

    with pytest.raises(BackendUnavailable, match="malformed"):
        use_everything(path)


def use_everything(path: Path) -> None:
    """Read and write all tables."""
    made = SqliteBackend(path)
    try:
        lease = made.begin(call("new", "resource/1", key="key-1", scope="s"))
        made.begin(call("new", "resource/1", key="new", agent="orders"))
        made.events(EventFilter())
        made.snapshot()
        assert lease
    finally:
        made.close()


def test_a_damaged_header_is_refused(path: Path) -> None:
    used(path)
    overwrite(path, range(1, 2))
    assert "not a coordination file" in refused(path)


def repair(path: Path, good: bytes) -> None:
    """Bring the content of a file back while others have it open."""
    spare = path.with_name("spare.db")
    spare.write_bytes(good)
    source, target = sqlite3.connect(spare), sqlite3.connect(path)
    source.backup(target)
    source.close()
    target.close()


def test_a_store_that_was_repaired_is_used_again_without_a_restart(path: Path) -> None:
    used(path, calls=50)
    good = path.read_bytes()
    made = SqliteBackend(path)
    made.close()
    page = root_page(path, "events")
    overwrite(path, range(page, page + 1))
    made = SqliteBackend(path)
    with pytest.raises(BackendUnavailable):
        made.record(Note("hello"))

    repair(path, good)

    made.record(Note("hello again"))
    assert made.events(EventFilter(types=("hello again",)))
    made.close()


# --- no room ----------------------------------------------------------------------------------------------------


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Limit how many pages each new connection lets the file have; 0 for no limit."""
    limit = {"pages": 0}
    really_open = backend.open_connection

    def open_connection(path: str, synchronous: str) -> sqlite3.Connection:
        connection = really_open(path, synchronous)
        if limit["pages"]:
            connection.execute(f"PRAGMA max_page_count = {limit['pages']}")
        return connection

    monkeypatch.setattr(backend, "open_connection", open_connection)
    return limit


def test_a_full_disk_makes_the_store_unavailable_and_loses_nothing_acknowledged(
    path: Path, room: dict[str, int]
) -> None:
    used(path)
    room["pages"] = path.stat().st_size // 4096 + 4
    made = SqliteBackend(path)
    acknowledged = []

    def take_one_more(n: int) -> None:
        made.begin(call(f"c{n}", f"resource/{n:050}", key=f"key-{n}"))
        acknowledged.append(f"c{n}")

    with pytest.raises(BackendUnavailable, match="full"):
        until_it_fails(take_one_more)
    for _ in range(3):
        with pytest.raises(BackendUnavailable, match="full"):
            made.begin(call("one more", "resource/x" * 50, key="k" * 500))

    assert len(acknowledged) > 5
    assert sorted(lease.owner for lease in made.snapshot().leases) == sorted(acknowledged)
    made.close()


def test_room_on_the_disk_is_used_without_a_restart(path: Path, room: dict[str, int]) -> None:
    used(path)
    room["pages"] = path.stat().st_size // 4096
    made = SqliteBackend(path)
    with pytest.raises(BackendUnavailable):
        until_it_fails(lambda n: made.record(Note(f"n{n}", data={"text": "x" * 1000})))
    room["pages"] = 0
    made.record(Note("after", data={"text": "x" * 100_000}))
    assert made.events(EventFilter(types=("after",)))
    made.close()


def test_a_new_namespace_on_a_full_disk_is_told_as_an_unavailable_store(path: Path, room: dict[str, int]) -> None:
    used(path)
    room["pages"] = path.stat().st_size // 4096
    with pytest.raises(BackendUnavailable):
        until_it_fails(lambda n: SqliteBackend(path, namespace=f"a long name, {n:0500}").close())


# --- closing and sharing ----------------------------------------------------------------------------------------


def test_a_closed_store_says_so(path: Path) -> None:
    made = SqliteBackend(path)
    made.close()
    made.close()
    with pytest.raises(BackendUnavailable, match="was closed"):
        made.begin(call("a"))
    with pytest.raises(BackendUnavailable, match="was closed"):
        made.snapshot()


async def test_a_closed_store_says_so_to_a_loop_too(path: Path) -> None:
    made = SqliteBackend(path)
    await made.asnapshot()
    made.close()
    with pytest.raises(BackendUnavailable, match="was closed"):
        await made.abegin(call("a"))


def test_what_was_acknowledged_is_there_after_reopening(path: Path) -> None:
    with Coordinator.from_url(f"sqlite:///{path}") as first:
        first.kill("orders", reason="runaway", by="ops")
    with Coordinator.from_url(f"sqlite:///{path}") as second:
        assert [killed.reason for killed in second.killed()] == ["runaway"]


def test_a_new_file_is_private(path: Path) -> None:
    used(path, 1)
    keep = SqliteBackend(path)
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    keep.close()
    assert set(modes.values()) == {0o600}, modes


def test_a_file_keeps_the_mode_that_its_owner_gave_it(path: Path) -> None:
    path.touch()
    path.chmod(0o660)
    used(path, 1)
    assert path.stat().st_mode & 0o777 == 0o660


def test_what_lived_before_the_machine_was_started_anew_is_dead(path: Path) -> None:
    """The clock of leases starts from zero with the machine, and their holders are gone."""
    before = SqliteBackend(path, clock=ManualClock(ticks=900_000.0))
    assert isinstance(before.begin(call("a", "inventory/1", key="k", ttl=30)), Granted)
    assert isinstance(before.begin(call("w", "inventory/1", key="w", session="old")), Queued)
    before.close()

    after = SqliteBackend(path, clock=ManualClock(now=1_800_000_060.0, ticks=20.0))

    assert [doubt.key for doubt in after.snapshot().in_doubt] == ["k"]
    assert isinstance(after.begin(call("b", "inventory/1", key="b")), Granted)
    after.sweep(Sweep())
    assert after.snapshot().waiters == ()
    after.close()


def test_renewals_do_not_queue_up_behind_commands(path: Path) -> None:
    store = SqliteBackend(path)
    store.begin(call("a", "inventory/1", ttl=30))
    with store._commands.lock:  # as a thread has it that waits for the file
        renewing = threading.Thread(target=store.renew, args=(Renew("s1", (("a", 30.0),)),), daemon=True)
        renewing.start()
        renewing.join(5)
        assert not renewing.is_alive()
    store.close()


def test_two_namespaces_share_nothing(path: Path) -> None:
    one, other = SqliteBackend(path, "one"), SqliteBackend(path, "other")
    lease = one.begin(call("c", "a", key="k", scope="s"))
    one.record(Note("hello"))

    twin = other.begin(call("c", "a", key="k", scope="s", fingerprint="another"))
    assert type(twin) is type(lease)
    assert other.settle(Settle("c", lease.fence, None)) == "settled"  # type: ignore[union-attr]
    assert [view.owner for view in one.snapshot().leases] == ["c"]
    assert not other.events(EventFilter(types=("hello",)))
    one.settle(settled(lease, result=b"1"))  # type: ignore[arg-type]
    assert type(other.begin(call("d", key="k"))) is type(lease), "nothing is known of the other's key"
    one.close()
    other.close()
