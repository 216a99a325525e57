"""From the files of a project to what an audit knows of it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from clawproof_langgraph.audit.effects import touches_of
from clawproof_langgraph.audit.findings import Place, Unseen
from clawproof_langgraph.audit.project.agents import Agents
from clawproof_langgraph.audit.project.files import ProjectFile
from clawproof_langgraph.audit.project.following import Following
from clawproof_langgraph.audit.project.guards import Guards
from clawproof_langgraph.audit.project.model import Agent, Kind, Measured, Project, Store, StressRun, StressTest
from clawproof_langgraph.audit.project.names import Expr, Names, called
from clawproof_langgraph.audit.project.prompts import Prompts
from clawproof_langgraph.audit.project.stress import last_run, tests_in, tests_in_ci
from clawproof_langgraph.audit.project.tools import Tools
from clawproof_langgraph.audit.source import Module, SourceTree
from clawproof_langgraph.audit.targets import Target

_TESTING: Final = frozenset({"tests", "test", "testing"})


def project_of(target: Target, config: str | os.PathLike[str] | None = None) -> Project:
    """Read a project: its Python files, its configuration file, and the reports of its stress runs.

    Args:
        target: what is read.
        config: the configuration file that is meant; None finds it.

    Raises:
        ConfigurationError: the configuration file that is named does not exist.
    """
    file = ProjectFile(target, config)
    tree = _tree(target, file)
    own = frozenset(name for name, module in tree.modules.items() if not _is_test(target, module.file))
    names = Names(tree, own)
    guards = Guards(names, file)
    tools = Tools(names, guards)
    prompts = Prompts(names)
    agents = Agents(names, tools, guards, prompts)
    following = Following(names, guards)
    for name in sorted(own):
        tools.defined(tree.modules[name])
    agents.find()
    prompts.find()
    following.find()
    _note_guards(names, guards)
    _note_wrapped(names, tools)
    run, measured, unread = _last_run(target, tree)
    stores = tuple(_stores(names, guards))
    lost = (*names.tangled, *_missing(target), *_lost_graphs(target, tree))
    return Project(
        root=target.root,
        tree=tree,
        folder=file.folder,
        tools=tuple(tools.seen.values()),
        agents=tuple(agent for agent in agents.found if _acts(agent, tree)),
        wrapped=frozenset(tools.behind_guards),
        played=frozenset(use.tool.place for agent in agents.played for use in agent.uses),
        guards=tuple(guards.seen.values()) or file.as_guards(),
        stores=stores,
        prompts=tuple(prompts.found.values()),
        orchestrators=tuple(agents.orchestrators),
        leaders=tuple(agents.leaders),
        published=frozenset(following.published),
        subscriptions=(*following.subscriptions, *file.subscriptions()),
        sinks=(*file.sinks(), *(f"code at {place}" for place in following.alerted)),
        sinks_told=file.used or bool(following.alerted),
        stress_tests=tuple(_stress_tests(target, tree)),
        stress_run=run,
        measured=measured or None,
        waivers=file.waivers(),
        unseen=(*tree.unseen, *guards.unseen, *file.unseen, *unread, *lost),
        hidden=(
            *(
                each
                for each in (*tree.unseen, *file.unseen)
                if not _is_test(target, each.place.file if each.place else "")
            ),
            *lost,
        ),
        whole=not target.follows,
        hot_wait=file.hot_wait,
    )


def _tree(target: Target, file: ProjectFile) -> SourceTree:
    if target.follows:
        return SourceTree.follow(target.root, target.only)
    tree = SourceTree.read(target.root, target.only)
    modules = {name: module for name, module in tree.modules.items() if not file.excludes(target.root / module.file)}
    unseen = tuple(each for each in tree.unseen if not file.excludes(target.root / each.what))
    return SourceTree(tree.root, modules, unseen)


def _is_test(target: Target, file: str) -> bool:
    """Tell whether a file holds tests; where a folder of tests is itself the target, it holds the program."""
    path = target.root / file
    if target.follows or not path.is_relative_to(target.only):
        return False
    parts = path.relative_to(target.only).parts
    name = parts[-1]
    return (
        bool(_TESTING & set(parts[:-1]))
        or fnmatchcase(name, "test_*.py")
        or fnmatchcase(name, "*_test.py")
        or name == "conftest.py"
    )


def _note_guards(names: Names, guards: Guards) -> None:
    """Note guards that no agent was seen to have, too: their policies are part of the project."""
    for module, call, around in list(names.calls()):
        if called(call) in ("Guard", "from_file"):
            names.look_at(guards.of, module, call, around)


def _note_wrapped(names: Names, tools: Tools) -> None:
    for module, call, around in list(names.calls()):
        if called(call) in ("wrap_tool", "wrap_tools"):
            names.look_at(tools.wrapped, module, call, around)


def _stores(names: Names, guards: Guards) -> Iterable[Store]:
    found: dict[Store, None] = {}

    def note(expr: Expr) -> None:
        if (store := guards.store(expr)) is not None:
            found[store] = None

    for module, call, around in list(names.calls()):
        if called(call) in ("from_url", "from_file"):
            names.look_at(note, module, call, around)
    return found


def _acts(agent: Agent, tree: SourceTree) -> bool:
    """Tell an agent from a node of a graph that changes nothing: asking a model, deciding where to go."""
    if not agent.uses or any(use.tool.kind is not Kind.NODE or use.guard is not None for use in agent.uses):
        return True
    functions = [function for use in agent.uses for function in use.tool.functions]
    return any(touch.writes for function in functions for touch in touches_of(function, tree))


def _stress_tests(target: Target, tree: SourceTree) -> Iterable[StressTest]:
    inside = itertools.chain.from_iterable(map(tests_in, tree.modules.values()))
    return (*inside, *_beside(target), *tests_in_ci(target.project))


def _beside(target: Target) -> Iterable[StressTest]:
    """Find the tests of the project that speak of a target which is a part of it."""
    if target.only == target.project:
        return
    named = target.only.stem if target.only.stem != "__init__" else target.only.parent.name
    for folder in sorted(_TESTING):
        for path in sorted((target.project / folder).rglob("*.py")):
            if path.is_relative_to(target.only):
                continue
            try:
                text = path.read_text("utf-8")
                if named in text and ("run_agents" in text or "stress(" in text):
                    module = Module.parse(path.stem, path.relative_to(target.project).as_posix(), text)
                    yield from tests_in(module)
            except (OSError, SyntaxError, ValueError, RecursionError):
                continue


def _last_run(target: Target, tree: SourceTree) -> tuple[StressRun | None, tuple[Measured, ...], tuple[Unseen, ...]]:
    for folder in dict.fromkeys((target.only if target.only.is_dir() else target.root, target.project)):
        found = last_run(folder)
        if isinstance(found, Unseen):
            return None, (), (found,)
        if found is not None and (folder == target.only or _is_of(found[0], target, tree)):
            return (*found, ())
    return None, (), ()


def _is_of(run: StressRun, target: Target, tree: SourceTree) -> bool:
    """Tell whether a run of the project was one of what is audited: its scenario is in the same package."""
    package = run.target.partition(":")[0].partition(".")[0]
    return target.only == target.project or package in {name.partition(".")[0] for name in tree.modules}


def _missing(target: Target) -> Iterable[Unseen]:
    for what in target.missing:
        yield Unseen("langgraph.json", what, Place("langgraph.json"))


def _lost_graphs(target: Target, tree: SourceTree) -> Iterable[Unseen]:
    """Tell of graphs that are named, and that their module does not have."""
    modules = {module.file: module for module in tree.modules.values()}
    for name, where in target.graphs:
        file, _, attribute = where.rpartition(":")
        module = modules.get(Path(file).as_posix())
        if module is not None and not module.may_have(attribute.partition(".")[0]):
            yield Unseen(name, f"{module.file} has no {attribute!r}", Place(module.file))
