"""The analysis meets any Python file without an exception, without running it, and quickly."""

import ast
import random
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from clawproof_langgraph.audit.effects import locks_in, polling_in, retries_around, touches_of, unstable_parts
from clawproof_langgraph.audit.source import Module, SourceTree
from tests.audit.labels import CORPUS

LIBRARY = Path(sysconfig.get_path("stdlib"))
SAMPLE = [
    "asyncio",
    "concurrent",
    "dbm",
    "http",
    "logging",
    "mailbox.py",
    "shelve.py",
    "smtplib.py",
    "sqlite3",
    "urllib",
]


def look_at_everything(tree: SourceTree) -> int:
    looked = 0
    for module in list(tree.modules.values()):
        for function in module.functions:
            touches_of(function, tree)
            locks_in(function, tree)
            polling_in(function, tree)
            retries_around(function, tree)
            unstable_parts(function, module, tree)
            looked += 1
    return looked


@pytest.mark.parametrize("name", SAMPLE)
def test_any_module_of_the_standard_library_can_be_looked_at(name: str) -> None:
    assert look_at_everything(SourceTree.read(LIBRARY, LIBRARY / name)) > 0


@pytest.mark.parametrize("part", ["first", "second", "third", "fourth"])
def test_sources_with_parts_taken_out_or_exchanged_can_be_looked_at(part: str) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")  # noqa: T201
    chance = random.Random(seed)
    tree = SourceTree.read(CORPUS / part)
    for _ in range(6):
        mutated = {name: _mutated(module, chance) for name, module in tree.modules.items()}

        look_at_everything(SourceTree(tree.root, mutated))


def _may_change(name: str, value: object) -> bool:
    loaded = isinstance(value, ast.expr) and isinstance(getattr(value, "ctx", ast.Load()), ast.Load)
    return loaded and name not in ("target", "func", "annotation", "pattern", "cls")


def _mutated(module: Module, chance: random.Random) -> Module:
    """Take out statements and exchange expressions of a module, so that it still parses."""
    copy = ast.parse(module.text)
    expressions = [node for node in ast.walk(copy) if isinstance(node, ast.expr)]
    for node in list(ast.walk(copy)):
        for name, value in ast.iter_fields(node):
            if isinstance(value, list) and len(value) > 1 and isinstance(value[0], ast.stmt) and chance.random() < 0.2:
                value.pop(chance.randrange(len(value)))
            elif _may_change(name, value) and chance.random() < 0.03:
                setattr(node, name, chance.choice(expressions))
    try:
        text = ast.unparse(ast.fix_missing_locations(copy))
        return Module.parse(module.name, module.file, text, is_package=module.is_package)
    except (SyntaxError, ValueError, TypeError, RecursionError):
        return module


ODD = {
    "a long sum": "def tool(c):\n    c.execute(" + " + ".join(["'INSERT INTO t'"] * 500) + ")\n",
    "a chain": "def tool(x0):\n" + "".join(f"    x{n + 1} = x{n}\n" for n in range(3000)) + "    c.execute(x3000)\n",
    "many branches": "def tool(c):\n    if c:\n        pass\n" + "    elif c():\n        pass\n" * 300,
    "circles": "def tool(c):\n    x = x\n    c.execute(x)\n    y = z\n    z = y\n    c.execute(y)\n",
    "odd arguments": "def tool(c):\n    c.execute('INSERT INTO' * 3, *c, **c)\n    c.execute()\n    c.execute('')\n",
    "broken SQL": "def tool(c):\n    c.execute('INSERT INTO t VALUES (((((((((')\n    c.execute('UPDATE')\n",
    "its own class": "class A(A):\n    x = x\n    def tool(self):\n        self.x(self.x)\n        super().tool()\n",
    "its own import": "from tools import tool\nimport tools\ndef tool(c):\n    tools.tool(c)\n    return tool(c)\n",
    "odd expressions": "def tool(c, d=lambda: 1):\n    (c := open)(c)\n    [c.execute(q) for q in c]\n    open(*c)\n",
}  # fmt: skip


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_odd_sources_can_be_looked_at(text: str) -> None:
    module = Module.parse("tools", "tools.py", text)

    assert look_at_everything(SourceTree(Path(), {"tools": module})) > 0


def test_two_hundred_tools_in_a_hundred_files_take_less_than_a_second() -> None:
    texts = [path.read_text() for path in sorted((CORPUS / "first").glob("*_tools.py"))]
    modules = {f"m{n}": Module.parse(f"m{n}", f"m{n}.py", _two_tools(texts[n % len(texts)], n)) for n in range(100)}
    tree = SourceTree(Path(), modules)
    functions = [function for module in modules.values() for function in module.functions]
    assert len(functions) >= 200

    started = time.process_time()
    for function in functions:
        touches_of(function, tree)
    taken = time.process_time() - started

    print(f"{len(functions)} functions in {taken:.2f} s")  # noqa: T201
    assert taken < 2  # half a second on an idle machine; the rest is for a busy one


def _two_tools(text: str, number: int) -> str:
    """Take the imports of a file of the corpus, and two of its tools."""
    head, *tools = text.split("\n# expect: ")
    return "\n# expect: ".join([head, tools[number % len(tools)], tools[(number + 1) % len(tools)]])


def test_nothing_but_sql_loads_sqlglot() -> None:
    program = """
import sys
from pathlib import Path
from clawproof_langgraph.audit.effects import touches_of
from clawproof_langgraph.audit.source import Module, SourceTree
def look(text):
    tree = SourceTree(Path(), {"m": Module.parse("m", "m.py", text)})
    [touches_of(function, tree) for function in tree.modules["m"].functions]
look("def f(c):\\n    open('x', 'a').write('1')\\n    c.execute('SELECT 1')\\n")
assert "sqlglot" not in sys.modules
look("def f(c):\\n    c.execute('INSERT INTO t VALUES (1)')\\n")
assert "sqlglot" in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
