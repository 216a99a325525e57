"""The keys that httpx sends: the same over every attempt, different for what is meant to be different."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import copy_context
from typing import Any

import httpx
import pytest

from clawproof_langgraph.effects.http import AsyncIdempotencyTransport, IdempotencyTransport

from .calls import inside

HEADER = "Idempotency-Key"
Answer = Callable[[httpx.Request], httpx.Response]


class Service:
    """Notes the key of each request that it gets, and answers as it is told to.

    Args:
        answers: statuses, errors, responses, or where to redirect to, in turn; 200 after the last.
    """

    def __init__(self, *answers: Any, header: str = HEADER) -> None:
        self._answers: Iterator[Any] = iter(answers)
        self._header = header
        self.keys: list[str | None] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.keys.append(request.headers.get(self._header))
        answer = next(self._answers, 200)
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, str):
            return httpx.Response(307, headers={"Location": answer})
        return answer if isinstance(answer, httpx.Response) else httpx.Response(answer)


class Client:
    """A client of either colour, with one face."""

    def __init__(self, service: Service, *, asynchronous: bool, **options: Any) -> None:
        self._runner = asyncio.Runner() if asynchronous else None
        transport = httpx.MockTransport(service.answer)
        common = {"base_url": "https://pay.example", "follow_redirects": True}
        self.raw: Any = (
            httpx.AsyncClient(transport=AsyncIdempotencyTransport(transport, **options), **common)
            if asynchronous
            else httpx.Client(transport=IdempotencyTransport(transport, **options), **common)
        )

    def __call__(self, method: str, url: str = "/charges", **parts: Any) -> httpx.Response:
        return self.send(self.raw.build_request(method, url, **parts))

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        sent = self.raw.send(request, **options)
        return self._runner.run(_awaited(sent), context=copy_context()) if self._runner else sent


async def _awaited(sent: Any) -> Any:
    return await sent


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def client_of(request: pytest.FixtureRequest) -> Callable[..., Client]:
    """Make clients of a service."""
    return lambda service, **options: Client(service, asynchronous=request.param, **options)


ClientOf = Callable[..., Client]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_the_same_request_has_the_same_key_in_every_attempt_and_another_in_another_call(
    client_of: ClientOf, method: str
) -> None:
    service = Service()
    client = client_of(service)
    for key in ("order/7", "order/7", "order/8"):
        with inside(key):
            client(method, json={"amount": 1})
    first, again, other = service.keys
    assert first and first == again != other


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_a_method_that_may_be_repeated_anyway_gets_none(client_of: ClientOf, method: str) -> None:
    service = Service()
    with inside("order/7"):
        client_of(service)(method)
    assert service.keys == [None]


def test_nothing_is_added_outside_of_a_call_and_in_a_read(client_of: ClientOf) -> None:
    service = Service()
    client = client_of(service)
    client("POST")
    with inside(""):
        client("POST")
    assert service.keys == [None, None]


def test_a_key_of_the_callers_own_stays(client_of: ClientOf) -> None:
    service = Service()
    with inside("order/7"):
        client_of(service)("POST", headers={"idempotency-key": "mine"})
    assert service.keys == ["mine"]


def test_the_header_may_have_another_name(client_of: ClientOf) -> None:
    service = Service(header="X-Request-Id")
    with inside("order/7"):
        client_of(service, header="X-Request-Id")("POST")
    assert service.keys[0]


def test_each_distinct_request_has_a_key_of_its_own_whatever_their_order(client_of: ClientOf) -> None:
    requests: list[tuple[str, str, Any]] = [
        ("POST", "/charges", b"1"),
        ("POST", "/charges", b"2"),
        ("POST", "/refunds", b"1"),
        ("PATCH", "/charges", b"1"),
        ("POST", "/charges?dry=1", b"1"),
    ]
    service = Service()
    client = client_of(service)
    for ordered in (requests, requests[::-1]):
        with inside("order/7"):
            for method, url, content in ordered:
                client(method, url, content=content)
    assert service.keys[:5] == service.keys[:4:-1]
    assert len(set(service.keys)) == 5


def test_two_identical_requests_have_two_keys_and_the_same_two_in_the_next_attempt(client_of: ClientOf) -> None:
    service = Service()
    client = client_of(service)
    for _attempt in (1, 2):
        with inside("order/7"):
            client("POST", json={"amount": 1})
            client("POST", json={"amount": 1})
    one, two, *again = service.keys
    assert one != two
    assert again == [one, two]


@pytest.mark.parametrize("failure", [500, 503, 408, 409, 425, 429, httpx.ReadTimeout("late"), httpx.ConnectError("no")])
def test_a_request_that_was_not_answered_for_good_keeps_its_key_when_it_is_repeated(
    client_of: ClientOf, failure: Any
) -> None:
    service = Service(failure)
    client = client_of(service)
    with inside("order/7"):
        try:
            client("POST", json={"amount": 1})
        except httpx.TransportError:
            assert isinstance(failure, httpx.TransportError)
        client("POST", json={"amount": 1})
        client("POST", json={"amount": 1})
    failed, repeated, next_one = service.keys
    assert failed == repeated != next_one


@pytest.mark.parametrize("status", [200, 201, 400, 402, 404, 422])
def test_a_request_that_was_answered_is_over(client_of: ClientOf, status: int) -> None:
    service = Service(status)
    client = client_of(service)
    with inside("order/7"):
        client("POST")
        client("POST")
    assert len(set(service.keys)) == 2


def test_a_redirect_carries_the_same_key(client_of: ClientOf) -> None:
    service = Service("https://pay.example/v2/charges")
    with inside("order/7"):
        client_of(service)("POST", json={"amount": 1})
    assert service.keys[0] == service.keys[1] is not None


def test_the_second_request_of_a_login_carries_the_same_key(client_of: ClientOf) -> None:
    class Login(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Any:
            yield request
            yield request

    service = Service(401)
    client = client_of(service)
    with inside("order/7"):
        client.send(client.raw.build_request("POST", "/charges"), auth=Login())
    assert service.keys[0] == service.keys[1] is not None


def test_a_login_or_a_redirect_that_fails_at_its_second_request_keeps_its_key_when_it_is_repeated(
    client_of: ClientOf,
) -> None:
    class Login(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Any:
            if (yield request).status_code == 401:
                yield request

    for first in (401, "https://pay.example/v2/charges"):
        service = Service(first, 503, first, 200, first, 200)
        client = client_of(service)
        with inside("order/7"):
            for _ in range(3):
                client.send(client.raw.build_request("POST", "/charges"), auth=Login())
        failed, repeated, next_one = service.keys[1::2]
        assert failed == repeated != next_one


def test_the_same_request_object_sent_again_does_not_leave_its_key_to_the_next_one(client_of: ClientOf) -> None:
    service = Service(503)
    client = client_of(service)
    request = client.raw.build_request("POST", "/charges")
    with inside("order/7"):
        client.send(request)
        client.send(request)
        client("POST")
    failed, repeated, next_one = service.keys
    assert failed == repeated != next_one


def test_the_same_request_object_sent_again_after_it_was_carried_out_is_another_request(client_of: ClientOf) -> None:
    service = Service()
    client = client_of(service)
    for _attempt in (1, 2):
        request = client.raw.build_request("POST", "/charges")
        with inside("order/7"):
            client.send(request)
            client.send(request)
    one, two, *again = service.keys
    assert one != two
    assert again == [one, two]


class Breaking(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that breaks off after its first part."""

    def __iter__(self) -> Iterator[bytes]:
        yield b"a"
        raise httpx.ReadError("gone")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self:
            yield part


