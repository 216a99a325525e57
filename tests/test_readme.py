"""The code of the README runs as it stands, and its two commands are the ones that are tested."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"


def test_code_blocks_run_in_order(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert blocks
    program = tmp_path / "readme.py"
    program.write_text("\n".join(blocks))

    done = subprocess.run([sys.executable, program], cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert "charged 30 under order/7" in done.stdout


@pytest.mark.parametrize("command", ["pip install . && clawproof demo", 'pip install -e ".[test]" && pytest'])
def test_the_two_commands_stand_on_lines_of_their_own(command: str) -> None:
    assert command in README.read_text().splitlines()
