"""Requests over HTTP: which method is sent where, and whether a service can tell a repetition by a key."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.effects.growing import is_changed_in_place
from clawproof_langgraph.audit.effects.keys import KEY_NAME, is_unstable
from clawproof_langgraph.audit.effects.mappings import entries, is_nothing
from clawproof_langgraph.audit.effects.origins import origins
from clawproof_langgraph.audit.effects.readings import readings
from clawproof_langgraph.audit.effects.receivers import kind_of
from clawproof_langgraph.audit.effects.scopes import Valued
from clawproof_langgraph.audit.effects.sites import Site
from clawproof_langgraph.audit.effects.text import text_of
from clawproof_langgraph.audit.effects.touches import Touch
from clawproof_langgraph.audit.findings import Confidence

_METHODS: Final = frozenset({"get", "head", "options", "post", "put", "patch", "delete"})
_LIBRARIES: Final = ("requests.", "httpx.", "aiohttp.", "urllib3.", "grequests.", "curl_cffi.")
_ROOTS: Final = frozenset({"requests", "httpx", "aiohttp", "urllib3", "requests_oauthlib", "authlib", "niquests"})
_CLIENT_NAMES: Final = re.compile(r"(^|_)(http|https|client|session|api|requests)s?$", re.IGNORECASE)
_BODIES: Final = ("json", "data", "content", "files", "body", "fields", "params")
_READS: Final = re.compile(
    r"/_?(search|query|find|lookup|filter|count|token|login|oauth2?|authenticate|introspect|embeddings?|completions?|"
    r"validate|estimate|preview|calculate|translate|classify|predict|summari[sz]e|rerank|moderations?|_msearch)(/|\?|:|$)",
    re.IGNORECASE,
)
_FIX: Final = (
    "Send an Idempotency-Key made from the call (current_call().sub_key(...)), or use httpx with "
    "clawproof_langgraph.effects.http.IdempotencyTransport."
)


def touches(site: Site) -> Iterator[Touch]:
    """Tell what a request does."""
    found = _request(site)
    if found is None:
        return
    method, url, confidence = found
    address = text_of(url, site.scope).filled() if url is not None else ""
    what = f"{method} {address}".strip()
    if method in ("GET", "HEAD", "OPTIONS"):
        yield site.touch(
            "http", what, writes=False, repeatable=True, resource=address, why="It only reads.", confidence=confidence
        )
    elif method in ("PUT", "DELETE"):
        yield _replacing(site, method, what, url, address, confidence)
    elif method in ("POST", "PATCH"):
        yield _adding(site, method, what, address, confidence)


def _request(site: Site) -> tuple[str, ast.expr | None, Confidence] | None:
    """Find the method, the URL and how sure it is that this is a request."""
    if site.dotted in ("urllib.request.urlopen", "urllib.request.Request"):
        return _of_urllib(site)
    if site.name in ("request", "stream", "build_request"):
        sure = _sureness(site, 1)
        method = site.argument(0, "method")
        if sure is None or method is None:
            return None
        return text_of(method, site.scope).filled("").upper(), site.argument(1, "url"), sure
    if site.name in _METHODS and (sure := _sureness(site, 0)) is not None:
        return site.name.upper(), site.argument(0, "url"), sure
    return None


def _sureness(site: Site, at: int) -> Confidence | None:
    if site.family == "http" or (site.dotted.startswith(_LIBRARIES) and site.dotted.count(".") == 1):
        return Confidence.CERTAIN
    if site.kind or site.receiver is None or site.dotted:
        return None
    roots = {name.partition(".")[0] for name in site.scope.module.imports.values()}
    last = site.receiver.attr if isinstance(site.receiver, ast.Attribute) else getattr(site.receiver, "id", "")
    url = site.argument(at, "url")
    if url is None or not roots & _ROOTS or not _CLIENT_NAMES.search(last):
        return None
    return Confidence.LIKELY if re.match(r"(https?:)?/|\{\}/", text_of(url, site.scope).filled()) else None


def _of_urllib(site: Site) -> tuple[str, ast.expr | None, Confidence] | None:
    """Read a `Request(...)`, and `urlopen(url, data)`; a request that is opened is counted where it is made."""
    url = site.argument(0, "url")
    given = site.scope.follow(url).node if url is not None else None
    if site.name == "urlopen" and isinstance(given, ast.Call) and site.argument(1, "data") is None:
        return None
    method, data = site.argument(5, "method"), site.argument(1, "data")
    name = (
        text_of(method, site.scope).filled("").upper()
        if method is not None
        else ("POST" if data is not None else "GET")
    )
    return name, url, Confidence.CERTAIN


def _replacing(site: Site, method: str, what: str, url: ast.expr | None, address: str, confidence: Confidence) -> Touch:
    if is_unstable(url, site.scope):
        return site.touch(
            "http",
            what,
            repeatable=False,
            short=f"sends {method} to a new address each time",
            resource=address,
            why="The address is another one in each repetition.",
            confidence=confidence,
            fix="Make the address from the arguments of the call.",
        )
    body = site.argument(None, *_BODIES)
    if method == "PUT" and body is not None and _is_computed(Valued(body, site.scope)):
        return site.touch(
            "http",
            what,
            repeatable=False,
            short=f"sends {method} with a value computed from what it read",
            resource=address,
            why="A repetition reads the new value and computes from that.",
            confidence=Confidence.LIKELY,
            fix="Take the new value as an argument, so that a repetition sets the same one.",
        )
    why = f"{method} is idempotent by its definition (RFC 9110, section 9.2.2)."
    return site.touch("http", what, repeatable=True, resource=address, why=why, confidence=confidence)


def _is_computed(body: Valued) -> bool:
    computed = any(reading.computed and _is_get(reading.call) for reading in readings(body))
    return computed or is_changed_in_place(body, _is_get)


def _is_get(call: Valued) -> bool:
    """Tell whether a call is a GET request."""
    match call.node:
        case ast.Call(func=ast.Attribute(value=client, attr="get") as func):
            return call.scope.dotted(func).startswith(_LIBRARIES) or kind_of(client, call.scope).startswith("http:")
        case _:
            return False


def _adding(site: Site, method: str, what: str, address: str, confidence: Confidence) -> Touch:
    if method == "POST" and (_READS.search(address) or _asks(site, address)):
        return site.touch(
            "http",
            what,
            writes=False,
            repeatable=True,
            resource=address,
            why="It seems to ask only.",
            confidence=Confidence.LIKELY,
        )
    if _is_keyed_by_transport(site):
        why = "The transport sends an Idempotency-Key of the call."
        return site.touch("http", what, repeatable=True, resource=address, why=why, confidence=confidence)
    if _is_conditional(site):
        why = "It is refused once the state that it names has passed."
        return site.touch("http", what, repeatable=True, resource=address, why=why, confidence=Confidence.LIKELY)
    state, name = _key(site)
    if state == "stable":
        why = f"It sends {name}, by which the service can tell a repetition."
        return site.touch("http", what, repeatable=True, resource=address, why=why, confidence=confidence)
    if state == "unknown":
        return site.touch(
            "http",
            what,
            repeatable=None,
            resource=address,
            short=f"sends {method} with headers that cannot be seen",
            why="Whether its headers hold a key cannot be told.",
            fix=_FIX,
            confidence=Confidence.POSSIBLE,
        )
    if state == "unstable":
        return site.touch(
            "http",
            what,
            repeatable=False,
            resource=address,
            short=f"sends {method} with a new {name} each time",
            why="A key that is another one in each repetition tells the service nothing.",
            fix=_FIX,
            confidence=confidence,
        )
    return site.touch(
        "http",
        what,
        repeatable=False,
        resource=address,
        short=f"sends {method} without an Idempotency-Key",
        why="The service cannot tell a repetition from a new request.",
        fix=_FIX,
        confidence=confidence,
    )


def _asks(site: Site, address: str) -> bool:
    """Tell whether a POST is a GraphQL query without a mutation."""
    if not address.rstrip("/").lower().endswith("graphql"):
        return False
    body = site.argument(None, "json", "data")
    texts = (
        [text_of(value.node, value.scope).filled() for _, value in entries(body, site.scope) if value] if body else []
    )
    return any(text.lstrip().startswith(("query", "{")) for text in texts) and not any(
        "mutation" in text for text in texts
    )


def _is_keyed_by_transport(site: Site) -> bool:
    if site.receiver is None:
        return False
    return any(
        isinstance(part.node, ast.Call)
        and part.scope.dotted(part.node.func).startswith("clawproof_langgraph.effects.http")
        for part in origins(site.receiver, site.scope)
    )


def _key(site: Site) -> tuple[str, str]:
    """Find the key of a request: `stable`, `unstable`, `unknown` or `none`, and its name."""
    unknown = False
    for argument in ("headers", *_BODIES):
        given = site.argument(None, argument)
        if given is None:
            continue
        for name, value in entries(given, site.scope):
            if value is None:
                unknown = unknown or argument == "headers"
            elif KEY_NAME.search(name) and not is_nothing(value):
                return ("unstable" if is_unstable(value.node, value.scope) else "stable"), name
    for name, value in _of_client(site):
        if KEY_NAME.search(name) and not is_nothing(value):
            return ("unstable" if is_unstable(value.node, value.scope) else "stable"), name
    for part in _put_on_request(site):
        return ("unstable" if is_unstable(part, site.scope) else "stable"), "a key"
    return ("unknown" if unknown else "none"), ""


def _of_client(site: Site) -> Iterator[tuple[str, Valued]]:
    """Give the headers of a client that is made in the function itself, so that they are those of one call."""
    if site.receiver is None:
        return
    made = site.scope.follow(site.receiver)
    if (
        not isinstance(made.node, ast.Call)
        or made.scope.function is None
        or made.scope.function is not site.scope.function
    ):
        return
    for keyword in made.node.keywords:
        if keyword.arg == "headers":
            yield from ((name, value) for name, value in entries(keyword.value, made.scope) if value is not None)
    name, body = ast.unparse(site.receiver), made.scope.body
    for node in body.active if body is not None else ():
        match node:
            case ast.Assign(
                targets=[ast.Subscript(value=ast.Attribute(value=owner, attr="headers"), slice=key)], value=given
            ):
                if ast.unparse(owner) == name:
                    yield text_of(key, site.scope).filled(), Valued(given, site.scope)
            case ast.Call(
                func=ast.Attribute(value=ast.Attribute(value=owner, attr="headers"), attr="update"), args=[given]
            ):
                if ast.unparse(owner) == name:
                    yield from ((each, value) for each, value in entries(given, site.scope) if value is not None)


def _is_conditional(site: Site) -> bool:
    """Tell whether a request names the state that it changes by an `If-Match` from the call, and not from a reading."""
    headers = site.argument(None, "headers")
    for name, value in entries(headers, site.scope) if headers is not None else ():
        if value is not None and name.lower() in ("if-match", "if-unmodified-since"):
            return not any(_is_get(reading.call) for reading in readings(value))
    return False


def _put_on_request(site: Site) -> Iterator[ast.expr]:
    """Give the values of `request.add_header("Idempotency-Key", value)` in the function."""
    body = site.scope.body
    for node in body.nodes if body is not None else ():
        match node:
            case ast.Call(func=ast.Attribute(attr="add_header"), args=[name, value]):
                if KEY_NAME.search(text_of(name, site.scope).filled()):
                    yield value
