"""Reading a file: what it comes to, and what is told of each mistake in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clawproof_langgraph.config import AgentTerms, Position, Problem, find, load, located, read
from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.events import BUILT_IN
from clawproof_langgraph.policy import Lock, Retry

from .conftest import Write

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def told(path: Path) -> list[str]:
    """List the first line of each problem."""
    return [str(problem).split("\n")[0] for problem in read(path)[1]]


# --- what it comes to -------------------------------------------------------------------------------------------


def example() -> str:
    """Give the file of the page that has all keys."""
    [text] = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    return text


def test_the_example_of_the_page_loads(write: Write, project: Path) -> None:
    configuration = load(write(example()))

    assert (configuration.url, configuration.namespace) == (f"sqlite:///{project / 'state.db'}", "shop")
    charge = configuration.policy_of("charge")
    assert charge is not None
    assert (charge.policy.effect, charge.policy.retry) == ("keyed", Retry(max_retries=4, deadline="1m"))
    assert configuration.agents["orders"] == AgentTerms(
        tools=["get_stock", "reserve_*", "charge"], reads=["inventory/*", "pricing/*"],
        writes=["inventory/*", "order/*"], subscriptions=["InventoryUpdated"], enforce=True,
    )  # fmt: skip
    assert configuration.audit.waive[0].reason == "the mail server drops repetitions"
    assert configuration.audit.hot_wait == 1.0


def test_the_example_of_the_page_has_every_key(write: Write) -> None:
    configuration = load(write(example()))
    entry = {name for each in configuration.tools.values() for name in each.values}
    from clawproof_langgraph.policy import ToolPolicy

    assert entry == set(ToolPolicy.model_fields)
    assert set(configuration.tools["sync_crm"].values["retry"]) == set(Retry.model_fields)
    for kind, data in (
        (type(configuration.resources["inventory/*"]), configuration.resources["inventory/*"]),
        (AgentTerms, configuration.agents["orders"]),
        (type(configuration.alerts), configuration.alerts),
    ):
        assert data.model_fields_set == set(kind.model_fields)


def test_short_forms_mean_what_python_means(write: Write) -> None:
    configuration = load(
        write('[tools]\nget = { effect = "read", locks = ["a/{x}"], ttl = "500ms", retry = false, wait = 2 }\n')
    )
    effective = configuration.policy_of("get")
    assert effective is not None
    policy = effective.policy
    assert (policy.ttl, policy.wait, policy.retry, policy.lock_list()) == (0.5, 2.0, False, (Lock("a/{x}", "shared"),))


def test_a_tools_own_table_counts_before_its_profile_and_that_before_the_defaults(write: Write) -> None:
    configuration = load(
        write(
            '[defaults]\nttl = "1s"\nwait = "1s"\nemits = "D"\n'
            '[profiles.p]\nttl = "2s"\nwait = "2s"\n'
            '[tools.t]\nprofile = "p"\nttl = "3s"\n'
        )
    )
    effective = configuration.policy_of("t")
    assert effective is not None
    assert (effective.policy.ttl, effective.policy.wait, effective.policy.emits) == (3.0, 2.0, "D")
    where = {name: (origin.where, origin.line) for name, origin in effective.origins.items()}
    assert (where["ttl"], where["wait"], where["emits"], where["effect"]) == (
        ("tools.t", 10), ("profiles.p", 7), ("defaults", 4), ("default", 0),
    )  # fmt: skip


def test_a_reading_tool_takes_from_the_defaults_only_what_has_a_meaning_for_it(write: Write) -> None:
    configuration = load(
        write('[defaults]\nttl = "9s"\non_in_doubt = "interrupt"\n[tools]\nget = { effect = "read" }\nput = {}\n')
    )
    reading, writing = configuration.policy_of("get"), configuration.policy_of("put")
    assert reading is not None and writing is not None
    assert (reading.policy.ttl, reading.policy.on_in_doubt) == (9.0, None)
    assert writing.policy.on_in_doubt == "interrupt"


def test_the_name_counts_before_any_pattern_also_where_it_looks_like_one(write: Write) -> None:
    configuration = load(write('[tools]\n"get*" = { ttl = "1s" }\n"g*" = { ttl = "2s" }\n'))
    ttl = {name: found.policy.ttl for name in ("get*", "get_x", "gx") if (found := configuration.policy_of(name))}
    assert ttl == {"get*": 1.0, "get_x": 1.0, "gx": 2.0}
    assert configuration.policy_of("put") is None


def test_two_patterns_that_are_equally_specific_are_both_named_with_their_lines(write: Write) -> None:
    configuration = load(write('[tools]\n"ab_*" = {}\n"*_ba" = {}\n'))
    with pytest.raises(ConfigurationError) as refused:
        configuration.policy_of("ab_ba")
    assert all(word in str(refused.value) for word in ('"ab_*" (clawproof.toml:2', '"*_ba" (clawproof.toml:3'))


def test_what_only_python_has_is_not_imported(write: Write) -> None:
    write("raise SystemExit('it was imported')", "trap.py")
    path = write(
        '[tools.t]\nprobe = "trap:look"\nkey = "trap:key"\nnot_applied_on = ["trap:No", "ValueError"]\n'
        'retry = { retry_on = "trap:again" }\n'
    )
    effective = load(path).policy_of("t")
    assert effective is not None
    policy = effective.policy
    assert (repr(policy.probe), repr(policy.key)) == ("trap:look", "trap:key")
    assert [kind.__name__ for kind in policy.not_applied_on] == ["trap:No", "ValueError"]
    with pytest.raises(RuntimeError, match="was not imported"):
        policy.probe(None)  # type: ignore[misc]


def test_a_pyproject_with_our_table_is_a_file_and_one_without_it_is_passed_over(project: Path, write: Write) -> None:
    write('[project]\nname = "x"\ndependencies = ["clawproof-langgraph"]\n', "inner/pyproject.toml")
    outer = write('[project]\nname = "x"\n[tool.clawproof]\nnamespace = "shop"\nnamspace = 1\n', "pyproject.toml")
    assert find(project / "inner") == outer
    configuration, problems = read(outer)
    assert configuration is not None and configuration.namespace == "shop"
    assert [(problem.line, problem.column) for problem in problems] == [(5, 1)]
    assert configuration.position("namespace") == Position(4, 1, 9)


def test_a_clawproof_toml_counts_before_a_pyproject_beside_it(project: Path, write: Write) -> None:
    write("[tool.clawproof]\n", "pyproject.toml")
    path = write("")
    assert find(project) == path


def test_a_broken_pyproject_is_ours_only_if_it_names_us(project: Path, write: Write) -> None:
    write('[project\ndependencies = ["clawproof-langgraph"]', "inner/pyproject.toml")
    outer = write("[tool.clawproof]\nurl = \n", "pyproject.toml")
    assert find(project / "inner") == outer
    assert read(outer)[0] is None


def test_the_file_that_is_named_counts_before_the_one_of_the_environment_and_that_before_the_nearest(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    nearest, second, third = write(""), write("", "a/clawproof.toml"), write("", "b/other.toml")
    assert located() == nearest
    monkeypatch.setenv("CLAWPROOF_CONFIG", str(second.parent))
    assert located() == second
    assert located(third) == third
    with pytest.raises(ConfigurationError, match=r"There is no file nowhere\.toml"):
        located("nowhere.toml")


# --- what is wrong ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('namspace = "x"', '1:1: the file has no key "namspace"; did you mean "namespace"?'),
        ('url = ""', '1:7: url: it is a text; got "".'),
        ("namespace = 3", "1:13: namespace: it is a text; got 3."),
        ('unmapped = "alow"', '1:12: unmapped: "alow" is not known; did you mean "allow"?'),
        ("tools = 3", "1:9: tools: it is a table: write [tools]; got 3."),
        ("[tools]\nx = true", "2:5: tools.x: it is a table: write [tools.x]; got true."),
        ('[tools."reserve_*"]\n\ttll = "1s"', '2:2: tools."reserve_*": ToolPolicy has no field "tll"; did you mean "t'),
        ('[tools]\nx.ttl = "soon"', '2:9: tools.x.ttl: ttl="soon" is not a duration'),
        ('[tools]\nx = { ttl = "0s" }', "2:13: tools.x.ttl: ttl must be more than zero"),
        ('tools.x."ttl" = -1', "1:17: tools.x.ttl: ttl=-1 is not a duration"),
        ('[tools.x]\nlocks = "a/{b}"', '2:9: tools.x.locks: locks is a list: write locks=["a/{b}"].'),
        ('[tools.x]\nlocks = [\n  "a/{b}",\n  "a/{b",\n]', '4:3: tools.x.locks[1]: Template "a/{b" has a "{"'),
        ('[tools.x]\nlocks = [{ resource = "a", mod = 1 }]', '2:28: tools.x.locks[0]: Lock has no field "mod"; did'),
        ('[tools.x]\nlocks = [{ resource = "a", mode = "share" }]', '2:35: tools.x.locks[0].mode: "share" is not kno'),
        ('[tools.x]\nlocks = [{ mode = "shared" }]', '2:10: tools.x.locks[0]: Lock needs "resource".'),
        ("[tools.x]\nlocks = [3]", "2:10: tools.x.locks[0]: 3 is no lock; write"),
        ("[tools.x]\nretry = 4", "2:9: tools.x.retry: 4 is no Retry; write { max_retries = 4 }, or false for none."),
        ("[tools.x.retry]\nmax_retry = 1", '2:1: tools.x.retry: Retry has no field "max_retry"; did you mean "max_re'),
        ("[tools.x.retry]\nmax_retries = -1", "2:15: tools.x.retry.max_retries: input should be greater than or equal"),
        ('[tools.x]\nretry = { retry_on = ["Tmeout"] }', '2:23: tools.x.retry.retry_on[0]: "Tmeout" is no exception'),
        ('[tools.x]\nprobe = "look"', "2:9: tools.x.probe: 'look' names no function; write \"module:function\"."),
        ('[tools.x]\nnot_applied_on = ["KeyEror"]', '2:19: tools.x.not_applied_on[0]: "KeyEror" is no exception of P'),
        ('[tools.x]\nprofile = "pay"', '2:11: tools.x.profile: there is no profile "pay"; there is none: write'),
        ('[profiles.pays]\n[tools.x]\nprofile = "pay"', '3:11: tools.x.profile: there is no profile "pay"; did you'),
        ('[profiles.p]\nprofile = "q"', '2:1: profiles.p: ToolPolicy has no field "profile"; '),
        ('[tools.x]\neffect = "read"\nkey = "a/{b}"', '3:1: tools.x: a tool with effect="read" changes nothing and'),
        ('[profiles.p]\nkey = "a/{b}"\n[tools.x]\nprofile = "p"\neffect = "read"', '2:1: tools.x: a tool with effect'),
        ("[tools.x]\nrequires_read = true", "2:1: tools.x: requires_read compares the versions"),
        ('[tools.x]\nemits = "call.done"', '2:9: tools.x.emits: emits="call.done" is an event type of the library'),
        ('[tools."{a"]', '1:8: tools: The pattern "{a" has a "{" without its "}"'),
        ('[resources."a/*"]\ntll = 1', '2:1: resources."a/*": ResourceTerms has no field "tll"; did you mean "ttl"?'),
        ('[resources."a/*"]\nttl = 0', '2:7: resources."a/*".ttl: ttl must be more than zero'),
        ('[agents.o]\nwirtes = []', '2:1: agents.o: AgentTerms has no field "wirtes"; did you mean "writes"?'),
        ('[agents.o]\nwrites = "a"', '2:10: agents.o.writes: it is a list: write ["a"].'),
        ("[agents.o]\nenforce = true", "2:1: agents.o: `enforce` refuses what is not in `writes`"),
        ('[alerts]\nevents = ["call.in_dout"]', '2:11: alerts.events[0]: "call.in_dout" is no event type of the libr'),
        ('[alerts]\nsinks = ["log", "ftp://x"]', '2:17: alerts.sinks[1]: "ftp://x" is no sink; write'),
        ('[alerts]\nsinks = ["https://"]', '2:10: alerts.sinks[0]: "https://" is no sink; write'),
        ('[alerts]\nsinks = ["https://a b"]', '2:10: alerts.sinks[0]: "https://a b" is no sink; write'),
        ('[alerts]\ntimeout = "9s"', "2:11: alerts.timeout: the time-out of a webhook"),
        ('[[audit.waive]]\nrule = "CP008"', '1:9: audit.waive[0]: Waiver needs "reason".'),
        ('[[audit.waive]]\nrule = "CP8"\nreason = "x"', '2:8: audit.waive[0].rule: "CP8" is no rule'),
        ('[audit]\nfail_on = "hi"', '2:11: audit.fail_on: "hi" is not known; did you mean "high"?'),
        ('[audit]\nwaive = 3', "2:9: audit.waive: it is a list of tables: write [[audit.waive]]."),
        ('x = """a\n', "1:9: it is no TOML"),
        ("[tools\n", "1:7: it is no TOML"),
        ("a = 1\na = 2\n", "2:6: it is no TOML: Cannot overwrite a value"),
        ("a = " + "[" * 5000 + "]" * 5000, " its values are nested too deeply."),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_the_nearest_name(write: Write, text: str, line: str) -> None:
    [found] = told(write(text))
    assert found.startswith(f"clawproof.toml:{line}"), found


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(write: Write) -> None:
    path = write('x = 1\n[tools.a]\ntll = 1\nttl = "soon"\n[agents.o]\nwrits = []\n[tools.b]\nwait = "x"\n')
    with pytest.raises(ConfigurationError) as refused:
        load(path)
    assert re.findall(r"^clawproof\.toml:(\d+):", str(refused.value), flags=re.MULTILINE) == ["1", "3", "4", "6", "8"]


