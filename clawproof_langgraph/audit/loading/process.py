"""Running `walk` in a process of its own, for no longer than it may take."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clawproof_langgraph.audit.loading.model import Failure, Loaded, loaded

TIMEOUT: Final = 60.0
"""Seconds that importing a file may take: large models and drivers take some."""

_WALK: Final = "clawproof_langgraph.audit.loading.walk"
_AT_ONCE: Final = 4
"""The most processes at a time."""


@dataclass(frozen=True, slots=True)
class Request:
    """A file to load.

    Args:
        root: the folder of the project.
        file: relative to it.
        module: its dotted name.
        attributes: the graphs in it.
        asked: whether they were named by somebody.
        paths: where modules are imported from.
        environment: variables for the process, beside those of this one.
    """

    root: Path
    file: str
    module: str
    attributes: tuple[str, ...]
    asked: bool
    paths: tuple[str, ...]
    environment: Mapping[str, str]


def load(requests: Sequence[Request], *, timeout: float = TIMEOUT) -> list[Loaded]:
    """Load files, each in a process of its own; what goes wrong in one is told, and hinders no other.

    Args:
        requests: the files.
        timeout: seconds for each.
    """
    with ThreadPoolExecutor(min(_AT_ONCE, os.cpu_count() or 1)) as pool:
        return list(pool.map(lambda request: _load(request, timeout), requests))


def _load(request: Request, timeout: float) -> Loaded:
    with tempfile.TemporaryDirectory(prefix="clawproof-") as folder:
        answer = Path(folder, "answer.json")
        try:
            why = _run(request, answer, timeout)
        except OSError as exc:
            why = f"no process could be started for it: {exc}"
        if not why:
            with suppress(OSError, ValueError, TypeError, KeyError):
                return loaded(json.loads(answer.read_text("utf-8")))
            why = "its process ended without telling what it had found"
    return Loaded(request.file, failures=(Failure(request.file, why, request.file),))


def _run(request: Request, answer: Path, timeout: float) -> str:
    """Run the process; give why it came to nothing, or an empty text."""
    job = {
        "root": str(request.root), "file": request.file, "module": request.module, "attributes": request.attributes,
        "asked": request.asked, "paths": request.paths, "answer": str(answer),
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", _WALK],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=request.root,
        env={**os.environ, **request.environment, "PYTHONPATH": _path()}, start_new_session=True,
    )  # fmt: skip
    try:
        process.communicate(json.dumps(job).encode(), timeout)
    except subprocess.TimeoutExpired:
        return f"importing it took longer than {timeout:g} s, so it was ended"
    finally:
        _end(process)
    if process.returncode < 0:
        return f"importing it ended the process with signal {-process.returncode}"
    return f"importing it ended the process with exit code {process.returncode}" if process.returncode else ""


def _path() -> str:
    """Let the process find this library where this one has found it, which may be no installed package."""
    own = str(Path(__file__).resolve().parents[3])
    return os.pathsep.join([*os.environ.get("PYTHONPATH", "").split(os.pathsep), own]).strip(os.pathsep)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a process and of those that it has started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
