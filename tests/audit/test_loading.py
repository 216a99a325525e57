"""Importing graphs: what is found is added to what the source tells; what goes wrong is told, and hinders nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clawproof_langgraph.audit.findings import Report, Status
from clawproof_langgraph.audit.loading import Loading
from clawproof_langgraph.audit.project import project_of
from clawproof_langgraph.audit.project.model import Agent, Kind, Project
from clawproof_langgraph.audit.run import audit
from clawproof_langgraph.audit.targets import resolve

TOOLS = '''
from langchain_core.tools import tool


@tool
def get_stock(sku: str) -> int:
    """Tell how many there are."""
    return 1


@tool
def reserve_stock(sku: str) -> str:
    """Take one out of the stock."""
    return "done"
'''

GUARDED = """
from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from langgraph.graph import START, MessagesState, StateGraph
from shop.tools import get_stock, reserve_stock

coordinator = Coordinator.from_url("memory://")
policies = {name: ToolPolicy(**terms) for name, terms in [
    ("get_stock", {"effect": "read", "locks": ["inventory/{sku}"]}),
    ("reserve_stock", {"locks": ["inventory/{sku}"], "ttl": "20s"}),
]}
guard = Guard(coordinator, agent="orders", tools=policies)


def build(tools):
    graph = StateGraph(MessagesState)
    graph.add_node("tools", guard.tool_node(tools))
    graph.add_edge(START, "tools")
    return graph.compile(name="shop")
"""


def shop(root: Path, agents: str, **graphs: str) -> Path:
    """Write a project: its tools, a module with a guard, one with agents, and a langgraph.json if graphs are named."""
    (root / "shop").mkdir(exist_ok=True)
    (root / "shop" / "__init__.py").touch()
    (root / "shop" / "tools.py").write_text(TOOLS)
    (root / "shop" / "guarded.py").write_text(GUARDED)
    (root / "shop" / "agents.py").write_text(agents)
    if graphs:
        named = {name: f"./shop/{where}" for name, where in graphs.items()}
        (root / "langgraph.json").write_text(json.dumps({"graphs": named, "env": {"SHOP": "open"}}))
    return root


def looked(root: Path, target: str = ".", timeout: float = 60.0) -> Project:
    return Loading(root, target, timeout=timeout).look(project_of(resolve(target, root)))


def agent(project: Project, name: str) -> Agent:
    [found] = [each for each in project.agents if each.name == name]
    return found


DYNAMIC = """
from shop import guarded, tools

# A list that no reader of the source can follow.
app = guarded.build([getattr(tools, name) for name in ("get_stock", "reserve" + "_stock")])
"""


def test_tools_that_the_source_hides_are_found(tmp_path: Path) -> None:
    project = looked(shop(tmp_path, DYNAMIC, shop="agents.py:app"))
    found = agent(project, "orders")
    uses = {use.tool.name: use for use in found.uses}
    assert set(uses) == {"get_stock", "reserve_stock"}
    assert found.named
    policy = uses["reserve_stock"].policy
    assert policy is not None and policy.policy.ttl == 20 and policy.policy.lock_list()[0].resource == "inventory/{sku}"
    assert [tool.name for tool in project.tools].count("reserve_stock") == 1  # it is the tool of the source
    assert uses["reserve_stock"].tool.is_seen


def test_what_is_found_in_both_ways_is_one_agent(tmp_path: Path) -> None:
    source = (
        "from shop.guarded import build\nfrom shop.tools import get_stock, reserve_stock\n"
        "app = build([get_stock, reserve_stock])\n"
    )
    root = shop(tmp_path, source, shop="agents.py:app")
    before = project_of(resolve(".", root))
    after = looked(root)
    assert len(after.agents) == len(before.agents)
    assert len(after.tools) == len(before.tools)


BARE = """
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from shop import guarded, tools