def test_a_request_whose_answer_breaks_off_keeps_its_key_when_it_is_repeated(client_of: ClientOf) -> None:
    service = Service(httpx.Response(200, stream=Breaking()))
    client = client_of(service)
    with inside("order/7"):
        with pytest.raises(httpx.ReadError):
            client("POST")
        client("POST")
        client("POST")
    failed, repeated, next_one = service.keys
    assert failed == repeated != next_one


def test_an_answer_that_is_not_read_to_its_end_is_one() -> None:
    service = Service(httpx.Response(200, stream=Breaking()))
    client = Client(service, asynchronous=False)
    with inside("order/7"):
        with client.raw.stream("POST", "/charges") as response:
            assert next(response.iter_bytes()) == b"a"
        client("POST")
    assert len(set(service.keys)) == 2


def test_the_body_of_an_answer_arrives_and_is_closed(client_of: ClientOf) -> None:
    closed: list[str] = []

    class Body(httpx.ByteStream):
        def close(self) -> None:
            closed.append("sync")

        async def aclose(self) -> None:
            closed.append("async")

    client = client_of(Service(httpx.Response(200, stream=Body(b"done"))))
    with inside("order/7"):
        assert client("POST").content == b"done"
    assert closed == ["async" if isinstance(client.raw, httpx.AsyncClient) else "sync"]


