"""The options that every command takes, before its name or after it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import click

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

    def or_else(self, other: Settings) -> Settings:
        """Fill in from `other` what is not given here."""
        return Settings(self.url or other.url, self.namespace or other.namespace, self.format or other.format)


def common_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the common options; it gets them as its first argument, a `Settings`."""

    @click.option("--url", metavar="URL", help=_HELP_URL)
    @click.option("--namespace", metavar="NAME", help=_HELP_NAMESPACE)
    @click.option("--format", "format_", type=click.Choice(["text", "json"]), help=_HELP_FORMAT)
    @functools.wraps(command)
    def with_settings(url: str | None, namespace: str | None, format_: str | None, **rest: Any) -> None:
        outer = click.get_current_context().find_object(Settings) or Settings()
        command(Settings(url, namespace, format_).or_else(outer), **rest)

    return with_settings