def test_a_mistake_that_only_follows_from_another_is_not_told(write: Write) -> None:
    assert len(told(write('[tools.x]\nrequires_read = true\nlocks = ["a/{b"]\n'))) == 1


def test_the_line_is_shown_with_a_mark_below_whatever_is_in_it(write: Write) -> None:
    [problem] = read(write('[agents]\n\t"日本" = { wrtes = [] }\n'))[1]
    assert str(problem).split("\n")[1:] == [
        '    2 |     "日本" = { wrtes = [] }',
        "      |                ^^^^^",
    ]


@pytest.mark.parametrize(
    "text", ["\ufeff# bom\r\n[tools.x]\r\ntll = 1\r\n", '\r\n# """\r\n[tools]\r\nx."tll" = """a\r\nb"""']
)
def test_line_ends_and_a_byte_order_mark_change_no_place(write: Write, text: str) -> None:
    [problem] = read(write(text))[1]
    line, source = next((n, line) for n, line in enumerate(text.lstrip("\ufeff").split("\r\n"), 1) if "tll" in line)
    assert (problem.line, problem.source) == (line, source)
    assert problem.column == source.index("tll") + 1 - source.count('"tll')


def test_what_is_no_utf8_is_told_with_its_place(project: Path) -> None:
    path = project / "clawproof.toml"
    path.write_bytes(b'a = "x"\nnamespace = "\xe9"\n')
    [problem] = read(path)[1]
    assert (problem.line, problem.column) == (2, 14)
    assert "save the file as UTF-8" in problem.message


