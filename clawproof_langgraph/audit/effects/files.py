"""Files: opened to append or to write, written by a path, moved, copied and removed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.effects.growing import grown_from
from clawproof_langgraph.audit.effects.keys import is_unstable
from clawproof_langgraph.audit.effects.origins import origins
from clawproof_langgraph.audit.effects.receivers import kind_of
from clawproof_langgraph.audit.effects.scopes import Scope, Valued
from clawproof_langgraph.audit.effects.sites import Site
from clawproof_langgraph.audit.effects.text import text_of
from clawproof_langgraph.audit.effects.touches import Touch
from clawproof_langgraph.audit.findings import Confidence

_OPENS: Final = frozenset(
    {"open", "io.open", "codecs.open", "aiofiles.open", "gzip.open", "builtins.open", "bz2.open", "lzma.open",
     "os.fdopen", "anyio.open_file", "fsspec.open"}
)  # fmt: skip
_MOVES: Final = frozenset(
    {"os.rename", "os.replace", "os.remove", "os.unlink", "os.makedirs", "os.mkdir", "os.rmdir", "os.symlink",
     "os.link", "os.truncate", "os.chmod", "shutil.copy", "shutil.copy2", "shutil.copyfile", "shutil.copytree",
     "shutil.move", "shutil.rmtree", "shutil.make_archive", "aiofiles.os.remove", "aiofiles.os.rename"}
)  # fmt: skip
_PATH_METHODS: Final = frozenset(
    {"unlink", "rename", "replace", "mkdir", "rmdir", "touch", "symlink_to", "hardlink_to"}
)
_TABLES: Final = frozenset({"to_csv", "to_json", "to_excel", "to_parquet", "to_pickle", "to_feather"})
_WRITERS: Final = frozenset({"write", "writelines", "dump", "safe_dump", "writerow", "writerows", "dump_all"})
_WHOLE: Final = frozenset({"write_text", "write_bytes"})
_LOG: Final = re.compile(r"\.log(\.|$)|(^|/)(logs?|tmp|temp)/|debug|trace", re.IGNORECASE)
_FIX_APPEND: Final = (
    "Write one file, or one row, for each call under a name made from it, or look for the entry before adding it."
)
_FIX_NAME: Final = "Make the name from the arguments of the call, or from its idempotency key."


def touches(site: Site) -> Iterator[Touch]:
    """Tell what a call does to files."""
    if site.dotted in _OPENS or (site.name == "open" and site.family == "path"):
        yield from _opened(site)
    elif site.name in _WHOLE and site.receiver is not None and not site.kind.startswith("class:"):
        yield from _written_whole(site)
    elif site.dotted in _MOVES or (site.family == "path" and site.name in _PATH_METHODS):
        yield from _moved(site)
    elif site.name in ("read_text", "read_bytes") and site.family == "path" and site.receiver is not None:
        path = _path(site.receiver, site.scope)
        yield site.touch("file", f"reads {path}", writes=False, repeatable=True, resource=path, why="It only reads.")
    elif site.name in _TABLES and site.receiver is not None and not site.kind:
        yield from _table_written(site)
    elif site.name == "to_sql" and site.receiver is not None:
        yield from _table_loaded(site)


def _path(node: ast.expr, scope: Scope) -> str:
    return text_of(node, scope).filled()


def _mode(site: Site) -> str:
    at = 0 if site.family == "path" else 1
    argument = site.argument(at, "mode")
    return text_of(argument, site.scope).filled("") if argument is not None else "r"


def _opened(site: Site) -> Iterator[Touch]:
    node = site.receiver if site.family == "path" else site.argument(0, "file", "filename", "path")
    if node is None:
        return
    path, mode = _path(node, site.scope), _mode(site)
    if _is_scratch(node, site.scope):
        return
    if "a" in mode:
        yield _appended(site, path)
    elif "w" in mode:
        yield _written(site, node, path, _contents(site))
    elif "x" in mode:
        yield site.touch(
            "file",
            f"creates {path}",
            repeatable=not is_unstable(node, site.scope),
            resource=path,
            short="creates a file under a new name each time",
            fix=_FIX_NAME,
            confidence=Confidence.LIKELY,
            why="A second creation of the same name is refused; of a new one it is not.",
        )
    elif "+" in mode and any(grown_from(value, Valued(node, site.scope)) for value in _contents(site)):
        yield _written_back(site, path)
    elif "+" in mode:
        yield site.touch(
            "file",
            f"changes {path}",
            repeatable=None,
            resource=path,
            short="changes a file in place",
            why="What is written where cannot be told.",
            fix=_FIX_APPEND,
            confidence=Confidence.POSSIBLE,
        )
    else:
        yield site.touch("file", f"reads {path}", writes=False, repeatable=True, resource=path, why="It only reads.")


def _appended(site: Site, path: str) -> Touch:
    if _LOG.search(path):
        return site.touch(
            "file",
            f"appends to {path}",
            repeatable=None,
            resource=path,
            short="appends to a log",
            why="It seems to be a log, of which each line is meant.",
            confidence=Confidence.POSSIBLE,
        )
    return site.touch(
        "file",
        f"appends to {path}",
        repeatable=False,
        resource=path,
        short=f"appends to {path}",
        why="Each repetition adds it again.",
        fix=_FIX_APPEND,
    )


def _written(site: Site, node: ast.expr, path: str, contents: list[Valued]) -> Touch:
    if is_unstable(node, site.scope) or _is_numbered(node, site.scope):
        return site.touch(
            "file",
            f"writes {path}",
            repeatable=False,
            resource=path,
            fix=_FIX_NAME,
            short="writes a file under a new name each time",
            why="Each repetition writes another file.",
        )
    if any(grown_from(value, Valued(node, site.scope)) for value in contents):
        return _written_back(site, path)
    return site.touch("file", f"writes {path}", repeatable=True, resource=path, why="It replaces the contents.")


def _written_back(site: Site, path: str) -> Touch:
    return site.touch(
        "file",
        f"writes {path}",
        repeatable=False,
        resource=path,
        confidence=Confidence.LIKELY,
        short=f"reads {path}, changes what it read, and writes it back",
        why="A repetition reads the new contents and changes them again.",
        fix="Store the entry under a key made from the call, so that a repetition finds it.",
    )


def _is_numbered(node: ast.expr, scope: Scope) -> bool:
    """Tell whether a name is made from how many files there are: `len(os.listdir(folder)) + 1`."""
    for part in origins(node, scope):
        match part.node:
            case ast.Call(func=ast.Name(id="len" | "sum" | "max"), args=[counted, *_]):
                if any(_lists_files(each) for each in origins(counted, part.scope)):
                    return True
    return False


def _lists_files(part: Valued) -> bool:
    match part.node:
        case ast.Call(func=ast.Attribute(value=owner, attr=name) as func):
            if part.scope.dotted(func) in ("os.listdir", "os.scandir", "glob.glob", "glob.iglob"):
                return True
            return name in ("glob", "iterdir", "rglob") and kind_of(owner, part.scope) == "path:"
        case _:
            return False


def _is_scratch(node: ast.expr, scope: Scope) -> bool:
    """Tell whether a path is one of `tempfile`: nobody else sees it."""
    return any(
        isinstance(part.node, ast.Call) and kind_of(part.node, part.scope).startswith("scratch:")
        for part in origins(node, scope)
    )


def _contents(site: Site) -> list[Valued]:
    """Give what is written to a file that a call opens: what calls of its name, or with its name, are given."""
    name = _handle(site)
    names = {name, *_writers_of(name, site.scope)}
    found: list[Valued] = []
    body = site.scope.body
    for node in body.nodes if body is not None and name else ():
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=attr), args=[value, *_]) if (
                owner in names and attr in _WRITERS
            ):
                found.append(Valued(value, site.scope))
            case ast.Call(func=ast.Attribute(attr=attr), args=[value, ast.Name(id=handle), *_]) if (
                handle == name and attr in _WRITERS
            ):
                found.append(Valued(value, site.scope))
    around = next(site.around(), None)
    if isinstance(around, ast.Attribute) and around.attr in _WRITERS:  # open(path, "w").write(text)
        body_parent = body.parents.get(around) if body is not None else None
        if isinstance(body_parent, ast.Call):
            found += [Valued(value, site.scope) for value in body_parent.args[:1]]
    if isinstance(around, ast.Call) and isinstance(around.func, ast.Attribute) and around.func.attr in _WRITERS:
        found += [Valued(value, site.scope) for value in around.args[:1]]  # json.dump(data, open(path, "w"))
    return found


def _writers_of(handle: str, scope: Scope) -> Iterator[str]:
    """Give the names of what writes to an open file: `writer = csv.writer(handle)`."""
    for name, bindings in scope.body.bindings.items() if scope.body is not None else ():
        for binding in bindings:
            match binding.value:
                case ast.Call(func=func, args=[ast.Name(id=given), *_]) if given == handle:
                    if scope.dotted(func) in ("csv.writer", "csv.DictWriter"):
                        yield name


def _handle(site: Site) -> str:
    for around in site.around():
        match around:
            case ast.withitem(optional_vars=ast.Name(id=name)):
                return name
            case ast.Assign(targets=[ast.Name(id=name)]):
                return name
            case ast.stmt():
                return ""
    return ""


def _written_whole(site: Site) -> Iterator[Touch]:
    assert site.receiver is not None
    if _is_scratch(site.receiver, site.scope):
        return
    value = site.argument(0, "data")
    path = _path(site.receiver, site.scope)
    yield _written(site, site.receiver, path, [Valued(value, site.scope)] if value is not None else [])


def _moved(site: Site) -> Iterator[Touch]:
    node = site.receiver if site.family == "path" else site.argument(0, "src", "path")
    target = site.argument(0 if site.family == "path" else 1, "dst", "target")
    path = _path(node, site.scope) if node is not None else ""
    if target is not None and _replaces_what_it_read(site, target):
        yield _written_back(site, _path(target, site.scope))
        return
    if target is not None and is_unstable(target, site.scope):
        yield site.touch(
            "file",
            f"{site.name} {path}",
            repeatable=False,
            resource=path,
            fix=_FIX_NAME,
            short="writes a file under a new name each time",
            why="Each repetition writes another file.",
            confidence=Confidence.LIKELY,
        )
        return
    yield site.touch(
        "file",
        f"{site.name} {path}",
        repeatable=True,
        resource=path,
        confidence=Confidence.LIKELY,
        why="It leads to a state that a repetition finds.",
    )


def _replaces_what_it_read(site: Site, target: ast.expr) -> bool:
    """Tell whether a function writes another file first, with what it read from the target, and moves it there."""
    body = site.scope.body
    for node in body.nodes if body is not None else ():
        match node:
            case ast.Call(func=ast.Attribute(attr=attr), args=[value, *_]) if attr in _WRITERS | _WHOLE:
                if grown_from(Valued(value, site.scope), Valued(target, site.scope)):
                    return True
    return False


def _table_written(site: Site) -> Iterator[Touch]:
    node = site.argument(0, "path_or_buf", "path", "excel_writer")
    if node is None or _is_scratch(node, site.scope):
        return
    mode = site.argument(None, "mode")
    path = _path(node, site.scope)
    if mode is not None and "a" in text_of(mode, site.scope).filled(""):
        yield _appended(site, path)
    elif is_unstable(node, site.scope):
        yield _written(site, node, path, [])
    else:
        yield site.touch(
            "file",
            f"writes {path}",
            repeatable=True,
            resource=path,
            why="It replaces the contents.",
            confidence=Confidence.LIKELY,
        )


def _table_loaded(site: Site) -> Iterator[Touch]:
    table = site.argument(0, "name")
    name = text_of(table, site.scope).filled() if table is not None else ""
    exists = site.argument(None, "if_exists")
    if exists is not None and "append" in text_of(exists, site.scope).filled(""):
        yield site.touch(
            "sql",
            f"to_sql {name}",
            repeatable=False,
            resource=name,
            short="appends rows by to_sql",
            why="Each repetition adds the rows again.",
            fix="Load into a staging table, then upsert.",
            confidence=Confidence.LIKELY,
        )
    else:
        yield site.touch(
            "sql",
            f"to_sql {name}",
            repeatable=True,
            resource=name,
            why="It replaces the table, or refuses.",
            confidence=Confidence.LIKELY,
        )
