"""Which tools and agents are found in a project's source, and whether a guard is around them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from clawproof_langgraph.audit.project import project_of
from clawproof_langgraph.audit.project.model import Agent, Kind, Project
from clawproof_langgraph.audit.project.prompts import coordination_in
from clawproof_langgraph.audit.targets import resolve
from tests.audit.projects import write

HEAD = """
from deepagents import create_deep_agent
from langchain.agents import create_agent
from langchain_core.tools import BaseTool, StructuredTool, tool
from langgraph.graph import StateGraph
from langgraph.prebuilt import ToolNode, create_react_agent
from langgraph_supervisor import create_supervisor
from langgraph_swarm import create_handoff_tool, create_swarm

from clawproof_langgraph import Coordinator, Guard, Lock, Retry, ToolPolicy
from clawproof_langgraph.middleware import CoordinationMiddleware
from clawproof_langgraph.orchestrator import build_orchestrator

coordinator = Coordinator.from_url("sqlite:///x.db")
POLICIES = {"sell": ToolPolicy(locks=["inventory/{sku}"]), "look": ToolPolicy(effect="read")}
guard = Guard(coordinator, tools=POLICIES)


@tool
def sell(sku: str) -> str:
    '''Sell.'''
    return sku


@tool("look")
def look_around(sku: str) -> str:
    '''Look.'''
    return sku


def plain(sku: str) -> str:
    '''Plain.'''
    return sku
