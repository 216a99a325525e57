"""Which value counts: Python, the environment, the file, the default."""

from __future__ import annotations

from pathlib import Path

import pytest

from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from clawproof_langgraph.config.store import StoreTerms, store_terms
from clawproof_langgraph.errors import ConfigurationError

from .conftest import Write

FILE = 'url = "memory://file"\nnamespace = "file"\nunmapped = "serialize"\n[tools]\na = { ttl = "1s" }\n'


def test_a_store_is_that_of_the_argument_then_the_environment_then_the_file_then_the_project(
    project: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store_terms() == StoreTerms(None, "default")
    write(FILE)
    assert store_terms() == StoreTerms("memory://file", "file", project)
    monkeypatch.setenv("CLAWPROOF_URL", "memory://environment")
    assert store_terms() == StoreTerms("memory://environment", "file", project)
    monkeypatch.setenv("CLAWPROOF_NAMESPACE", "environment")
    assert store_terms() == StoreTerms("memory://environment", "environment")
    assert store_terms("memory://given", "given") == StoreTerms("memory://given", "given")


def test_a_relative_file_of_sqlite_is_relative_to_the_folder_of_the_file(
    project: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('url = "sqlite:///a b/st%20ate.db?synchronous=normal"')
    (project / "a b").mkdir()
    inner = project / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    with Coordinator.from_url() as coordinator:
        coordinator.snapshot()
    assert (project / "a b" / "st ate.db").exists()


def test_a_file_without_a_url_keeps_the_store_of_its_project_wherever_one_stands(
    project: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("")
    elsewhere = project / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "langgraph.json").touch()
    monkeypatch.chdir(elsewhere)
    with Coordinator.from_url() as coordinator, Guard.from_file(path).coordinator as other:
        assert coordinator.store == other.store == f"sqlite:///{project / '.clawproof' / 'state.db'}"


def test_who_gives_a_url_has_said_it_himself(write: Write) -> None:
    write("this is no TOML")
    Coordinator.from_url("memory://").close()
    with pytest.raises(ConfigurationError, match=r"clawproof\.toml:1:6: it is no TOML"):
        Coordinator.from_url()


def test_a_guard_takes_what_python_says_before_the_environment_and_the_file(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(FILE)
    unmapped = []
    for _ in range(3):
        with Guard.from_file().coordinator as coordinator:
            assert coordinator.store == "memory://file"
        unmapped.append(Guard.from_file().unmapped)
        monkeypatch.setenv("CLAWPROOF_UNMAPPED", "allow")
    assert unmapped == ["serialize", "allow", "allow"]
    assert Guard.from_file(unmapped="error").unmapped == "error"
    monkeypatch.setenv("CLAWPROOF_UNMAPPED", "alow")
    with pytest.raises(ConfigurationError, match=r'CLAWPROOF_UNMAPPED.* did you mean "allow"'):
        Guard.from_file()


def test_policies_of_python_count_before_those_of_the_file_also_by_a_pattern(write: Write) -> None:
    write(FILE)
    guard = Guard.from_file(tools={"?": ToolPolicy(ttl=9)}, resources={"x": {"ttl": 2}}, agents={"o": {"writes": []}})
    policy = guard._policies.of("a")
    assert policy is not None and policy.ttl == 9.0
    assert [pattern for pattern, _ in guard._resources] == ["x"]
    assert list(guard._agents) == ["o"]


def test_an_argument_that_from_file_does_not_have_is_refused(write: Write) -> None:
    write(FILE)
    with pytest.raises(ConfigurationError, match='no argument "namspace"; did you mean "namespace"'):
        Guard.from_file(namspace="x")


def test_without_a_file_from_file_says_how_to_get_one() -> None:
    with pytest.raises(ConfigurationError, match=r"There is no clawproof\.toml.*`clawproof init`"):
        Guard.from_file()


def test_guards_of_one_store_share_a_coordinator_until_it_is_closed(write: Write) -> None:
    write(FILE)
    first, second = Guard.from_file(agent="a"), Guard.from_file(agent="b")
    assert first.coordinator is second.coordinator
    assert Guard.from_file(namespace="other").coordinator is not first.coordinator
    first.coordinator.close()
    with Guard.from_file().coordinator as third:
        assert third is not first.coordinator


def test_a_coordinator_that_is_given_counts(write: Write) -> None:
    write(FILE)
    with Coordinator.from_url("memory://") as coordinator:
        assert Guard.from_file(coordinator=coordinator).coordinator is coordinator
