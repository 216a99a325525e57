"""`clawproof stress`: the command around the stress harness, which is imported when it is asked for."""

from __future__ import annotations

import secrets

import click

from clawproof_langgraph.cli.play import every_end_is_orderly
from clawproof_langgraph.cli.screen import Screen
from clawproof_langgraph.cli.settings import Settings, common_options
from clawproof_langgraph.cli.store import wrong_url_is_usage
from clawproof_langgraph.cli.wording import counted, duration
from clawproof_langgraph.durations import seconds as to_seconds
from clawproof_langgraph.errors import ConfigurationError

_PROCESSES = 3


def _seconds(context: click.Context, param: click.Parameter, value: str) -> float:
    try:
        number = value.strip()
        return float(number) if number.replace(".", "", 1).isdigit() else to_seconds(value, str(param.name))
    except ConfigurationError as exc:
        raise click.BadParameter(str(exc)) from exc


@click.command()
@common_options
@click.argument("target")
@click.option("--agents", type=click.IntRange(1), default=12, show_default=True, help="How many agents.")
@click.option("--seconds", callback=_seconds, default="20", show_default=True, help="After which no turn begins.")
@click.option(
    "--processes", type=click.IntRange(1), help=f"In how many processes. Default: {_PROCESSES}; 1 for memory://."
)
@click.option("--rounds", type=click.IntRange(1), help="How many turns each agent has at most.")
@click.option("--seed", type=int, help="Repeats a run, as far as processes allow. Default: a new one.")
@click.option("--kills", type=click.IntRange(0), help="How many processes get a kill -9. Default: one in 4 s.")
@click.option("--pauses", type=click.IntRange(0), help="How many are stopped beyond a lease. Default: one in 4 s.")
@click.option("--patience", callback=_seconds, default="60", show_default=True, help="Within which all must end then.")
def stress(
    settings: Settings,
    target: str,
    agents: int,
    seconds: float,
    processes: int | None,
    rounds: int | None,
    seed: int | None,
    kills: int | None,
    pauses: int | None,
    patience: float,
) -> None:
    """Run your agents together, kill some, and check your invariant.

    TARGET is `module:factory`, as in shop.stress:scenario; the factory gives a
    clawproof_langgraph.testing.Scenario. Agents play turn after turn against the resources that your scenario sets up,
    in processes that are killed and stopped. In the end all must have ended, no lease be left, and your invariant hold.
    The exit code is 1 if something broke. The report stays in .clawproof/stress of the project. Only a --url that is
    given here, and not CLAWPROOF_URL, is used.
    """
    from clawproof_langgraph.testing.stress import run_agents

    in_memory = (settings.url or "").startswith("memory:")
    processes = processes or (1 if in_memory else _PROCESSES)
    seed = secrets.randbits(32) if seed is None else seed
    where = "as threads" if processes == 1 else f"in {counted(processes, 'process', 'processes')}"
    click.echo(f"{counted(agents, 'agent')} {where} for {duration(seconds)}, seed {seed} ...", err=True)
    with every_end_is_orderly(), wrong_url_is_usage():
        report = run_agents(
            target,
            n=agents,
            seconds=seconds,
            processes=processes,
            rounds=rounds,
            seed=seed,
            kills=kills,
            pauses=pauses,
            patience=patience,
            url=settings.url,
            namespace=settings.namespace,
        )
    screen = Screen()
    if settings.json:
        screen.json(report.as_json())
    else:
        for line in report.lines():
            screen.line(line)
    click.get_current_context().exit(0 if report.ok else 1)
