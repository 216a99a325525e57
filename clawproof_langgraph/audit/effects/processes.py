"""Other programs that a tool starts: what they do cannot be told from its source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.effects.sites import Site
from clawproof_langgraph.audit.effects.text import text_of
from clawproof_langgraph.audit.effects.touches import Touch
from clawproof_langgraph.audit.findings import Confidence

_STARTS: Final = frozenset(
    {"subprocess.run", "subprocess.call", "subprocess.check_call", "subprocess.check_output", "subprocess.Popen",
     "subprocess.getoutput", "os.system", "os.popen", "asyncio.create_subprocess_exec",
     "asyncio.create_subprocess_shell", "os.execv", "os.spawnv", "anyio.run_process", "pexpect.spawn", "sh.Command",
     "invoke.run"}
)  # fmt: skip
_READERS: Final = frozenset(
    {"ls", "cat", "head", "tail", "grep", "rg", "find", "wc", "ps", "df", "du", "whoami", "which", "uname"}
)


def touches(site: Site) -> Iterator[Touch]:
    """Tell that a program is started."""
    if site.dotted not in _STARTS:
        return
    command = site.argument(0, "args", "cmd")
    words = _words(site) if command is not None else ""
    if words.split(" ")[0] in _READERS:
        yield site.touch(
            "process",
            f"runs {words}",
            writes=False,
            repeatable=True,
            confidence=Confidence.LIKELY,
            why="It only reads.",
        )
        return
    yield site.touch(
        "process",
        f"runs {words or 'a program'}",
        repeatable=None,
        confidence=Confidence.POSSIBLE,
        short="runs another program",
        why="What a program does is not in this source.",
        fix='Say what it does in the tool\'s policy: effect="idempotent" or a business key.',
    )


def _words(site: Site) -> str:
    command = site.argument(0, "args", "cmd")
    if command is None:
        return ""
    found = site.scope.follow(command)
    parts = getattr(found.node, "elts", None)
    if isinstance(parts, list):
        return " ".join(text_of(part, found.scope).filled() for part in parts[:3])
    return " ".join(text_of(found.node, found.scope).filled().split()[:3])