builder = StateGraph(MessagesState)
builder.add_node("tools", ToolNode([getattr(tools, "reserve_stock")], wrap_tool_call=guarded.guard.wrap_tool_call))
builder.add_edge(START, "tools")
app = builder
"""


def test_a_builder_is_compiled_and_half_a_guard_is_seen(tmp_path: Path) -> None:
    project = looked(shop(tmp_path, BARE, shop="agents.py:app"))
    hooks = {use.hooks for each in project.agents for use in each.uses if use.tool.name == "reserve_stock"}
    assert hooks == {"sync"}


MCP = """
from langchain_core.tools import StructuredTool
from langgraph.prebuilt import ToolNode, create_react_agent
from langgraph.graph import START, MessagesState, StateGraph


def make(name, **hints):
    def call() -> str:
        return "done"
    made = StructuredTool.from_function(call, name=name, description="A tool of a server.")
    made.metadata = {"mcp": {"tool": {"annotations": hints}}}
    return made


builder = StateGraph(MessagesState)
builder.add_node("tools", ToolNode([make("".join(["sea", "rch"]), read_only_hint=True)]))
builder.add_edge(START, "tools")
app = builder.compile()
"""


def test_annotations_of_an_mcp_server_are_told(tmp_path: Path) -> None:
    project = looked(shop(tmp_path, MCP, shop="agents.py:app"))
    [tool] = [tool for tool in project.tools if tool.name == "search"]
    assert tool.kind is Kind.MCP
    assert "readOnlyHint=true" in tool.detail


def test_what_a_guard_says_of_a_graph_is_a_finding(tmp_path: Path) -> None:
    source = DYNAMIC + (
        "\nfrom langgraph.prebuilt import ToolNode\nfrom langgraph.types import RetryPolicy\n"
        "from langgraph.graph import START, MessagesState, StateGraph\n"
        "builder = StateGraph(MessagesState)\n"
        "builder.add_node('tools', guarded.guard.tool_node([tools.reserve_stock]), retry_policy=RetryPolicy())\n"
        "builder.add_edge(START, 'tools')\napp = builder.compile()\n"
    )
    project = looked(shop(tmp_path, source, shop="agents.py:app"))
    assert any(found.rule == "CP008" and "RetryPolicy" in found.message for found in project.findings)


@pytest.mark.parametrize(
    "factory",
    [
        "def app():\n    return graph()\n",
        "def app(config):\n    return graph()\n",
        "from langchain_core.runnables import RunnableConfig\ndef app(c: RunnableConfig):\n    return graph()\n",
        "async def app():\n    return graph()\n",
        "import contextlib\n@contextlib.asynccontextmanager\nasync def app():\n    yield graph()\n",
        "import contextlib\n@contextlib.contextmanager\ndef app():\n    yield graph()\n",
    ],
)
def test_a_factory_is_called_as_the_server_would(tmp_path: Path, factory: str) -> None:
    head = "from shop import guarded, tools\ndef graph():\n    return guarded.build([vars(tools)['reserve_stock']])\n"
    project = looked(shop(tmp_path, head + factory, shop="agents.py:app"))
    assert [use.tool.name for use in agent(project, "orders").uses] == ["reserve_stock"]


@pytest.mark.parametrize(
    ("source", "why", "line"),
    [
        ("app = undefined\n", "NameError", 1),
        ("import no_such_package\n", "no_such_package", 1),
        ("import sys\nsys.exit('no')\n", "SystemExit: no", 2),
        ("raise KeyboardInterrupt\n", "KeyboardInterrupt", 1),
        ("import os\nos._exit(3)\n", "exit code 3", 0),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "signal 11", 0),
        ("import shop.circle\napp = 1\n", "circular import", 2),
        ("def app(model, tools):\n    return None\n", "needs arguments (model, tools)", 0),
        ("app = 7\n", "it is no graph, but int", 0),
        ("other = 7\n", "no attribute app", 0),
        ("def app():\n    raise ValueError('no key')\n", "ValueError: no key", 2),
        ("def app(:\n", "invalid syntax", 0),
    ],
)
def test_what_cannot_be_loaded_is_told_and_the_rest_is_audited(
    tmp_path: Path, source: str, why: str, line: int
) -> None:
    root = shop(tmp_path, source, shop="agents.py:app", good="good.py:app")
    (root / "shop" / "good.py").write_text(DYNAMIC)
    (root / "shop" / "circle.py").write_text("import shop.agents\nfrom shop.circle import later\nlater = 1\n")
    project = looked(root)
    told = [each for each in project.unseen if why in each.why]
    assert told, project.unseen
    if line:
        assert any(each.place is not None and each.place.line == line for each in told)
    assert len(agent(project, "orders").uses) == 2


def test_a_module_that_hangs_is_ended_in_time_with_what_it_has_started(tmp_path: Path) -> None:
    source = (
        "import subprocess, sys, time, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "pathlib.Path('child').write_text(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    root = shop(tmp_path, source, shop="agents.py:app")
    began = time.monotonic()
    project = looked(root, timeout=8)
    assert time.monotonic() - began < 60
    assert any("took longer than 8 s" in each.why for each in project.unseen)
    child = int((root / "child").read_text())
    assert not _is_running(child)


def _is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def test_a_thread_that_goes_on_does_not_keep_the_audit_waiting(tmp_path: Path) -> None:
    source = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\n" + DYNAMIC
    project = looked(shop(tmp_path, source, shop="agents.py:app"), timeout=50)
    assert len(agent(project, "orders").uses) == 2


def test_what_a_project_prints_is_not_in_the_report(tmp_path: Path) -> None:
    source = "import os, sys\nprint('NOISE')\nos.write(1, b'NOISE')\nos.write(2, b'NOISE')\n" + DYNAMIC
    root = shop(tmp_path, source, shop="agents.py:app")
    code = (
        "import sys; from pathlib import Path; from clawproof_langgraph.audit.loading import Loading;"
        "from clawproof_langgraph.audit.run import audit; from clawproof_langgraph.audit.reports import json;"
        "print(json.render(audit(Path('.'), ways=[Loading(Path('.'))])))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=100)
    assert json.loads(done.stdout)["ways"] == ["static", "import"]
    assert "NOISE" not in done.stdout + done.stderr


def test_graphs_are_found_where_none_is_named(tmp_path: Path) -> None:
    project = looked(shop(tmp_path, DYNAMIC))
    assert len(agent(project, "orders").uses) == 2


def test_a_project_without_graphs_says_so(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text(TOOLS)
    assert any("none was found" in each.why for each in looked(tmp_path).unseen)


def test_variables_of_langgraph_json_are_set(tmp_path: Path) -> None:
    source = "import os\nassert os.environ['SHOP'] == 'open'\n" + DYNAMIC
    assert len(agent(looked(shop(tmp_path, source, shop="agents.py:app")), "orders").uses) == 2


def test_variables_of_a_file_are_set(tmp_path: Path) -> None:
    root = shop(tmp_path, "import os\nassert os.environ['KEY'] == 'a b'\n" + DYNAMIC, shop="agents.py:app")
    (root / "langgraph.json").write_text('{"graphs": {"shop": "./shop/agents.py:app"}, "env": ".env"}')
    (root / ".env").write_text("# a comment\nexport KEY='a b'\n\nnonsense\n")
    assert len(agent(looked(root), "orders").uses) == 2


def test_a_module_and_its_graph_can_be_named(tmp_path: Path) -> None:
    project = looked(shop(tmp_path, DYNAMIC), "shop.agents:app")
    assert len(agent(project, "orders").uses) == 2


def test_nothing_is_imported_unless_it_is_asked_for(tmp_path: Path) -> None:
    root = shop(tmp_path, "open('trace', 'w').close()\n" + DYNAMIC, shop="agents.py:app")
    report: Report = audit(root)
    assert not (root / "trace").exists()
    assert report.ways == ("static",)
    looked(root)
    assert (root / "trace").exists()  # so it would have been seen


def test_an_audit_checks_what_was_loaded(tmp_path: Path) -> None:
    root = shop(tmp_path, DYNAMIC, shop="agents.py:app")
    report = audit(root, ways=[Loading(root)])
    outcomes = {outcome.rule: outcome for outcome in report.outcomes}
    assert outcomes["CP002"].status is Status.PASSED, outcomes["CP002"]
    assert any("orders" in resource.writers for resource in report.resources)
    assert "PYTHONPATH" not in os.environ or "shop" not in os.environ["PYTHONPATH"]
