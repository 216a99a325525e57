"""`clawproof init`: what it writes loads, says why, and hides nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from click.testing import CliRunner, Result

from clawproof_langgraph.cli import main
from clawproof_langgraph.config import Configuration, load
from clawproof_langgraph.policy import ToolPolicy
from tests.audit.projects import SAMPLE

EXAMPLES = Path(__file__).parents[2] / "examples"

SHOP = """
    import sqlite3
    from typing import Annotated

    import httpx
    from langchain.agents import create_agent
    from langchain_core.tools import tool
    from langgraph.prebuilt import InjectedState

    open("trace", "w").close()  # it must not be run


    @tool
    def get_stock(sku: str) -> int:
        '''Tell.'''
        with sqlite3.connect("shop.db") as db:
            return db.execute("SELECT units FROM stock WHERE sku = ?", (sku,)).fetchone()[0]


    @tool
    def reserve(state_id: Annotated[str, InjectedState], sku: str, quantity: int) -> str:
        '''Take.'''
        with sqlite3.connect("shop.db") as db:
            db.execute("UPDATE stock SET units = units - ? WHERE sku = ?", (quantity, sku))
        return "ok"


    @tool
    def set_price(sku: str, cents: int) -> str:
        '''Set.'''
        with sqlite3.connect("shop.db") as db:
            db.execute("UPDATE prices SET cents = ? WHERE sku = ?", (cents, sku))
        return "ok"


    @tool("mail \\"all\\"")
    def mail(lines: list[str]) -> str:
        '''Send.'''
        return httpx.post("https://mail.example/send", json=lines).text


    orders = create_agent("m", [get_stock, reserve, set_price, mail], name="orders")
    """


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the present folder, with a project in it."""
    monkeypatch.delenv("CLAWPROOF_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.py").write_text(dedent(SHOP))
    return tmp_path


def run(*arguments: str, **options: Any) -> Result:
    """Run `clawproof init`."""
    return CliRunner().invoke(main, ["init", *arguments], **options)


def policy(configuration: Configuration, tool: str) -> ToolPolicy:
    """Give the policy of a tool."""
    found = configuration.policy_of(tool)
    assert found is not None
    return found.policy


def test_every_tool_is_classified_by_what_it_does_and_none_of_it_is_run(shop: Path) -> None:
    result = run()
    assert result.exit_code == 0, result.output
    configuration = load(shop / "clawproof.toml")
    effects = {name: str(policy(configuration, name).effect) for name in configuration.tools}
    assert effects == {"get_stock": "read", "reserve": "once", "set_price": "idempotent", 'mail "all"': "once"}
    assert policy(configuration, "reserve").locks == ("stock/{sku}",)
    assert policy(configuration, "get_stock").locks == ("stock/{sku}",)  # since another tool changes it
    assert configuration.agents["orders"].writes == ("prices/*", "stock/*")
    assert not (shop / "trace").exists()


def test_each_guess_says_why_and_where(shop: Path) -> None:
    run()
    lines = (shop / "clawproof.toml").read_text().splitlines()
    at = lines.index("[tools.reserve]")
    assert lines[at + 1].startswith('effect = "once"  # ')
    assert "shop.py:24:" in lines[at + 1]
    assert lines[at - 1].startswith("# shop.py:2")
    mail = lines[lines.index('[tools."mail \\"all\\""]') + 1 :]
    assert any(line.startswith("# locks = ") and "name what it changes" in line for line in mail[:3])


