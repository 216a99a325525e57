"""Concurrency tests, and what their runs have left."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from clawproof_langgraph.audit.findings import Place, Unseen
from clawproof_langgraph.audit.project.index import Index
from clawproof_langgraph.audit.project.model import Measured, StressRun, StressTest
from clawproof_langgraph.audit.project.names import Names, Scope, argument, called
from clawproof_langgraph.audit.source import Module

_AGENTS: Final = 12
"""How many agents a run has where nothing is said."""

_RUNNERS: Final = frozenset({"run_agents", "arun_agents", "stress"})
_PLAYING: Final = frozenset({"Scenario", "run_agents", "arun_agents"})
_COMMAND: Final = re.compile(r"clawproof\s+stress\b(?P<rest>[^\n|;&]*)")
_COUNT: Final = re.compile(r"--agents[ =](\d+)")
_CI: Final = (
    ".github/workflows/*.yml",
    ".github/workflows/*.yaml",
    ".gitlab-ci.yml",
    ".circleci/config.yml",
    "Makefile",
    "azure-pipelines.yml",
    "Jenkinsfile",
    "tox.ini",
    "noxfile.py",
    "justfile",
    "pyproject.toml",
    ".ci/*",
)
_SCHEMA: Final = "clawproof.stress/1"
_LARGE: Final = 64 * 1024 * 1024
"""Bytes over which a report is not read."""


def tests_in(module: Module) -> Iterator[StressTest]:
    """Find the calls that play agents together."""
    if "run_agents" not in module.text and "stress" not in module.text:
        return
    for call, _ in Index.of(module).calls:
        if called(call) in _RUNNERS and (called(call) != "stress" or isinstance(call.func, ast.Name)):
            number = argument(call, "n", 1)
            said = number.value if isinstance(number, ast.Constant) and isinstance(number.value, int) else None
            yield StressTest(module.place(call), _AGENTS if number is None else said)


def seats(names: Names) -> Iterator[tuple[Place, int]]:
    """Find the functions that make agents for stress runs: where each begins, and its last line."""
    for module, call, around in list(names.calls()):
        if called(call) in _PLAYING and (given := argument(call, "make_agent", 0)) is not None:
            made = names.follow(Scope(module, around).expr(given))
            if isinstance(made.node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield made.place, made.node.end_lineno or made.node.lineno


def tests_in_ci(project: Path) -> Iterator[StressTest]:
    """Find the command in the files by which a project is built."""
    for pattern in _CI:
        for path in sorted(project.glob(pattern)):
            try:
                lines = path.read_text("utf-8", errors="replace").splitlines() if path.is_file() else []
            except OSError:
                continue
            for number, line in enumerate(lines, start=1):
                if (match := _COMMAND.search(line)) is not None and not line.lstrip().startswith("#"):
                    count = _COUNT.search(match["rest"])
                    file = path.relative_to(project).as_posix()
                    yield StressTest(Place(file, number), int(count[1]) if count else _AGENTS)


def last_run(project: Path) -> tuple[StressRun, tuple[Measured, ...]] | Unseen | None:
    """Read the report of the last run that left one."""
    reports = []
    try:
        reports = [path for path in (project / ".clawproof" / "stress").glob("*/report.json") if path.is_file()]
    except OSError:
        return None
    read = [(path, _read(path)) for path in reports]
    good = [(path, said) for path, said in read if isinstance(said, dict)]
    if not good:
        bad = next(((path, said) for path, said in read if isinstance(said, str)), None)
        return None if bad is None else Unseen(bad[0].relative_to(project).as_posix(), bad[1])
    path, said = max(good, key=lambda each: _number(each[1].get("started")))
    file = path.relative_to(project).as_posix()
    findings = tuple(str(each.get("text", "")) for each in _list(said.get("findings")))
    run = StressRun(
        file,
        ok=said.get("ok") is True and not findings,
        agents=int(_number(said.get("agents"))),
        seconds=_number(said.get("seconds")),
        started=_number(said.get("started")),
        findings=findings,
        target=str(said.get("target", "")),
    )
    return run, tuple(_measured(said, file))


def _measured(said: dict[str, Any], file: str) -> Iterator[Measured]:
    paused = max((_number(pause.get("seconds")) for pause in _list(said.get("pauses"))), default=0.0)
    killed = bool(_list(said.get("kills")))
    found = []
    for each in _list(said.get("contention")):
        resource, calls, longest = (
            str(each.get("resource", "")),
            int(_number(each.get("calls"))),
            _number(each.get("longest")),
        )
        p95 = _number(each.get("p95")) if each.get("p95") is not None else None
        found.append(Measured(resource, calls, p95, longest, file, paused, killed))
    yield from sorted(found, key=lambda each: (-(each.longest if each.p95 is None else each.p95), each.resource))


def _read(path: Path) -> dict[str, Any] | str:
    try:
        if path.stat().st_size > _LARGE:
            return "it is too large to be a report of a stress run"
        said = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        return f"it cannot be read: {exc}"
    if not isinstance(said, dict) or said.get("schema") != _SCHEMA:
        return f"it is no report of the schema {_SCHEMA}"
    return said


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def _list(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
