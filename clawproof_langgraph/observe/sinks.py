"""Where alerts go: the log of Python, a webhook, or a function."""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from clawproof_langgraph import events
from clawproof_langgraph.config.configuration import Configuration
from clawproof_langgraph.config.models import is_webhook
from clawproof_langgraph.config.problems import InvalidConfiguration
from clawproof_langgraph.errors import ConfigurationError, Rejected
from clawproof_langgraph.events import Event
from clawproof_langgraph.inspection.cloudevents import cloud_event

_log = logging.getLogger("clawproof_langgraph.alerts")

_REFUSED: Final = (400, 413, 422)
"""Answers of a webhook that say that it will never take this message."""

_WHAT_TO_DO: Final = {
    events.CALL_IN_DOUBT: "find out what happened, then run `clawproof resolve KEY applied` (or not_applied)",
    events.DEADLOCK_SUSPECTED: "look at it with `clawproof locks`; `clawproof kill AGENT` stops it",
    events.DEADLOCK_PREVENTED: "take both resources in one step: list them in the policy of the outer call",
    events.LEASE_LOST: "look at it with `clawproof trace`; a longer `ttl` gives more time",
    events.CALL_UNDECLARED: "add the resource to `writes` of the agent, or take the tool away from it",
    events.LOG_TRUNCATED: "who reads the log falls behind; a larger `max_events` keeps more",
}


class Sink(Protocol):
    """Takes alerts."""

    name: str
    """Its own name among the readers of the log: the same in every process, and without a secret."""
    title: str
    """What it is, for humans."""

    def deliver(self, event: Event, namespace: str) -> None:
        """Hand an event over; whatever is raised has it tried again, but for `Rejected`."""


def sinks_of(configuration: Configuration) -> tuple[Sink, ...]:
    """Make the sinks that a file names.

    Raises:
        ConfigurationError: some cannot be made; the message tells all.
    """
    document, terms = configuration.document, configuration.alerts
    sinks, problems = [], []
    for number, written in enumerate(terms.sinks):
        try:
            sinks.append(sink_of(written, timeout=terms.timeout))
        except ConfigurationError as exc:
            assert document is not None
            problems.append(document.problem(("alerts", "sinks", number), f"alerts.sinks: {exc}", at_value=True))
    if problems:
        raise InvalidConfiguration(problems)
    return tuple({sink.name: sink for sink in sinks}.values())


def sink_of(written: str, *, timeout: float) -> Sink:
    """Make the sink that a configuration names.

    Args:
        written: `log`, a URL, `env:VARIABLE`, or `module:function`.
        timeout: seconds that a webhook has to answer.

    Raises:
        ConfigurationError: the variable is not set, or the function cannot be imported.
    """
    if written == "log":
        return LogSink()
    if written.startswith("env:"):
        return Webhook(_url_in(written.removeprefix("env:")), timeout, title=written)
    if is_webhook(written):
        return Webhook(written, timeout)
    return FunctionSink(written)


def _url_in(variable: str) -> str:
    url = os.environ.get(variable, "")
    if not is_webhook(url):
        raise ConfigurationError(
            f"The environment variable {variable} has no URL of a webhook; set it, or take the sink out."
        )
    return url


class LogSink:
    """Writes a line to the logger `clawproof_langgraph.alerts`."""

    name = "log"
    title = "log"

    def deliver(self, event: Event, namespace: str) -> None:
        """Log it as a warning."""
        _log.warning("%s", worded(event, namespace))


class Webhook:
    """Posts each event as JSON: a CloudEvent 1.0, with a `text` for services that show one.

    Args:
        url: where to.
        timeout: seconds that it has to answer.
        title: what it is, for humans; the URL may hold a secret.
    """

    def __init__(self, url: str, timeout: float, *, title: str = "") -> None:
        self._url, self._timeout = url, timeout
        self.name = f"webhook-{hashlib.sha256(url.encode()).hexdigest()[:12]}"
        self.title = title or f"webhook at {urlsplit(url).hostname}"
        self._opener = urllib.request.build_opener(_NoRedirects)

    def deliver(self, event: Event, namespace: str) -> None:
        """Post it; an answer that is no success is an error."""
        body = {**cloud_event(event, namespace=namespace), "text": worded(event, namespace)}
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"{namespace}-{event.cursor}"}
        request = urllib.request.Request(self._url, json.dumps(body).encode(), headers, method="POST")
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                answer.read(1)
        except urllib.error.HTTPError as exc:
            exc.close()
            if exc.code in _REFUSED:
                raise Rejected(f"it answered {exc.code} {exc.reason}") from exc
            raise OSError(f"it answered {exc.code} {exc.reason}") from None  # what it was sent to may be a secret


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **options: Any) -> None:
        """Follow none: a redirected POST becomes a GET, and the alert would be lost without a word."""


class FunctionSink:
    """Calls a function with each event.

    Args:
        written: `module:function`.
    """

    def __init__(self, written: str) -> None:
        self.name = self.title = written
        self._function = _imported(written)

    def deliver(self, event: Event, namespace: str) -> None:
        """Call it."""
        self._function(event)


def _imported(written: str) -> Callable[[Event], Any]:
    module, _, name = written.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as exc:  # a module may raise anything while it is imported
        raise ConfigurationError(
            f'"{written}" cannot be imported ({type(exc).__name__}: {exc}); write "module:function", with a module '
            f"that Python finds from here."
        ) from exc
    if not callable(found):
        raise ConfigurationError(f'"{written}" is no function: it is {found!r}.')
    function: Callable[[Event], Any] = found
    return function


def worded(event: Event, namespace: str) -> str:
    """Write an event as one line for people."""
    about = [f"agent {event.agent}" if event.agent else "", ", ".join(event.resources), _facts(event.data)]
    key = f"key {event.key}" if event.key else ""
    told = "; ".join(part for part in (*about, key) if part)
    advice = f" - {_WHAT_TO_DO[event.type]}" if event.type in _WHAT_TO_DO else ""
    return f"{event.type} in namespace {namespace}: {told}{advice}"


def _facts(data: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in data.items())