"""


def found(folder: Path, code: str, **files: str) -> Project:
    others = {f"{name}.py": dedent(text) for name, text in files.items()}
    return project_of(resolve("", write(folder, {"shop.py": HEAD + dedent(code), **others})))


def shown(agents: tuple[Agent, ...]) -> dict[str, list[str]]:
    """Give the tools of each agent; one behind a guard has a star."""
    return {
        agent.name: [(use.tool.name or use.tool.kind.value) + ("*" if use.guard else "") for use in agent.uses]
        for agent in agents
    }


TOOLS: dict[str, tuple[str, dict[str, list[str]]]] = {
    "decorated": ('create_agent("m", [sell, look_around], name="a")', {"a": ["sell", "look"]}),
    "a plain function": ('create_agent("m", [plain], name="a")', {"a": ["plain"]}),
    "a list in a variable": ('tools = [sell]\ncreate_agent("m", tools, name="a")', {"a": ["sell"]}),
    "lists put together": (
        'some = [sell]\ncreate_agent("m", some + [look_around], name="a")',
        {"a": ["sell", "look"]},
    ),
    "a list in a list": ('some = [sell]\ncreate_agent("m", [*some, plain], name="a")', {"a": ["sell", "plain"]}),
    "what is added later": (
        'some = [sell]\nsome.append(plain)\nsome.extend([look_around])\nsome += [plain]\ncreate_agent("m", some, name="a")',
        {"a": ["sell", "plain", "look", "plain"]},
    ),
    "the last list before": (
        'some = [sell]\ncreate_agent("m", some, name="a")\nsome = [plain]\ncreate_agent("m", some, name="b")',
        {"a": ["sell"], "b": ["plain"]},
    ),
    "values of a mapping": ('by = {"s": sell}\ncreate_agent("m", list(by.values()), name="a")', {"a": ["sell"]}),
    "what a function gives": (
        'def tools():\n    return [sell, plain]\n\ncreate_agent("m", tools(), name="a")',
        {"a": ["sell", "plain"]},
    ),
    "what a method gives": (
        "class Shop:\n    def tools(self):\n        @tool\n        def inner(x: str) -> str:\n            '''Inner.'''\n            return x\n"
        '        return [inner]\n\nshop = Shop()\ncreate_agent("m", shop.tools(), name="a")',
        {"a": ["inner"]},
    ),
    "a tool made of functions": (
        'made = StructuredTool.from_function(func=plain, name="made")\ncreate_agent("m", [made, tool(plain)], name="a")',
        {"a": ["made", "plain"]},
    ),
    "a class": (
        'class Pay(BaseTool):\n    name: str = "pay"\n    description: str = ""\n\n    def _run(self, x: str) -> str:\n        return x\n\n'
        'create_agent("m", [Pay()], name="a")',
        {"a": ["pay"]},
    ),
    "a class of a class": (
        "class Base(BaseTool):\n    pass\n\nclass Pay(Base):\n    name: str = 'pay'\n    def _run(self, x: str) -> str:\n        return x\n\n"
        'create_agent("m", tools=[Pay()], name="a")',
        {"a": ["pay"]},
    ),
    "an imported list": ('from other import TOOLS\ncreate_agent("m", TOOLS, name="a")', {"a": ["elsewhere"]}),
    "a list of an imported module": ('import other\ncreate_agent("m", other.TOOLS, name="a")', {"a": ["elsewhere"]}),
    "an unknown list": ('def make(tools):\n    return create_agent("m", tools, name="a")', {"a": ["unknown"]}),
    "an MCP server": ('create_agent("m", await_(client.get_tools()), name="a")', {"a": ["unknown"]}),
    "a tool of the provider": ('create_agent("m", [{"type": "web_search"}, sell], name="a")', {"a": ["sell"]}),
}


@pytest.mark.parametrize("case", TOOLS)
def test_the_tools_of_an_agent_are_found(tmp_path: Path, case: str) -> None:
    code, expected = TOOLS[case]
    other = "from langchain_core.tools import tool\n\n@tool\ndef elsewhere(x: str) -> str:\n    '''Else.'''\n    return x\n\nTOOLS = [elsewhere]\n"

    assert shown(found(tmp_path, code, other=other).agents) == expected


AGENTS: dict[str, tuple[str, dict[str, list[str]]]] = {
    "middleware": (
        'create_agent("m", [sell, look_around], name="a", middleware=[Other(), CoordinationMiddleware(guard)])',
        {"a": ["sell*", "look*"]},
    ),
    "middleware in a variable": (
        'middle = CoordinationMiddleware(guard)\nall_of_it = [middle]\ncreate_agent("m", [sell], name="a", middleware=all_of_it)',
        {"a": ["sell*"]},
    ),
    "middleware of a function": (
        "def around():\n    return [CoordinationMiddleware(guard)]\n\n"
        'create_agent("m", [sell], name="a", middleware=around())',
        {"a": ["sell*"]},
    ),
    "other middleware": ('create_agent("m", [sell], name="a", middleware=[Other()])', {"a": ["sell"]}),
    "wrapped tools": ('create_agent("m", guard.wrap_tools([sell]), name="a")', {"a": ["sell*"]}),
    "one wrapped tool": ('create_agent("m", [guard.wrap_tool(sell), plain], name="a")', {"a": ["sell*", "plain"]}),
    "each wrapped": ('create_agent("m", [guard.wrap_tool(t) for t in [sell]], name="a")', {"a": ["sell*"]}),
    "wrapped under its own name": (
        'sell = guard.wrap_tool(sell)\ncreate_agent("m", [sell], name="a")',
        {"a": ["sell*"]},
    ),
    "a guarded node of tools": (
        'builder = StateGraph(dict)\nbuilder.add_node("tools", guard.tool_node([sell]))\nbuilder.compile(name="a")',
        {"a": ["sell*"]},
    ),
    "a node with both hooks": (
        "builder = StateGraph(dict)\nnode = ToolNode([sell], wrap_tool_call=guard.wrap_tool_call, awrap_tool_call=guard.awrap_tool_call)\n"
        'builder.add_node("tools", node)\nbuilder.compile(name="a")',
        {"a": ["sell*"]},
    ),
    "a bare node": (
        'builder = StateGraph(dict)\nbuilder.add_node("tools", ToolNode([sell]))\nbuilder.compile(name="a")',
        {"a": ["sell"]},
    ),
    "create_react_agent": ('create_react_agent("m", [sell], name="a")', {"a": ["sell"]}),
    "create_react_agent with a node": (
        'create_react_agent("m", guard.tool_node([sell]), name="a")',
        {"a": ["sell*"]},
    ),
    "a guard that names its agent": (
        'mine = Guard(coordinator, agent="boss", tools=POLICIES)\ncreate_agent("m", mine.wrap_tools([sell]))',
        {"boss": ["sell*"]},
    ),
    "a factory": (
        'def make(name, tools):\n    return create_agent("m", tools, name=name, middleware=[CoordinationMiddleware(guard)])\n\n'
        'make("a", [sell])\nmake("b", tools=[look_around])',
        {"a": ["sell*"], "b": ["look*"]},
    ),
    "a factory of factories": (
        'def make(name, tools):\n    return create_agent("m", tools, name=name)\n\n'
        'def seller(name):\n    return make(name, [sell])\n\nseller("a")\nseller("b")',
        {"a": ["sell"], "b": ["sell"]},
    ),
    "an agent in a tool": (
        "@tool\ndef ask(x: str) -> str:\n    '''Ask.'''\n    inner = create_agent('m', [sell], name='inner')\n    return inner.invoke(x)\n\n"
        'create_agent("m", [ask], name="outer")',
        {"inner": ["sell"], "outer": ["ask"]},
    ),
    "a supervisor": (
        'a = create_agent("m", [sell], name="a")\ncreate_supervisor([a], model="m", tools=[plain], supervisor_name="boss")',
        {"a": ["sell"], "boss": ["plain"]},
    ),
    "a swarm": (
        'a = create_agent("m", [sell, create_handoff_tool(agent_name="b")], name="a")\ncreate_swarm([a])',
        {"a": ["sell", "transfer_to_b"]},
    ),
    "deep agents, whose middleware is not handed to sub-agents": (
        'create_deep_agent([sell], name="boss", middleware=[CoordinationMiddleware(guard)], subagents=[\n'
        '    {"name": "bare", "description": "", "system_prompt": ""},\n'
        '    {"name": "own", "description": "", "tools": [sell], "middleware": [CoordinationMiddleware(guard)]},\n])',
        {"boss": ["sell*"], "bare": ["sell"], "own": ["sell*"]},
    ),
    "an orchestrator names its agents": (
        'a = create_agent("m", [sell])\nbuild_orchestrator({"clerk": a}, coordinator)',
        {"clerk": ["sell"]},
    ),
    "a node that changes something": (
        "import sqlite3\n\ndef restock(state):\n    sqlite3.connect('x').execute('UPDATE s SET u = 1')\n\n"
        'def think(state):\n    return {}\n\nbuilder = StateGraph(dict)\nbuilder.add_node("restock", restock)\nbuilder.add_node(think)',
        {"restock": ["restock"]},
    ),
    "a guarded node": (
        "def restock(state):\n    return {}\n\nbuilder = StateGraph(dict)\n"
        'builder.add_node("restock", guard.node(restock, ToolPolicy(locks=["inventory/{sku}"])))',
        {"restock": ["restock*"]},
    ),
    "a function of the project with that name": (
        "def create_agent(tools):\n    return tools\n\ncreate_agent([sell])",
        {},
    ),
}


@pytest.mark.parametrize("case", AGENTS)
def test_agents_and_what_is_around_their_tools_are_found(tmp_path: Path, case: str) -> None:
    code, expected = AGENTS[case]

    assert shown(found(tmp_path, code).agents) == expected


POLICY = {
    "in a mapping": "tools={'sell': ToolPolicy(locks=['a/{sku}'], ttl='5s')}",
    "in a variable": "tools=MINE",
    "merged": "tools={**POLICIES, **MINE}",
    "merged by |": "tools=POLICIES | MINE",
    "as pairs": "tools=[('sell', ToolPolicy(locks=['a/{sku}'], ttl='5s'))]",
    "by dict()": "tools=dict(sell=ToolPolicy(locks=['a/{sku}'], ttl='5s'))",
    "by a comprehension": "tools={name: ToolPolicy(locks=['a/{sku}'], ttl='5s') for name in ['sell', 'buy']}",
    "of common fields": "tools={'sell': ToolPolicy(**COMMON, ttl='5s')}",
    "changed": "tools={'sell': POLICIES['sell'].model_copy(update={}), **MINE}",
    "of a function": "tools=policies()",
    "under a pattern": "tools={'se*': ToolPolicy(locks=['a/{sku}'], ttl='5s')}",
}


@pytest.mark.parametrize("case", POLICY)
def test_policies_are_read_from_the_source(tmp_path: Path, case: str) -> None:
    code = f"""
