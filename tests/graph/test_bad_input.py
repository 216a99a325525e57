"""What is wrong is said before any tool runs, with its name and the remedy."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langgraph.prebuilt import ToolNode

from clawproof_langgraph import BackendUnavailable, ConfigurationError, Coordinator, Guard, Lock, Retry, ToolPolicy, UnmappedTool
from clawproof_langgraph.middleware import CoordinationMiddleware
from tests.langgraph.scripted import asks, call, play, results, says, thread, tools_only

from .stage import Build, as_tool, guarded, hooked, policies, ready_made, turn, types_of, use, wrapped

BUILDS = [hooked, wrapped, ready_made]


def reserve(sku: str) -> str:
    """Reserve."""
    return f"reserved {sku}"


def ship(order: int) -> str:
    """Ship."""
    return f"shipped {order}"


@pytest.mark.parametrize("build", [hooked, wrapped])
def test_tools_without_a_policy_are_refused_at_build_time_all_at_once_as_a_table_to_paste(
    coordinator: Coordinator, build: Build
) -> None:
    guard = Guard(coordinator, tools={})

    with pytest.raises(UnmappedTool) as caught:
        build(guard, turn(), [as_tool(reserve, "sync"), as_tool(ship, "sync")])

    assert caught.value.tools == ("reserve", "ship")
    assert '"reserve": ToolPolicy(' in str(caught.value) and '"ship": ToolPolicy(' in str(caught.value)
    assert 'unmapped="serialize"' in str(caught.value)


def test_a_tool_without_a_policy_that_is_only_seen_when_called_is_refused_before_it_runs(
    coordinator: Coordinator, mode: str
) -> None:
    ran: list[str] = []

    @tool
    def sell() -> str:
        """Sell."""
        ran.append("once")
        return "sold"

    graph = ready_made(Guard(coordinator, tools={}), turn(call("sell")), [sell])

    with pytest.raises(UnmappedTool, match="sell"):
        play(graph, {"messages": [HumanMessage("go")]}, thread(), mode=mode)

    assert ran == []


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize(("unmapped", "resources"), [("serialize", [("tool/reserve",)]), ("allow", [])])
def test_tools_without_a_policy_are_serialised_or_let_through_if_the_guard_is_told_so(
    coordinator: Coordinator, mode: str, build: Build, unmapped: Any, resources: list[Any]
) -> None:
    guard = Guard(coordinator, tools={}, unmapped=unmapped)
    graph = build(guard, turn(call("reserve", sku="a")), [as_tool(reserve, "sync")])

    state = play(graph, {"messages": [HumanMessage("go")]}, thread(), mode=mode)

    assert results(state)[0].content == "reserved a"
    assert [event.resources for event in coordinator.events(types=["call.done"])] == resources


def test_langgraphs_own_tools_need_no_policy(coordinator: Coordinator) -> None:
    guard = Guard(coordinator, tools={})
    names = ("write_todos", "task", "transfer_to_billing")

    copies = guard.wrap_tools([as_tool(reserve, "sync", name=name) for name in names])

    assert [use(copy, sku="a").content for copy in copies] == ["reserved a"] * 3
    assert coordinator.events() == []


@pytest.mark.parametrize(
    ("policy", "named"),
    [
        ({"locks": ["inventory/{sky}"]}, 'template "inventory/{sky}" names "sky"'),
        ({"key": "order/{number}"}, 'template "order/{number}" names "number"'),
        ({"key_fields": ["skuu"]}, 'key_fields names "skuu"'),
        ({"log_fields": ["skuu"]}, 'log_fields names "skuu"'),
    ],
)
@pytest.mark.parametrize("build", [hooked, wrapped])
def test_a_field_that_the_tool_does_not_have_is_refused_at_build_time(
    coordinator: Coordinator, build: Build, policy: dict[str, Any], named: str
) -> None:
    guard = Guard(coordinator, tools={"reserve": ToolPolicy(**policy)})

    with pytest.raises(ConfigurationError) as caught:
        build(guard, turn(), [as_tool(reserve, "sync")])

    assert '"reserve"' in str(caught.value) and named in str(caught.value)
    assert "its arguments are: sku" in str(caught.value)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: ToolPolicy(lock=["a"]), 'no field "lock"; did you mean "locks"?'),
        (lambda: ToolPolicy(efect="read"), 'no field "efect"; did you mean "effect"?'),
        (lambda: ToolPolicy(zzz=1), 'no field "zzz"; there are: locks, effect'),
        (lambda: Retry(max_retry=1), 'no field "max_retry"; did you mean "max_retries"?'),
        (lambda: ToolPolicy(effect="write"), "effect"),
        (lambda: ToolPolicy(ttl=0), "ttl must be more than zero"),
        (lambda: ToolPolicy(ttl="0s"), "ttl must be more than zero"),
        (lambda: ToolPolicy(ttl="soon"), 'ttl="soon" is not a duration'),
        (lambda: ToolPolicy(wait=-1), "wait=-1 is not a duration"),
        (lambda: ToolPolicy(locks="inventory/{sku}"), 'locks is a list: write locks=["inventory/{sku}"]'),
        (lambda: ToolPolicy(locks=[""]), "A resource needs a name"),
        (lambda: ToolPolicy(locks=["  "]), "A resource needs a name"),
        (lambda: ToolPolicy(locks=["inventory/{sku"]), 'without its "}"'),
        (lambda: ToolPolicy(locks=["inventory/{}"]), "is not a name"),
        (lambda: ToolPolicy(locks=["inventory/{_sku}"]), "underscore"),
        (lambda: ToolPolicy(locks=["inventory/{sku|upper}"]), 'filter "upper"; there are: lower, realpath'),
        (lambda: Lock("a", mode="alone"), "exclusive"),
        (lambda: ToolPolicy(effect="read", key="a"), "remove `key`"),
        (lambda: ToolPolicy(on_refusal="shout"), "on_refusal"),
    ],
)
def test_a_policy_that_is_wrong_says_what_and_how_to_mend_it(make: Any, named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make()

    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"tools": [("a", ToolPolicy()), ("a", ToolPolicy())]}, 'two policies for tool "a"'),
        ({"tools": {"a": {"locks": ["b"]}}}, 'policy of tool "a" is a dict; write ToolPolicy(...)'),
        ({"tools": {}, "unmapped": "ignore"}, 'unmapped="ignore" is not known'),
        ({"tools": {}, "resources": {"a/*": {"tll": "1s"}}}, 'Resource "a/*" has no term tll'),
        ({"tools": {}, "resources": {"a/*": {"ttl": 0}}}, "ttl must be more than zero"),
    ],
)
def test_a_guard_that_is_wrong_says_what(coordinator: Coordinator, options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Guard(coordinator, **options)

    assert named in str(caught.value)


@pytest.mark.parametrize("sku", ["", "   ", "a\nb"])
def test_arguments_that_make_no_resource_name_are_refused_before_the_tool_runs(
    coordinator: Coordinator, face: str, sku: str
) -> None:
    ran: list[str] = []

    def sell(sku: str) -> str:
        """Sell."""
        ran.append(sku)
        return "sold"

    copy = guarded(coordinator, as_tool(sell, face), ToolPolicy(locks=["inventory/{sku}"]))

    with pytest.raises(ConfigurationError, match="inventory/"):
        use(copy, face, sku=sku)

    assert ran == [] and coordinator.events() == []


def test_a_missing_part_of_an_argument_is_named(coordinator: Coordinator) -> None:
    def sell(items: list[dict[str, str]]) -> str:
        """Sell."""
        return "sold"

    copy = guarded(coordinator, as_tool(sell, "sync"), ToolPolicy(locks=["inventory/{items[*].sku}"]))

    for items in ([], [{"name": "a"}], [{"sku": "a"}, {"sku": ""}]):
        with pytest.raises(ConfigurationError, match=r'field "items\[\*\]\.sku"'):
            use(copy, items=items)


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

        with pytest.raises(ConfigurationError, match="is not a coordination file.*Name another file"):
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
        store = coordinator._backend
        store._writer.execute(f"PRAGMA max_page_count = {store._writer.execute('PRAGMA page_count').fetchone()[0]}")

        with pytest.raises(BackendUnavailable, match="full"):
            for number in range(500):
                use(copy, face, note=f"{number}-" + "x" * 500)

        refused_after = len(ran)
        with pytest.raises(BackendUnavailable, match=r"locks.db is unavailable.*No tool runs without it"):
            use(copy, face, note="y" * 5000)
        assert len(ran) == refused_after


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

    with pytest.raises(BackendUnavailable, match=r"locks.db.*repair the store"):  # noqa: PT012 - either may notice first
        with Coordinator.from_url(f"sqlite:///{path}") as coordinator:
            use(guarded(coordinator, as_tool(sell, face), ToolPolicy(locks=["shelf"])), face, note="a")

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


def test_what_is_wrong_with_the_setup_is_never_told_to_the_model(coordinator: Coordinator, mode: str) -> None:
    guard = Guard(coordinator, tools={"reserve": ToolPolicy(locks=["inventory/{sku}"])})
    graph = tools_only(ToolNode(guard.wrap_tools([as_tool(reserve, "sync")])))

    with pytest.raises(ConfigurationError):
        play(graph, asks(call("reserve", sku="")), mode=mode)


def test_an_argument_that_has_no_fingerprint_is_named_with_the_remedy(coordinator: Coordinator) -> None:
    def sell(thing: Any) -> str:
        """Sell."""
        return "sold"

    copy = guarded(coordinator, as_tool(sell, "sync"), ToolPolicy())

    with pytest.raises(ConfigurationError, match=r"builtins\.object.*key_fields"):
        copy.invoke({"thing": object()})


def test_a_second_guard_in_an_agent_is_refused_by_langchain(coordinator: Coordinator) -> None:
    middleware = [CoordinationMiddleware(Guard(coordinator, tools=policies())) for _ in range(2)]

    with pytest.raises(AssertionError, match="duplicate"):
        ready_made(middleware[0].guard, turn(), [as_tool(reserve, "sync")], middleware=middleware)


def test_admin_commands_that_name_nothing_are_refused(coordinator: Coordinator) -> None:
    for command, named in (
        (lambda: coordinator.kill(""), "An agent needs a name"),
        (lambda: coordinator.resolve("nothing", "applied"), 'under key "nothing"'),
        (lambda: coordinator.resolve("nothing", "perhaps"), 'outcome="perhaps" is not known'),
        (lambda: coordinator.lock(), "at least one resource"),
        (lambda: coordinator.lock(""), "empty"),
        (lambda: coordinator.lock("a", ttl=0), "ttl must be more than zero"),
        (lambda: coordinator.lock("a", mode="alone"), "alone"),
        (lambda: coordinator.events(colour="red"), "no filter colour"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            command()
        assert named in str(caught.value)
    assert types_of(coordinator) == []
    assert says(text="done").content == "done"
