"""Idempotency keys over HTTP, for services that deduplicate by a header: a transport of httpx.

Inside a guarded call, each POST and PATCH carries a key of its own, derived from the call's: from the method, the URL,
a hash of the body, and a number that tells identical requests apart. It is the same in every attempt of the call.

A request that was not answered for good (a transport error, also in the body of the answer; 408, 409, 425, 429, 5xx)
may have been carried out. The next identical one is taken for its repetition and gets the same key, so that a loop
around it cannot do it twice.

A body that is not in memory (a generator, an upload of files) is not read here: it may be readable only once. Its key
comes from method and URL, so that such requests to one URL must be sent in the same order in every attempt.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import httpx

from clawproof_langgraph.effects.attempts import Numbers, PerAttempt, Taken
from clawproof_langgraph.runtime.context import CallContext, current_call

__all__ = ["AsyncIdempotencyTransport", "IdempotencyTransport"]

_METHODS: Final = ("POST", "PATCH")
_UNANSWERED: Final = frozenset({408, 409, 425, 429})  # 409: the first one is still being carried out

_numbers: Final[PerAttempt[Numbers]] = PerAttempt(Numbers)


def _keyed(request: httpx.Request, header: str) -> Taken | None:
    """Give a request its key; None if it gets none."""
    call, mark = current_call(), f"clawproof {header.lower()}"
    sent: tuple[CallContext, Taken] | None = request.extensions.get(mark)
    if sent is not None:
        if sent[0] is call and not sent[1].succeeded:
            return sent[1]  # a redirect, a login, or the same object after a failure
        request.headers.pop(header, None)  # an object that was kept: that key was another request's
        del request.extensions[mark]
    if call is None or not call.idempotency_key or request.method not in _METHODS or header in request.headers:
        return None
    name = f"{request.method} {request.url} {_body(request)}"
    taken = _numbers.of(call).take(name)
    request.headers[header] = call.sub_key(f"http {taken.number} {name}")
    request.extensions[mark] = call, taken
    return taken


def _body(request: httpx.Request) -> str:
    # The boundary of a form with files is drawn anew for each request.
    in_memory = isinstance(request.stream, httpx.ByteStream)
    if not in_memory or request.headers.get("Content-Type", "").startswith("multipart/"):
        return ""
    return hashlib.sha256(request.content).hexdigest()


def _note(taken: Taken, response: httpx.Response) -> None:
    """Note how a request was answered, and watch the answer's body."""
    taken.answered = response.status_code < 500 and response.status_code not in _UNANSWERED
    taken.succeeded = response.is_success
    if taken.answered:
        response.stream = _Watched(response.stream, taken)


class _Watched(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The body of an answer; the request was not answered if it breaks off."""

    def __init__(self, body: httpx.SyncByteStream | httpx.AsyncByteStream, taken: Taken) -> None:
        self._body: Any = body
        self._taken = taken

    def __iter__(self) -> Iterator[bytes]:
        with self._taken.reading():
            yield from self._body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with self._taken.reading():
            async for part in self._body:
                yield part

    def close(self) -> None:
        self._body.close()

    async def aclose(self) -> None:
        await self._body.aclose()


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
        taken = _keyed(request, self._header)
        if taken is None:
            return self._transport.handle_request(request)
        with taken.sending():
            response = self._transport.handle_request(request)
            _note(taken, response)
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
        taken = _keyed(request, self._header)
        if taken is None:
            return await self._transport.handle_async_request(request)
        with taken.sending():
            response = await self._transport.handle_async_request(request)
            _note(taken, response)
        return response

    async def aclose(self) -> None:
        """Close what sends the requests."""
        await self._transport.aclose()
