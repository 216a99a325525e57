"""The options that every command takes, before its name or after it."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import click

from clawproof_langgraph.cli.wording import plain, quoted
from clawproof_langgraph.errors import ClawproofError

_HELP_URL: Final = (
    "The coordination store: sqlite:///FILE. Default: the environment variable CLAWPROOF_URL, else "
    ".clawproof/state.db in the project's folder."
)
_HELP_NAMESPACE: Final = "The namespace in it. Default: CLAWPROOF_NAMESPACE, else 'default'."
_HELP_FORMAT: Final = "Text for people (the default), or JSON for programs."


@dataclass(frozen=True, slots=True)
class Settings:
    """What was said before or after the name of a command.

    Args:
        url: of the store, None if it was not given.
        namespace: in the store, None if it was not given.
        format: `text` or `json`, None if it was not given.
    """

    url: str | None = None
    namespace: str | None = None
    format: str | None = None

    @property
    def json(self) -> bool:
        """Whether the output is for programs."""
        return self.format == "json"

    @property
    def namespace_name(self) -> str:
        """The namespace that is used."""
        return self.namespace or os.environ.get("CLAWPROOF_NAMESPACE") or "default"

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
        given = (("--url", _without_password(self.url)), ("--namespace", self.namespace))
        return [part for option, value in given if value for part in (option, quoted(value))]

    def or_else(self, other: Settings) -> Settings:
        """Fill in from `other` what is not given here."""
        return Settings(self.url or other.url, self.namespace or other.namespace, self.format or other.format)


def _without_password(url: str | None) -> str | None:
    """Give a URL that may be printed: a hint ends in logs and screenshots."""
    try:
        secret = urlsplit(url or "").password
    except ValueError:  # the message that says so is the one to read
        return url
    return url.replace(f":{secret}@", ":PASSWORD@", 1) if url and secret else url


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

    @click.option("--url", metavar="URL", callback=not_empty, help=_HELP_URL)
    @click.option("--namespace", metavar="NAME", callback=not_empty, help=_HELP_NAMESPACE)
    @click.option("--format", "format_", type=click.Choice(formats), help=_HELP_FORMAT)
    @functools.wraps(command)
    def with_settings(url: str | None, namespace: str | None, format_: str | None, **rest: Any) -> None:
        outer = click.get_current_context().find_object(Settings) or Settings()
        settings = Settings(url, namespace, format_).or_else(outer)
        try:
            command(settings, **rest)
        except ClawproofError as exc:
            raise click.ClickException(settings.completed(plain(str(exc)))) from exc

    return with_settings
