"""How long `clawproof --check 10` takes for a project of a hundred files: `python -m benchmarks.audit`.

The files are those of the sample project of the tests, many times over: agents, tools with SQL and HTTP, policies in a
clawproof.toml. Each run is a process of its own, as in CI, and its start counts.
"""

from __future__ import annotations

import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import click

SAMPLE = Path(__file__).parents[1] / "tests" / "audit" / "sample"
FILES = 100
RUNS = 7


def project(folder: Path) -> Path:
    """Make a project of many files, each with tools of its own."""
    made = folder / "project"
    shutil.copytree(SAMPLE, made, ignore=shutil.ignore_patterns("__pycache__"))
    sources = sorted((made / "shop" / "tools").glob("[a-z]*.py"))
    present = len(list(made.rglob("*.py")))
    for number in range(FILES - present):
        source = sources[number % len(sources)]
        text = source.read_text("utf-8").replace("def ", f"def of_{number}_")
        (made / "shop" / f"more_{number}.py").write_text(text, "utf-8")
    return made


def seconds(command: list[str], folder: Path) -> float:
    """Give the time of the processor that a process takes: that of the clock depends on what else the machine does."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the median of several runs, beside the start of a process that reads nothing."""
    with tempfile.TemporaryDirectory() as folder:
        made = project(Path(folder))
        command = [sys.executable, "-m", "clawproof_langgraph.cli"]
        files = len(list(made.rglob("*.py")))
        start = statistics.median(seconds([*command, "rule"], made) for _ in range(RUNS))
        whole = statistics.median(seconds([*command, "--check", "10"], made) for _ in range(RUNS))
    click.echo(
        f"{files} files: {whole:.2f} s of processor time, {start:.2f} s of them for the start of a process that reads "
        f"nothing (median of {RUNS} runs)"
    )


if __name__ == "__main__":
    main()
