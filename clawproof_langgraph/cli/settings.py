"""The options that every command takes, before its name or after it."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, Final
from urllib.parse import urlsplit

import click

from clawproof_langgraph.cli.wording import counted, plain, quoted
from clawproof_langgraph.config.store import StoreTerms, store_terms
from clawproof_langgraph.errors import ClawproofError

_HELP_URL: Final = (
    "The coordination store: sqlite:///FILE, redis://HOST:6379/0 or another of its kind. Default: CLAWPROOF_URL, else "
    "what the configuration file says, else .clawproof/state.db in the project's folder."
)
_HELP_NAMESPACE: Final = "The namespace in it. Default: CLAWPROOF_NAMESPACE, else what the file says, else 'default'."
_HELP_URL_OF_A_RUN: Final = "The store, such as redis://localhost:6379/0. Default: a new file for each run."
_HELP_NAMESPACE_OF_A_RUN: Final = "The namespace in it. Default: a new one for each run."
_HELP_CONFIG: Final = "The configuration file. Default: CLAWPROOF_CONFIG, else the nearest clawproof.toml from here up."
_HELP_FORMAT: Final = "Text for people (the default), or JSON for programs."


@dataclass(frozen=True, slots=True)
class Settings:
    """What was said before or after the name of a command.

    Args:
        url: of the store, None if it was not given.
        namespace: in the store, None if it was not given.
        format: `text` or `json`, None if it was not given.
        config: the configuration file, None if it was not given.
    """

    url: str | None = None
    namespace: str | None = None
    format: str | None = None
    config: str | None = None

    @property
    def json(self) -> bool:
        """Whether the output is for programs."""
        return self.format == "json"

    @property
    def namespace_name(self) -> str:
        """The namespace that is used."""
        return self.store_terms().namespace

    def store_terms(self) -> StoreTerms:
        """Find which store is meant; raises ConfigurationError where the file that says so cannot be read."""
        return store_terms(self.url, self.namespace, self.config)

    def place(self, store: str) -> str:
        """Word where it was looked.

        Args:
            store: the coordinator's name of the store.
        """
        return f"{store}, namespace {self.namespace_name}"

    def hint(self, *words: str) -> str:
        """Word a command that leads to the same store, ready to paste: what was given as an option is repeated.

        Args:
            words: the name of the command and its arguments.
        """
        return " ".join(["clawproof", *map(quoted, words), *self._options()])

    def how_to_resolve(self, *keys: str) -> str:
        """Word what to do about calls in doubt, with the key if there is one only."""
        key = keys[0] if len(set(keys)) == 1 else "KEY"
        return f"Find out what happened, then say applied or not_applied: {self.hint('resolve', key, 'applied')}"

    def completed(self, message: str) -> str:
        """Complete the commands that a message of the library names: it cannot know how the store was found."""
        options = "".join(f" {word}" for word in self._options())
        return re.sub(r"(`clawproof [^`]*)`", lambda hint: f"{hint[1]}{options}`", message)

    def _options(self) -> list[str]:
        given = (
            ("--url", without_password(self.url)), ("--namespace", self.namespace), ("--config", self.config),
        )  # fmt: skip
        return [part for option, value in given if value for part in (option, quoted(value))]

    def or_else(self, other: Settings) -> Settings:
        """Fill in from `other` what is not given here."""
        return Settings(
            self.url or other.url, self.namespace or other.namespace, self.format or other.format,
            self.config or other.config,
        )  # fmt: skip


def without_password(url: str | None) -> str | None:
    """Give a URL that may be printed: a hint ends in logs and screenshots."""
    try:
        secret = urlsplit(url or "").password
    except ValueError:  # the message that says so is the one to read
        return url
    return url.replace(f":{secret}@", ":PASSWORD@", 1) if url and secret else url


class _Diagnostics(click.ClickException):
    """What is wrong in a file, as compilers and editors write and read it: nothing stands before the place."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it."""
        click.echo(self.message, file=file, err=file is None)


def _ended(settings: Settings, error: ClawproofError) -> click.ClickException:
    problems = getattr(error, "problems", ())
    if not problems:
        return click.ClickException(settings.completed(plain(str(error))))
    lines = [plain(line) for line in str(error).split("\n")]
    return _Diagnostics("\n".join([*lines, f"{counted(len(problems), 'problem')}."]))


def not_empty(context: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse an empty value: it comes from a variable that is not set, and would mean something else than was meant."""
    if value is not None and not value.strip():
        raise click.BadParameter("it is empty.")
    return value


def common_options(
    command: Callable[..., None] | None = None, *, formats: tuple[str, ...] = ("text", "json")
) -> Callable[..., Any]:
    """Give a command the common options; it gets them as its first argument, a `Settings`.

    What the library refuses ends in one sentence, and exit code 1.

    Args:
        command: the command.
        formats: what its output can be.
    """
    if command is None:
        return functools.partial(common_options, formats=formats)
    return _with_options(command, formats, _HELP_URL, _HELP_NAMESPACE)


def options_of_a_run(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the common options, of which it takes no store unless it is named."""
    return _with_options(command, ("text", "json"), _HELP_URL_OF_A_RUN, _HELP_NAMESPACE_OF_A_RUN)


def _with_options(
    command: Callable[..., None], formats: tuple[str, ...], url_help: str, namespace_help: str
) -> Callable[..., None]:
    @click.option("--url", metavar="URL", callback=not_empty, help=url_help)
    @click.option("--namespace", metavar="NAME", callback=not_empty, help=namespace_help)
    @click.option("--config", metavar="FILE", callback=not_empty, help=_HELP_CONFIG)
    @click.option("--format", "format_", type=click.Choice(formats), help=_HELP_FORMAT)
    @functools.wraps(command)
    def with_settings(
        url: str | None, namespace: str | None, format_: str | None, config: str | None, **rest: Any
    ) -> None:
        outer = click.get_current_context().find_object(Settings) or Settings()
        settings = Settings(url, namespace, format_, config).or_else(outer)
        try:
            command(settings, **rest)
        except ClawproofError as exc:
            raise _ended(settings, exc) from exc

    return with_settings