COMMON = dict(locks=["a/" + "{{sku}}"])
MINE = {{"sell": ToolPolicy(locks=[Lock("a/{{sku}}", mode="exclusive")], ttl="5s")}}

def policies():
    return {{"sell": ToolPolicy(locks=["a/{{sku}}"], ttl=5)}}

mine = Guard(coordinator, {POLICY[case]})
create_agent("m", mine.wrap_tools([sell]), name="a")
"""
    (agent,) = found(tmp_path, code).agents

    policy = agent.uses[0].policy

    assert policy is not None
    assert [lock.resource for lock in policy.policy.lock_list()] == ["a/{sku}"]
    assert policy.policy.ttl == 5.0


def test_what_is_made_when_the_program_runs_is_told_from_what_is_written(tmp_path: Path) -> None:
    code = """
import os

mine = Guard(coordinator, tools={"sell": ToolPolicy(locks=["a/{sku}"], ttl=os.environ["TTL"], retry=Retry(max_retries=3))})
other = Guard(coordinator, tools=load_policies())
create_agent("m", mine.wrap_tools([sell]), name="a")
create_agent("m", other.wrap_tools([sell]), name="b")
"""
    first, second = found(tmp_path, code).agents

    policy = first.uses[0].policy
    assert policy is not None
    assert policy.unread == {"ttl"}
    assert second.uses[0].guard is not None
    assert not second.uses[0].guard.complete


def test_a_policy_that_the_library_refuses_is_told(tmp_path: Path) -> None:
    project = found(tmp_path, 'Guard(coordinator, tools={"sell": ToolPolicy(effect="raed")})')

    assert [each.why for each in project.unseen] == ['ToolPolicy.effect: "raed" is not known; did you mean "read"?']


def test_the_tools_of_mcp_clients_are_known_to_be_unknown(tmp_path: Path) -> None:
    code = "from langchain_mcp_adapters.client import MultiServerMCPClient\n\nasync def make():\n    client = MultiServerMCPClient({})\n    create_agent('m', [sell, *await client.get_tools()], name='a')\n"

    (agent,) = found(tmp_path, code).agents

    assert [use.tool.kind for use in agent.uses] == [Kind.CODE, Kind.MCP]


def test_retries_around_tools_are_found(tmp_path: Path) -> None:
    code = """