def test_transports_with_other_headers_do_not_trip_over_a_request_object_that_is_kept() -> None:
    service = Service(header="X-Request-Id")
    request = httpx.Request("POST", "https://pay.example/charges")
    for key, header in (("order/7", HEADER), ("order/8", "X-Request-Id")):
        with inside(key):
            IdempotencyTransport(httpx.MockTransport(service.answer), header=header).handle_request(request)
    assert service.keys[0] is None and service.keys[1]


def test_a_request_object_that_is_kept_does_not_carry_its_key_into_another_call(client_of: ClientOf) -> None:
    service = Service()
    client = client_of(service)
    request = client.raw.build_request("POST", "/charges")
    for key in ("order/7", "order/8"):
        with inside(key):
            client.send(request)
    client.send(request)
    one, two, outside = service.keys
    assert one and two and one != two
    assert outside is None


def test_a_body_that_can_be_read_only_once_is_not_read_and_its_key_is_the_same_in_the_next_attempt() -> None:
    service = Service()
    client = Client(service, asynchronous=False)
    read: list[bytes] = []

    def body() -> Iterator[bytes]:
        for part in (b"a", b"b"):
            read.append(part)
            yield part

    class Unread(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            assert read == []
            return service.answer(request)

    client.raw._transport = IdempotencyTransport(Unread())
    for _attempt in (1, 2):
        with inside("order/7"):
            client("POST", content=body())
    assert service.keys[0] == service.keys[1] is not None


def test_a_form_with_files_has_the_same_key_in_every_attempt_though_its_boundary_is_drawn_anew(
    client_of: ClientOf,
) -> None:
    service = Service()
    client = client_of(service)
    for read_before in (False, True):
        for _attempt in (1, 2):
            request = client.raw.build_request("POST", "/charges", files={"file": b"data"})
            if read_before and isinstance(client.raw, httpx.Client):
                request.read()
            with inside("order/7"):
                client.send(request)
    assert len(set(service.keys)) == 1


def test_parallel_identical_requests_have_the_same_set_of_keys_in_every_attempt() -> None:
    service = Service()

    async def together() -> None:
        transport = AsyncIdempotencyTransport(httpx.MockTransport(service.answer))
        async with httpx.AsyncClient(transport=transport) as client:
            await asyncio.gather(*[client.post("https://pay.example", json={"amount": 1}) for _ in range(5)])

    for _attempt in (1, 2):
        with inside("order/7"):
            asyncio.run(together())
    assert len(set(service.keys[:5])) == 5
    assert set(service.keys[:5]) == set(service.keys[5:])


def test_closing_the_client_closes_what_sends() -> None:
    closed = []

    class Both(httpx.MockTransport):
        def close(self) -> None:
            closed.append("sync")

        async def aclose(self) -> None:
            closed.append("async")

    async def aclose() -> None:
        async with httpx.AsyncClient(transport=AsyncIdempotencyTransport(Both(Service().answer))):
            pass

    with httpx.Client(transport=IdempotencyTransport(Both(Service().answer))):
        pass
    asyncio.run(aclose())
    assert closed == ["sync", "async"]
