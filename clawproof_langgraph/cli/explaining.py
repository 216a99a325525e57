"""What a tool's policy comes to, put together from the file, the environment and the defaults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from clawproof_langgraph.cli.settings import Settings, without_password
from clawproof_langgraph.config.configuration import Configuration, Effective, Origin
from clawproof_langgraph.config.document import located, shown
from clawproof_langgraph.config.globs import best, fits
from clawproof_langgraph.config.precedence import setting
from clawproof_langgraph.config.reading import load
from clawproof_langgraph.config.writing import as_toml
from clawproof_langgraph.errors import ConfigurationError, meant
from clawproof_langgraph.model import Mode
from clawproof_langgraph.policy import Retry


@dataclass(frozen=True, slots=True)
class Row:
    """A value, as it is written in TOML, and where it comes from."""

    name: str
    value: str
    origin: str
    source: Origin


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a tool gets.

    Args:
        tool: its name.
        agent: of whom is asked, if anybody.
        configuration: the file, if there is one.
        effective: the policy; None if there is none.
        rows: each value.
        remarks: what there is to say besides.
    """

    tool: str
    agent: str | None
    configuration: Configuration | None
    effective: Effective | None
    rows: tuple[Row, ...]
    remarks: tuple[str, ...]

    @classmethod
    def of(cls, settings: Settings, tool: str, agent: str | None) -> Explanation:
        """Find out what a tool gets.

        Raises:
            ConfigurationError: the file is wrong, or two patterns are equally specific.
        """
        file = located(settings.config)
        configuration = load(file) if file is not None else None
        effective = configuration.policy_of(tool) if configuration else None
        rows = (*_policy_rows(effective), *_store_rows(settings, configuration))
        remarks = (*_if_unmapped(tool, configuration, effective), *_of_resources(configuration, effective),
                   *_of_agent(agent, tool, configuration, effective))  # fmt: skip
        return cls(tool, agent, configuration, effective, rows, remarks)

    def headline(self) -> Iterator[str]:
        """Say where the policy comes from."""
        if self.configuration is None:
            yield "There is no clawproof.toml from here up."
        elif self.effective is None:
            yield f'{shown(self.configuration.file)} says nothing of tool "{self.tool}".'
        else:
            origin = self.configuration.origin("tools", self.effective.pattern)
            profile = f', with profile "{self.effective.profile}"' if self.effective.profile else ""
            yield f"{self.tool}: {origin.where}{profile} ({origin.file}:{origin.line})"

    def as_json(self) -> dict[str, Any]:
        """Give it as one document."""
        return {
            "tool": self.tool,
            "agent": self.agent,
            "file": shown(self.configuration.file) if self.configuration else None,
            "pattern": self.effective.pattern if self.effective else None,
            "profile": self.effective.profile or None if self.effective else None,
            "values": {
                row.name: {
                    "value": row.value,
                    "from": row.source.where,
                    "file": row.source.file or None,
                    "line": row.source.line or None,
                }
                for row in self.rows
            },
            "remarks": list(self.remarks),
        }


def _row(name: str, value: Any, source: Origin) -> Row:
    return Row(name, written(value, name), str(source), source)


def _policy_rows(effective: Effective | None) -> Iterator[Row]:
    if effective is None:
        return
    policy = effective.policy
    for name, origin in effective.origins.items():
        value = getattr(policy, name)
        if value is None and name == "wait":
            yield _row(name, policy.wait_limit(), Origin("default, 1.5 times the ttl"))
        elif value is None and name == "on_in_doubt":
            yield _row(name, policy.when_in_doubt(), Origin(f'default of effect = "{policy.effect}"'))
        else:
            yield _row(name, value, origin)


def _store_rows(settings: Settings, configuration: Configuration | None) -> Iterator[Row]:
    for name, given in (("url", settings.url), ("namespace", settings.namespace), ("unmapped", None)):
        value, origin = setting(name, given, configuration)
        said = without_password(value) if name == "url" and value else value
        shown_value = written(said, name) if said is not None else ".clawproof/state.db of the project"
        source = Origin("option of this command") if origin.where == "argument" else origin
        yield Row(name, shown_value, str(source), source)


def _if_unmapped(tool: str, configuration: Configuration | None, effective: Effective | None) -> Iterator[str]:
    if effective is not None:
        return
    unmapped = setting("unmapped", None, configuration).value
    then = {
        "error": "it is refused before it runs",
        "allow": "it runs without coordination, with a warning",
        "serialize": f'its calls take turns, with one lock "tool/{tool}"',
    }.get(unmapped, "it is refused")
    near = f" Among its tools, {meant(tool, configuration.tools)}" if configuration and configuration.tools else ""
    yield f'Tool "{tool}" has no policy: with unmapped = "{unmapped}", {then}.{near}'


def _of_resources(configuration: Configuration | None, effective: Effective | None) -> Iterator[str]:
    if configuration is None or effective is None:
        return
    for lock in effective.policy.lock_list():
        for pattern, terms in configuration.resources.items():
            if fits(lock.resource, (pattern,)):
                said = {"ttl": terms.ttl, "expected": terms.expected}
                words = ", ".join(
                    f"{name} = {written(value, name)}" for name, value in said.items() if value is not None
                )
                origin = configuration.origin("resources", pattern)
                yield f"{lock.resource}: {origin.where} has {words or 'no terms'} ({origin.file}:{origin.line})"


def _of_agent(
    agent: str | None, tool: str, configuration: Configuration | None, effective: Effective | None
) -> Iterator[str]:
    if agent is None:
        return
    agents = configuration.agents if configuration else {}
    if configuration is None or agent not in agents:
        known = f" {meant(agent, agents)}" if agents else ""
        raise ConfigurationError(f'Nothing is said of an agent "{agent}".{known}')
    terms, origin = agents[agent], configuration.origin("agents", agent)
    at = f"({origin.file}:{origin.line})"
    if terms.tools and not (tool in terms.tools or best(tool, terms.tools)):
        yield f'Agent "{agent}" does not list this tool {at}.'
    if effective is None or not terms.says_what_it_writes:
        return
    for lock in effective.policy.lock_list():
        if lock.mode is not Mode.EXCLUSIVE:
            continue
        if fits(lock.resource, terms.writes):
            yield f'Agent "{agent}" may change {lock.resource} {at}.'
        else:
            then = "the call is refused" if terms.enforce else "an event call.undeclared tells of it"
            yield f'Agent "{agent}" does not say that it changes {lock.resource} {at}: {then}.'


def written(value: Any, name: str = "") -> str:
    """Write a value as it is written in TOML; what TOML has no word for, in words."""
    match value:
        case None:
            return "-"
        case Retry() if not value.model_fields_set:
            return f"{{ max_retries = {value.max_retries} }}"
        case _:
            return as_toml(value, name)
