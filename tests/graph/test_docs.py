"""The examples of docs/langgraph.md are of what is not warned of, and its table has all kinds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from clawproof_langgraph.graph import advice

PAGE = Path(__file__).parents[2] / "docs" / "langgraph.md"


def test_the_examples_run_without_a_warning(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == 3
    program = tmp_path / "page.py"
    program.write_text("\n".join(blocks))

    done = subprocess.run([sys.executable, program], cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
    assert "retry-policy at tools" in done.stdout


def test_every_kind_of_finding_is_in_the_table() -> None:
    listed = re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(), flags=re.MULTILINE)
    known = re.findall(r'Finding\(\s*"([a-z-]+)"', Path(advice.__file__).read_text())

    assert sorted(listed) == sorted(known)


def test_the_text_that_it_shows_how_to_silence_is_that_of_a_warning() -> None:
    [beginning] = re.findall(r'message="([^"]+)"', PAGE.read_text())

    assert str(advice.durability("async", "pay")).startswith(beginning)