def test_the_written_file_takes_the_guard_as_it_is(shop: Path) -> None:
    run()
    program = "\n".join(
        [
            "from unittest.mock import patch",
            "from langchain_core.language_models.fake_chat_models import FakeListChatModel",
            "import langchain.agents",
            "langchain.agents.create_agent = lambda *args, **options: None",
            "import shop",
            "from clawproof_langgraph import Guard",
            "Guard.from_file(url='memory://', alerts=False).tool_node([shop.get_stock, shop.set_price, shop.mail])",
        ]
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=shop, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("target", [EXAMPLES, SAMPLE], ids=["examples", "sample"])
def test_what_it_writes_of_real_projects_loads_without_a_problem(tmp_path: Path, target: Path) -> None:
    file = tmp_path / "clawproof.toml"
    result = run(str(target), "-o", str(file))
    assert result.exit_code == 0, result.output
    configuration = load(file)
    assert len(configuration.tools) >= 3


def test_what_python_says_of_a_tool_is_repeated(shop: Path) -> None:
    (shop / "guarded.py").write_text(
        dedent(
            """
            from clawproof_langgraph import Coordinator, Guard, Retry, ToolPolicy
            from shop import reserve

            policies = {"reserve": ToolPolicy(locks=["inventory/{sku}"], ttl="90s", retry=Retry(max_retries=5))}
            guard = Guard(Coordinator.from_url(), agent="orders", tools=policies)
            node = guard.tool_node([reserve])
            """
        )
    )
    run()
    found = policy(load(shop / "clawproof.toml"), "reserve")
    assert (found.locks, found.ttl, found.retry and found.retry.max_retries) == (("inventory/{sku}",), 90.0, 5)
    assert "which counts before this file" in (shop / "clawproof.toml").read_text()


@pytest.mark.parametrize("name", ["clawproof.toml", "pyproject.toml"])
def test_a_configuration_that_is_there_is_not_touched(shop: Path, name: str) -> None:
    text = "[tool.clawproof]\n" if name == "pyproject.toml" else "# mine\n"
    (shop / name).write_text(text)
    result = run()
    assert (result.exit_code, "already; nothing was written" in result.stderr) == (1, True)
    assert (shop / name).read_text() == text
    assert not (shop / "clawproof.toml").exists() or name == "clawproof.toml"


def test_a_tool_that_runs_an_agent_delegates_to_it(shop: Path) -> None:
    inner = """
    @tool
    def ask_clerk(question: str) -> str:
        '''Ask.'''
        return clerk.invoke({"messages": [("user", question)]})["messages"][-1].content


    @tool
    def summarise(text: str) -> str:
        '''Shorten.'''
        return model.invoke(text).content


    support = create_agent("m", [ask_clerk, summarise], name="support")
    """
    (shop / "shop.py").write_text(dedent(SHOP) + dedent(inner))
    assert run().exit_code == 0
    configuration = load(shop / "clawproof.toml")
    assert policy(configuration, "ask_clerk").effect == "delegate"
    assert policy(configuration, "summarise").effect == "once"
    assert "it runs an agent, by clerk.invoke(...)" in (shop / "clawproof.toml").read_text()


def test_a_file_that_every_command_misses_is_the_one_that_is_written(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAWPROOF_CONFIG", "terms.toml")
    missed = CliRunner().invoke(main, ["check"])
    assert "There is no file terms.toml (from CLAWPROOF_CONFIG); `clawproof init` writes a first one" in missed.output
    assert CliRunner().invoke(main, ["init"]).exit_code == 0
    assert load("terms.toml").tools and not (shop / "clawproof.toml").exists()
    again = CliRunner().invoke(main, ["init"])
    assert again.exit_code == 1 and "terms.toml already; nothing was written" in again.output


def test_a_file_that_is_no_python_is_told_of_in_the_file(shop: Path) -> None:
    (shop / "broken.py").write_text("def (:\n")
    assert run().exit_code == 0
    assert "# - broken.py: it is no Python" in (shop / "clawproof.toml").read_text()


def test_a_target_that_is_not_there_is_wrong_usage(shop: Path) -> None:
    result = run("nowhere")
    assert (result.exit_code, "There is no file or folder nowhere" in result.stderr) == (2, True)


def test_graphs_that_are_imported_show_what_an_mcp_server_says_of_its_tools(shop: Path) -> None:
    shutil.copy(Path(__file__).parent / "mcp_shop.py", shop / "shop.py")
    assert run("--import", "shop:app").exit_code == 0
    text = (shop / "clawproof.toml").read_text()
    configuration = load(shop / "clawproof.toml")
    assert (policy(configuration, "look").effect, policy(configuration, "pay").effect) == ("read", "once")
    assert "readOnlyHint" in text
