"""What is read of a project, what cannot be, and that none of its code is run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner

from clawproof_langgraph.audit.findings import Report, Status
from clawproof_langgraph.audit.run import audit
from clawproof_langgraph.audit.targets import WrongTarget, resolve
from clawproof_langgraph.cli import main
from tests.audit.projects import GOOD, REPORT, audited, failed, outcome, sample, write

OF_THE_CODE = ("CP001", "CP002", "CP003", "CP004", "CP005", "CP006", "CP008", "CP010")


def passed(report: Report) -> set[str]:
    return {each.rule for each in report.outcomes if each.status is Status.PASSED}


# --- no code is run -----------------------------------------------------------------------------------------------


def test_no_code_of_the_project_is_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    planted = f"open({str(trace)!r}, 'w').write('was here')\n"
    files = {**GOOD, "shop.py": planted + dedent(GOOD["shop.py"]), "sitecustomize.py": planted, "conftest.py": planted}
    write(tmp_path / "project", {**files, "tests/test_it.py": planted, "setup.py": planted})

    command = [sys.executable, "-m", "clawproof_langgraph.cli", "check", "--verbose", "project"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert found.returncode == 0, found.stdout + found.stderr
    assert not trace.exists()


def test_a_check_loads_neither_langgraph_nor_langchain(tmp_path: Path) -> None:
    project = sample(tmp_path)
    code = """
        import sys
        from clawproof_langgraph.cli import main

        main(["--check", "10", sys.argv[1]], standalone_mode=False)
        print([name for name in sys.modules if name.partition(".")[0] in ("langgraph", "langchain", "langchain_core")])
    """
    found = subprocess.run(
        [sys.executable, "-c", dedent(code), str(project)], capture_output=True, text=True, timeout=60
    )

    assert found.stdout.splitlines()[-1] == "[]", found.stdout + found.stderr


# --- speed --------------------------------------------------------------------------------------------------------


def test_a_hundred_files_take_about_a_second(tmp_path: Path) -> None:
    project = sample(tmp_path)
    module = (project / "shop" / "tools" / "stock.py").read_text()
    for number in range(100):
        (project / "shop" / f"more_{number}.py").write_text(module.replace("def ", f"def of_{number}_"))

    began = time.process_time()
    report = audit(project)

    assert report.files >= 100
    assert time.process_time() - began < 5.0  # the figure is in docs/audit.md; here it is a bound for a busy machine


# --- what cannot be read ------------------------------------------------------------------------------------------

BAD = {
    "a syntax error": ({"broken.py": "def f(:\n"}, "it is no Python"),
    "a null byte": ({"broken.py": b"x = 1\0\n"}, "null bytes"),
    "another encoding": ({"broken.py": b"name = '\xe9\xff'\n"}, "encoding"),
    "an encoding that is unknown": ({"broken.py": "# coding: klingon\n"}, "unknown encoding"),
    "an expression without end": ({"broken.py": f"x = {'(' * 5000}{')' * 5000}\n"}, ""),
    "a huge file": ({"broken.py": "x = 1\n" * 1_000_000}, "larger than"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_read_is_told_and_nothing_passes_for_it(tmp_path: Path, case: str) -> None:
    files, why = BAD[case]

    report = audited(tmp_path, {**GOOD, **files})

    assert [each.what for each in report.unseen] == ["broken.py"]
    assert why in report.unseen[0].why
    assert failed(report) == {}
    assert passed(report) == {"CP007", "CP009"}
    for rule in OF_THE_CODE:
        assert outcome(report, rule).status is Status.NOT_CHECKED
        assert "broken.py" in outcome(report, rule).line


def test_what_is_wrong_elsewhere_is_found_all_the_same(tmp_path: Path) -> None:
    project = sample(tmp_path)
    (project / "shop" / "broken.py").write_text("def f(:\n")

    assert list(failed(audit(project))) == ["CP006", "CP008"]


def test_another_encoding_that_is_declared_is_read(tmp_path: Path) -> None:
    files = {**GOOD, "latin.py": "# coding: latin-1\nname = 'é'\n".encode("latin-1")}

    assert audited(tmp_path, files).unseen == ()


def test_deeply_nested_code_is_read(tmp_path: Path) -> None:
    chain = "x = 0\n" + "if x == 0:\n    pass\n" + "".join(f"elif x == {number}:\n    pass\n" for number in range(2000))
    report = audited(tmp_path, {**GOOD, "sum.py": f"x = {' + '.join('1' for _ in range(900))}\n", "chain.py": chain})

    assert failed(report) == {}


def test_circular_imports_are_followed_once(tmp_path: Path) -> None:
    files = {
        **GOOD,
        "a.py": "from b import tools\nfrom langchain.agents import create_agent\nagent = create_agent('m', tools)\n",
        "b.py": "from a import tools\n",
    }

    report = audited(tmp_path, files)

    assert outcome(report, "CP002").status is Status.NOT_CHECKED
    assert 'which tools agent "agent" has is not in the source' in outcome(report, "CP002").line


def test_what_refers_to_itself_is_given_up(tmp_path: Path) -> None:
    loops = """
        from langchain.agents import create_agent

        tools = tools + [x for x in tools]

        def make(n):
            return make(n)

        def agent(tools):
            return agent(create_agent("m", make(tools), name=agent))

        policies = {**policies}
        a = b
        b = a
        create_agent("m", a, middleware=make(1))
        """

    report = audited(tmp_path, {**GOOD, "loops.py": loops})

    assert passed(report).isdisjoint(OF_THE_CODE)
    assert "it refers to itself" in {each.why for each in report.unseen}


def test_links_in_a_circle_are_not_followed(tmp_path: Path) -> None:
    project = write(tmp_path / "shop", GOOD)
    (project / "inner").symlink_to(project, target_is_directory=True)
    (project / "loop.py").symlink_to(project / "loop.py")

    report = audit(project)

    assert [each.what for each in report.unseen] == ["loop.py"]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    project = write(tmp_path, GOOD)
    os.mkfifo(project / "pipe.py")

    assert audit(project).unseen[0].why == "it is no regular file"


@pytest.mark.parametrize("file", ["shop.py", "src/shop.py"])
def test_two_modules_of_one_name_are_both_read(tmp_path: Path, file: str) -> None:
    inserting = GOOD["shop.py"].replace("UPDATE stock SET units = ? WHERE sku = ?", "INSERT INTO stock VALUES (?, ?)")

    report = audited(tmp_path, {**GOOD, "src/shop.py": GOOD["shop.py"], file: inserting})

    assert report.files == 2
    assert list(failed(report)) == ["CP008"]


def test_virtual_environments_are_not_the_project(tmp_path: Path) -> None:
    files = {
        **GOOD,
        "env1/pyvenv.cfg": "",
        "env1/lib/x.py": "def f(:",
        "node_modules/y.py": "def f(:",
        ".tox/z.py": "def f(:",
    }

    assert audited(tmp_path, files).unseen == ()


def test_a_configuration_that_cannot_be_read_keeps_all_from_passing(tmp_path: Path) -> None:
    report = audited(tmp_path, {**GOOD, "clawproof.toml": "[tools\n"})

    assert "CP006" not in passed(report)
    assert report.unseen[0].place is not None
    assert (report.unseen[0].place.file, report.unseen[0].place.line) == ("clawproof.toml", 1)


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": "other/9"}', "[" * 100_000])
def test_a_stress_report_that_cannot_be_read_is_no_pass(tmp_path: Path, content: str) -> None:
    report = audited(tmp_path, {**GOOD, REPORT: content})

    assert "CP009" not in passed(report)
    assert "CP007" not in passed(report)
    assert REPORT in [each.what for each in report.unseen]


# --- what is not in the code --------------------------------------------------------------------------------------


def test_the_tools_of_an_mcp_server_are_not_passed(tmp_path: Path) -> None:
    agent = """
        from langchain.agents import create_agent
        from langchain_mcp_adapters.client import MultiServerMCPClient

        async def make():
            tools = await MultiServerMCPClient({}).get_tools()
            return create_agent("model", tools, name="clerk")
        """

    report = audited(tmp_path, {**GOOD, "clerk.py": agent})

    assert failed(report) == {}
    assert {"CP001", "CP002", "CP008", "CP010"}.isdisjoint(passed(report))
    assert outcome(report, "CP008").line == (
        'idempotent writes — what the tools of an MCP server of agent "clerk" does cannot be seen'
    )


def test_a_guard_that_refuses_what_it_does_not_know_coordinates_the_tools_of_an_mcp_server(tmp_path: Path) -> None:
    agent = """
        from langchain.agents import create_agent
        from langchain_mcp_adapters.client import MultiServerMCPClient

        from clawproof_langgraph.middleware import CoordinationMiddleware
        from shop import guard

        async def make():
            tools = await MultiServerMCPClient({}).get_tools()
            return create_agent("model", tools, name="clerk", middleware=[CoordinationMiddleware(guard)])
        """

    report = audited(tmp_path, {**GOOD, "clerk.py": agent})

    assert failed(report) == {}
    assert {"CP001", "CP002", "CP010"} <= passed(report)
    assert outcome(report, "CP008").status is Status.NOT_CHECKED  # what they do is not known all the same


def test_nothing_to_check_is_no_pass(tmp_path: Path) -> None:
    write(tmp_path, {"script.py": "print('hello')\n"})

    found = CliRunner().invoke(main, ["check", str(tmp_path)])

    assert found.exit_code == 2
    assert found.stdout.count("? not checked: ") == 10
    assert "Nothing was checked: no agent and no tool was found" in found.stderr


# --- targets ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("nowhere", "There is no file or folder nowhere"),
        ("shop.nowhere:app", 'There is no module "shop.nowhere"'),
        ("notes.txt", "is no Python file"),
        ("broken.json", "cannot be read"),
        ("empty.json", "names no graphs"),
        ("sh\0op", "null byte"),
        (":app", "There is no file or folder :app"),
    ],
)
def test_a_target_that_is_none_names_the_remedy(tmp_path: Path, target: str, told: str) -> None:
    write(tmp_path, {**GOOD, "notes.txt": "", "broken.json": "{", "empty.json": "{}"})

    with pytest.raises(WrongTarget, match=told):
        resolve(target, tmp_path)


def test_a_target_that_is_none_is_wrong_usage(tmp_path: Path) -> None:
    found = CliRunner().invoke(main, ["--check", "10", str(tmp_path / "nowhere")])

    assert found.exit_code == 2
    assert "There is no file or folder" in found.stderr


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ('"graphs": {"till": "./till.py:app"}', "the file of the graph till does not exist: ./till.py:app"),
        (
            '"graphs": {"till": "../till.py:app"}',
            "the file of the graph till is not in the folder that is checked: ../till.py:app",
        ),
        (
            '"graphs": {}, "dependencies": [".", "../shared", "httpx"]',
            "the dependency ../shared is not in the folder that is checked",
        ),
    ],
)
def test_what_is_not_in_the_folder_keeps_all_from_passing(tmp_path: Path, other: str, told: str) -> None:
    (tmp_path / "till.py").write_text("app = 1")

    report = audited(tmp_path / "shop", {**GOOD, "langgraph.json": f"{{{other}}}"}, "langgraph.json")

    assert [each.why for each in report.unseen] == [told]
    assert passed(report).isdisjoint(OF_THE_CODE)


def test_a_part_of_a_package_is_read_as_it_is_imported(tmp_path: Path) -> None:
    project = sample(tmp_path)

    report = audit(project, "shop")

    assert report.root == project
    assert list(failed(report)) == ["CP006", "CP008"]


def test_a_missing_folder_of_a_file_is_nothing_to_stumble_over(tmp_path: Path) -> None:
    project = write(tmp_path, {"pyproject.toml": "", **GOOD})

    report = audit(project, "shop.py")

    assert failed(report) == {}
    assert report.files == 1


@pytest.mark.parametrize("attribute", ["app", "no_such_graph"])
def test_a_graph_that_its_module_does_not_have_is_told(tmp_path: Path, attribute: str) -> None:
    write(tmp_path, {**GOOD, "shop.py": dedent(GOOD["shop.py"]) + "\napp, other = 1, 2\n"})

    report = audit(tmp_path, f"shop:{attribute}")

    told = [each.why for each in report.unseen]
    assert told == ([] if attribute == "app" else ["shop.py has no 'no_such_graph'"])
