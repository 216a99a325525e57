"""Idempotency keys over HTTP, for services that deduplicate by a header: a transport of httpx.

Inside a guarded call, each POST and PATCH carries a key of its own, derived from the call's: from the method, the URL,
a hash of the body, and a number that tells identical requests apart. It is the same in every attempt of the call.

A request that was not answered for good (a transport error, 408, 409, 425, 429, 5xx) may have been carried out. The
next identical one is taken for its repetition and gets the same key, so that a loop around it cannot do it twice.

A body that is not in memory (a generator, an upload of files) is not read here: it may be readable only once. Its key
comes from method and URL, so that such requests to one URL must be sent in the same order in every attempt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx

from clawproof_langgraph.effects.attempts import Numbers, PerAttempt, Taken
from clawproof_langgraph.runtime.context import current_call

__all__ = ["AsyncIdempotencyTransport", "IdempotencyTransport"]

_METHODS: Final = ("POST", "PATCH")
_MARK: Final = "clawproof_call"
_UNANSWERED: Final = frozenset({408, 409, 425, 429})  # 409: the first one is still being carried out


_numbers: Final[PerAttempt[Numbers]] = PerAttempt(Numbers)


@contextmanager
def _keyed(request: httpx.Request, header: str) -> Iterator[Taken]:
    """Mark a request, which is sent within, with its key; note there whether it was answered."""
    call = current_call()
    sent_by = request.extensions.get(_MARK)
    if sent_by is not None and sent_by is not call:  # a request object that was kept: that key was another call's
        del request.headers[header], request.extensions[_MARK]
    if call is None or not call.idempotency_key or request.method not in _METHODS or header in request.headers:
        yield Taken(0)  # a header of the caller's own, or ours: a redirect, a login, or the same object sent again
        return
    name = f"{request.method} {request.url} {_body(request)}"
    with _numbers.of(call).taken(name) as taken:
        request.headers[header] = call.sub_key(f"http {taken.number} {name}")
        request.extensions[_MARK] = call
        yield taken


def _body(request: httpx.Request) -> str:
    # The boundary of a form with files is drawn anew for each request.
    in_memory = isinstance(request.stream, httpx.ByteStream)
    if not in_memory or request.headers.get("Content-Type", "").startswith("multipart/"):
        return ""
    return hashlib.sha256(request.content).hexdigest()


def _answers(response: httpx.Response) -> bool:
    return response.status_code < 500 and response.status_code not in _UNANSWERED


class IdempotencyTransport(httpx.BaseTransport):
    """Adds an idempotency key to each POST and PATCH that is sent inside a guarded call.

    A header that the caller has set stays. Outside of a guarded call, and in a read, nothing is changed.

    Args:
        transport: what sends the request; a transport that retries belongs here, inside.
        header: the name of the header.
    """

    def __init__(self, transport: httpx.BaseTransport | None = None, *, header: str = "Idempotency-Key") -> None:
        self._transport = transport or httpx.HTTPTransport()
        self._header = header

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        with _keyed(request, self._header) as sent:
            response = self._transport.handle_request(request)
            sent.answered = _answers(response)
        return response

    def close(self) -> None:
        """Close what sends the requests."""
        self._transport.close()


class AsyncIdempotencyTransport(httpx.AsyncBaseTransport):
    """The same for `httpx.AsyncClient`."""

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None, *, header: str = "Idempotency-Key") -> None:
        self._transport = transport or httpx.AsyncHTTPTransport()
        self._header = header

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        with _keyed(request, self._header) as sent:
            response = await self._transport.handle_async_request(request)
            sent.answered = _answers(response)
        return response

    async def aclose(self) -> None:
        """Close what sends the requests."""
        await self._transport.aclose()