from langchain.agents.middleware import ToolRetryMiddleware
from langgraph.types import RetryPolicy

create_agent("m", [sell], name="a", middleware=[ToolRetryMiddleware(max_retries=2)])
builder = StateGraph(dict)
builder.add_node("tools", ToolNode([sell]), retry_policy=RetryPolicy())
builder.compile(name="b")
"""
    assert {agent.name: bool(agent.retried) for agent in found(tmp_path, code).agents} == {"a": True, "b": True}


def test_a_prompt_in_a_file_of_the_project_is_read_where_the_source_names_it(tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("out of reach")
    project = write(
        tmp_path / "shop",
        {
            "pyproject.toml": "",
            "prompts/orders.md": "one",
            "prompts/pricing.md": "two",
            "src/desk/near.txt": "three",
            "src/desk/__init__.py": "",
            "src/desk/agents.py": """
                from pathlib import Path
                from langchain.agents import create_agent

                PROMPTS = Path(__file__).resolve().parents[2] / "prompts"
                ORDERS = (PROMPTS / "orders.md").read_text("utf-8").strip()
                create_agent("m", [], name="a", system_prompt=ORDERS)
                create_agent("m", [], name="b", prompt=open("prompts/pricing.md", encoding="utf-8").read())
                create_agent("m", [], name="c", prompt=Path(__file__).with_name("near.txt").read_text())
                create_agent("m", [], name="d", prompt=(PROMPTS / ".." / ".." / "secret.md").read_text())
                create_agent("m", [], name="e", prompt=(PROMPTS / "none.md").read_text())
                create_agent("m", [], name="f", prompt=PROMPTS.read_text())
                """,
        },
    )

    for folder in (project, project / "src"):
        prompts = project_of(resolve("", folder)).prompts
        assert {prompt.agent: prompt.text for prompt in prompts} == {"a": "one", "b": "two", "c": "three"}
    places = {prompt.agent: str(prompt.place) for prompt in project_of(resolve("", project)).prompts}
    assert places["a"] == "prompts/orders.md:1"


def test_prompts_are_found_in_all_their_forms(tmp_path: Path) -> None:
    code = """
from langchain_core.messages import SystemMessage
from langchain_core.prompts import ChatPromptTemplate

TASK = "one"
create_agent("m", [], name="a", system_prompt=f"{TASK} {sell}")
create_react_agent("m", [], name="b", prompt=SystemMessage("two"))
ChatPromptTemplate.from_messages([("system", "three"), ("user", "no")])

def node(state):
    return model.invoke([SystemMessage(content="four")])
"""
    texts = {prompt.text: prompt.agent for prompt in found(tmp_path, code).prompts}

    assert texts == {"one {...}": "a", "two": "b", "three": "", "four": ""}


@pytest.mark.parametrize(
    "text",
    [
        "Before you write, check whether another agent is writing.",
        "Make sure no other agent is updating the stock.",
        "Wait until the other agents have finished writing.",
        "If another agent is using the record, try later.",
        "Acquire the lock before you change a row.",
        "Agents take turns when they edit the plan.",
        "Coordinate with the other agents before you sell.",
        "Never update the same order at the same time as somebody.",
        "Only one agent at a time may write.",
        "Never charge a customer twice.",
    ],
)
def test_a_prompt_that_asks_for_coordination_is_known(text: str) -> None:
    assert coordination_in(f"You are helpful. {text} Be brief.")


@pytest.mark.parametrize(
    "text",
    [
        "Hand over to another agent when you cannot help.",
        "Ask the customer to wait until the parcel arrives.",
        "Do not ask for the same thing twice.",
        "You work with other agents in a team.",
        "Check whether the customer has another order.",
        "Use the lookup tool, and check the locker number.",
        "Answer all questions in turn.",
        "When a tool says that something changed, read it again.",
        "Make sure the other party agrees.",
        "Write to the customer while you wait for the carrier.",
    ],
)
def test_a_prompt_about_other_things_is_not(text: str) -> None:
    assert coordination_in(f"You are helpful. {text} Be brief.") == ""
