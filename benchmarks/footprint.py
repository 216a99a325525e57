"""How much memory of a Redis or Valkey server each thing takes: `python -m benchmarks.footprint`.

It starts the server of the tests on this machine.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import click
import redis

from benchmarks.report import Report, Table
from benchmarks.stores import RESULT
from clawproof_langgraph.backends.base import Backend
from clawproof_langgraph.backends.redis import RedisBackend
from clawproof_langgraph.keys import digest
from clawproof_langgraph.model import Begin, Granted, Mode, Settle, State, Sweep, Want
from tests.servers import Server, start_server

_NO_EVENTS: Final = Sweep(limit=5000, keep_events=0.0, max_events=0)


@click.command()
@click.option("--count", type=click.IntRange(min=1000), default=50_000, show_default=True, help="Of each thing.")
@click.option("--json", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures there, too.")
def main(count: int, file: Path | None) -> None:
    """Measure what records, events, leases and waiters take."""
    server = start_server()
    try:
        with closing(RedisBackend(server.url)) as backend:
            report = Report({"count": count, "server": _version(server)})
            report.show(_measure(_Scales(server, backend), backend, count))
            report.conclude(file)
    finally:
        server.stop()


class _Scales:
    """Weighs what a step leaves in the server's memory.

    Args:
        server: whose memory.
        backend: whose events are left out.
    """

    def __init__(self, server: Server, backend: Backend) -> None:
        self._client, self._backend = redis.Redis(port=server.port), backend

    def weigh(self, step: Callable[[], None]) -> tuple[int, int]:
        """Give the bytes that a step leaves: as events, and otherwise."""
        before = self._used()
        step()
        with_events = self._used()
        while self._backend.sweep(_NO_EVENTS).more:
            pass
        after = self._used()
        return with_events - after, after - before

    def _used(self) -> int:
        return int(self._client.info("memory")["used_memory"])


def _measure(scales: _Scales, backend: Backend, count: int) -> Table:
    table = Table(
        "Memory of the server",
        {"what": "", "count": ",", "bytes each": ".0f", "events of it, bytes": ".0f"},
        "used_memory of INFO, by which it grew; names of about 20 characters, results of 200 bytes, keys of 64",
    )

    def calls() -> None:
        for number in range(count):
            ask = _ask("done", number, key=digest("call", str(number)), scope=digest("scope", str(number)))
            lease = _granted(backend, ask)
            backend.settle(Settle(ask.owner, lease.fence, State.DONE, key=lease.key, result=RESULT))

    def locks() -> None:
        for number in range(count):
            lease = _granted(backend, _ask("free", number, tool=""))
            backend.settle(Settle(lease.owner, lease.fence, None))

    def leases() -> None:
        for number in range(count):
            _granted(backend, _ask("held", number))

    def waiters() -> None:
        for number in range(count):
            backend.begin(_ask("waiter", number)._replace(wants=_wants("held", 0)))

    for what, step in {
        "settled call (its record)": calls, "plain lock, given back": locks, "lease on one resource": leases,
        "waiter for one resource": waiters,
    }.items():  # fmt: skip
        events, rest = scales.weigh(step)
        table.add(what, count, rest / count, events / count)
    return table


def _ask(kind: str, number: int, *, tool: str = "place_order", key: str = "", scope: str = "") -> Begin:
    owner = f"0123456789ab-{kind}-{number}"
    return Begin(
        owner, "0123456789ab", _wants(kind, number), 86400.0, "orders", "thread-1", tool, key=key, scope=scope,
        bell="0123456789abcdef",
    )  # fmt: skip


def _wants(kind: str, number: int) -> tuple[Want, ...]:
    return (Want(f"inventory/{kind}-{number:06}", Mode.EXCLUSIVE),)


def _granted(backend: Backend, ask: Begin) -> Granted:
    reply = backend.begin(ask)
    assert isinstance(reply, Granted), reply
    return reply


def _version(server: Server) -> str:
    with closing(redis.Redis(port=server.port)) as client:
        info = client.info("server")
    return f"valkey-{info['valkey_version']}" if "valkey_version" in info else f"redis-{info['redis_version']}"


if __name__ == "__main__":
    main()