def test_a_file_that_cannot_be_read_is_told(project: Path) -> None:
    path = project / "clawproof.toml"
    path.symlink_to(path)  # nobody can read that, not even root
    assert "cannot be read" in told(path)[0]


def test_what_can_be_read_beside_a_mistake_is_read(write: Write) -> None:
    configuration, problems = read(write('[tools.a]\nttl = "5s"\ntll = 1\n[tools.b]\nlocks = ["b"]\n'))
    assert configuration is not None and len(problems) == 1
    effective = [configuration.policy_of(name) for name in ("a", "b")]
    assert [each.policy.locks for each in effective if each] == [(), ("b",)]


def test_an_event_type_of_the_library_is_known_and_a_domain_event_is_let_pass(write: Write) -> None:
    kinds = [*sorted(BUILT_IN), "InventoryUpdated", "shop.sold"]
    assert load(write(f"[alerts]\nevents = {kinds}\n".replace("'", '"'))).alerts.events == tuple(kinds)


def test_a_problem_without_a_place_is_a_line() -> None:
    assert str(Problem("f", None, "is wrong")) == "f: is wrong"


@pytest.mark.parametrize(
    ("text", "told_of"),
    [
        ('url = "postgres://host"', '1:7: url: "postgres:" is no kind of store; there are sqlite:///file.db, '),
        ('url = "redi://host"', '1:7: url: "redi:" is no kind of store; did you mean "redis"?'),
        ('url = "shop.db"', "1:7: url: it is no URL; there are sqlite:///file.db, "),
        ('url = "http://["', "1:7: url: it is no URL (Invalid IPv6 URL); there are "),
        ('url = "sqlite://shop.db"', '1:7: url: The URL "sqlite://shop.db" names no file: write sqlite:///relative.db'),
        ('[tools.a]\nkey = ["order"]', "2:8: tools.a.key[0]: ['order'] is no key; write a template"),
        ('[audit]\nfail_on = "mediun"', '2:11: audit.fail_on: "mediun" is not known; did you mean "medium"?'),
        (
            '[[audit.waive]]\nrule = "CP8"\nreason = "x"',
            '2:8: audit.waive[0].rule: "CP8" is no rule; did you mean "CP008"?',
        ),
        ('[[audit.waive]]\nrule = "CP008"\nreason = " "', "3:10: audit.waive[0].reason: a waiver needs a `reason`"),
    ],
)
def test_a_mistake_says_what_may_stand_there(write: Write, text: str, told_of: str) -> None:
    [found] = told(write(text))
    assert found.startswith(f"clawproof.toml:{told_of}")
    assert "no exception" not in found and "pattern" not in found


def test_a_url_that_is_wrong_shows_no_password(write: Write) -> None:
    [problem] = read(write('url = "postgres://shop:secret@host"'))[1]
    assert "secret" not in str(problem)


def test_a_table_is_named_as_pyproject_has_it(project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.clawproof]\ntools = 3\n")
    assert "write [tool.clawproof.tools]; got 3." in told(project / "pyproject.toml")[0]
