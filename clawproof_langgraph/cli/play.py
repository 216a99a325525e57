"""`clawproof demo`: the command around the demo, which needs LangGraph and is imported when it is asked for."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from clawproof_langgraph.cli.screen import Screen
from clawproof_langgraph.cli.settings import Settings, common_options
from clawproof_langgraph.cli.store import wrong_url_is_usage
from clawproof_langgraph.coordinator import Coordinator

_ACTS = ("unguarded", "guarded")


@click.command()
@common_options
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to keep the databases; without acts of an earlier demo. Default: a new temporary folder.",
)
def demo(settings: Settings, folder: Path | None) -> None:
    """See agents break a shop, and the guard keep it whole.

    The same agents do the same work twice, in many processes, one of which gets a kill -9: first without the guard,
    then with it. The exit code is 0 if the guarded act kept every invariant. Only a --url that is given here, and not
    CLAWPROOF_URL, is used; in a shared store the demo takes a namespace of its own.
    """
    from clawproof_langgraph.cli.demo import run_demo

    with wrong_url_is_usage():
        _check(settings.url)
    kept = _folder(folder)
    code = run_demo(Console(stderr=settings.json), url=settings.url, folder=kept)
    if settings.json:
        Screen().json({"ok": code == 0, "folder": str(kept), **{act: _tally(kept / act) for act in _ACTS}})
    click.get_current_context().exit(code)


def _folder(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="clawproof-demo-"))
    if any((folder / act).exists() for act in _ACTS):
        raise click.BadParameter(f"{folder} has the databases of an earlier demo.", param_hint="--folder")
    return folder.absolute()


def _check(url: str | None) -> None:
    """Refuse a wrong URL before the first act, not in the middle of the second."""
    if url and not url.startswith("memory:"):  # which the demo itself refuses
        Coordinator.from_url(url).close()


def _tally(folder: Path) -> dict[str, Any] | None:
    from clawproof_langgraph.cli.demo.shop import Shop
    from clawproof_langgraph.cli.demo.tally import count
    from clawproof_langgraph.cli.demo.workload import a_day

    shop = folder / "shop.db"
    return asdict(count(Shop(shop), a_day())) if shop.exists() else None
