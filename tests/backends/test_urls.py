"""From a URL to a store, and where the store is if nobody says."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

from clawproof_langgraph import ConfigurationError, Coordinator
from clawproof_langgraph.backends.urls import open_backend
from tests.waiting import await_until

MARKS = ["clawproof.toml", "langgraph.json", "pyproject.toml", ".git"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, with nothing said by the environment."""
    monkeypatch.delenv("CLAWPROOF_URL", raising=False)
    monkeypatch.delenv("CLAWPROOF_NAMESPACE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def held(coordinator: Coordinator) -> list[str]:
    """Name what is held in the store of a coordinator."""
    return [want.resource for lease in coordinator.snapshot().leases for want in lease.wants]


def opened(url: str | None = None, namespace: str | None = None) -> str:
    """Open a store, close it, and tell its name."""
    backend = open_backend(url, namespace)
    backend.close()
    return backend.name


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///relative.db", "relative.db"),
        ("sqlite:///./sub/../relative.db", "relative.db"),
        ("sqlite:///with%20blank.db", "with blank.db"),
        ("sqlite:///caf%C3%A9.db", "caf\u00e9.db"),
        ("sqlite:///a.db?synchronous=normal", "a.db"),
        ("SQLITE:///a.db", "a.db"),
    ],
)
def test_a_url_names_a_file(elsewhere: Path, url: str, file: str) -> None:
    (elsewhere / "sub").mkdir()
    assert opened(url) == f"sqlite:///{elsewhere / file}"
    assert (elsewhere / file).is_file()


def test_an_absolute_file_has_four_slashes(elsewhere: Path) -> None:
    assert opened(f"sqlite:///{elsewhere}/x.db") == f"sqlite:///{elsewhere}/x.db"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite://host/x.db", "names no file"),
        ("sqlite:///x.db?sync=off", "unknown option sync; there is synchronous"),
        ("sqlite:///x.db?synchronous=off", '"full" or "normal"'),
        ("postgres://x", 'store URL "postgres://x" is not known; there are sqlite'),
        ("x.db", "is not known"),
        ("/x.db", "is not known"),
    ],
)
def test_a_url_that_cannot_be_is_refused_with_the_remedy(elsewhere: Path, url: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told.replace("?", r"\?")):
        open_backend(url, None)
    assert list(elsewhere.iterdir()) == []


def test_a_password_in_a_url_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as refused:
        open_backend("postgres://me:hunter2@host/db", None)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("mark", MARKS)
def test_the_default_is_a_file_in_the_projects_folder(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, mark: str
) -> None:
    (elsewhere / mark).touch()
    deep = elsewhere / "src" / "deep"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)

    assert opened() == f"sqlite:///{elsewhere}/.clawproof/state.db"
    assert (elsewhere / ".clawproof" / ".gitignore").read_text() == "*\n"
    assert list(deep.iterdir()) == []


def test_the_nearest_project_counts(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (elsewhere / ".git").mkdir()
    inner = elsewhere / "package"
    inner.mkdir()
    (inner / "pyproject.toml").touch()
    monkeypatch.chdir(inner)
    assert opened() == f"sqlite:///{inner}/.clawproof/state.db"


@pytest.mark.parametrize("name", ["plain", "with blank", "c# project", "what?", "100%41", "caf\u00e9"])
def test_a_project_may_be_called_anything(elsewhere: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    project = elsewhere / name
    project.mkdir()
    (project / "pyproject.toml").touch()
    monkeypatch.chdir(project)

    assert opened() == f"sqlite:///{project}/.clawproof/state.db"
    assert [path.name for path in elsewhere.iterdir()] == [name]


def test_a_gitignore_of_the_user_is_kept(elsewhere: Path) -> None:
    (elsewhere / "pyproject.toml").touch()
    (elsewhere / ".clawproof").mkdir()
    (elsewhere / ".clawproof" / ".gitignore").write_text("state.db\n")
    opened()
    assert (elsewhere / ".clawproof" / ".gitignore").read_text() == "state.db\n"


def test_a_project_folder_that_cannot_be_made_is_told_with_the_remedy(elsewhere: Path) -> None:
    (elsewhere / "pyproject.toml").touch()
    (elsewhere / ".clawproof").write_text("a file is in the way")
    with pytest.raises(ConfigurationError, match="CLAWPROOF_URL"):
        open_backend(None, None)


def test_the_environment_says_where_and_an_argument_says_it_louder(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAWPROOF_URL", "sqlite:///env.db")
    assert opened().endswith("/env.db")
    assert opened("sqlite:///argument.db").endswith("/argument.db")
    assert not (elsewhere / ".clawproof").exists()


def test_an_empty_environment_says_nothing(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAWPROOF_URL", "")
    monkeypatch.setenv("CLAWPROOF_NAMESPACE", "")
    assert opened().endswith("/.clawproof/state.db")


def test_the_environment_names_the_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "sqlite:///a.db"
    monkeypatch.setenv("CLAWPROOF_NAMESPACE", "shop")
    with Coordinator.from_url(url) as by_environment, by_environment.lock("a"):
        with Coordinator.from_url(url, namespace="shop") as by_name:
            assert held(by_name) == ["a"]
        with Coordinator.from_url(url, namespace="else") as other:
            assert held(other) == []


# --- memory -----------------------------------------------------------------------------------------------------


def test_memory_without_a_name_is_ones_own() -> None:
    with Coordinator.from_url("memory://") as one, Coordinator.from_url("memory://") as other, one.lock("a"):
        assert held(other) == []


@pytest.mark.parametrize("url", ["memory://shared", "memory:///shared/deep"])
def test_memory_with_a_name_is_shared_in_the_process(url: str) -> None:
    with Coordinator.from_url(url) as one, Coordinator.from_url(url) as other, one.lock("a"):
        assert held(other) == ["a"]


def test_memory_of_one_name_in_two_namespaces_is_not_shared() -> None:
    with (
        Coordinator.from_url("memory://split", namespace="x") as one,
        Coordinator.from_url("memory://split", namespace="y") as other,
        one.lock("a"),
    ):
        assert held(other) == []


async def test_closing_one_of_two_does_not_deafen_the_other() -> None:
    """Both are users of the same memory; one of them going must cost the other nothing."""
    one, other = Coordinator.from_url("memory://deaf"), Coordinator.from_url("memory://deaf")
    holding, release = threading.Event(), threading.Event()

    def hold() -> None:
        with other.lock("a", ttl=30):
            holding.set()
            release.wait(10)

    async def wait_for_it() -> float:
        async with other.lock("a", wait=20):
            return time.monotonic()

    holder = threading.Thread(target=hold)
    holder.start()
    await await_until(holding.is_set)
    waiter = asyncio.create_task(wait_for_it())
    await await_until(lambda: other.snapshot().waiters)
    one.close()
    await asyncio.sleep(0)
    released = time.monotonic()
    release.set()

    assert await asyncio.wait_for(waiter, 4) - released < 2
    holder.join()
    other.close()
