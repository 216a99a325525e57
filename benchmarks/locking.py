"""What a lock costs that nobody else wants, beside the locks of other libraries on the same server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack, closing
from typing import Final

import redis

from benchmarks.measure import Burst, Case, Plan, interleave, timed, timed_on
from benchmarks.peers import ASYNC_PEERS, OURS, PEERS, AsyncLocks, Locks, async_locks_of, locks_of
from benchmarks.report import Figure, Goal, Table
from benchmarks.requests import Shop
from benchmarks.stores import Ping, pinned_server
from benchmarks.ways import ASYNC, SYNC

_LOCKS: Final = (1, 5)
_COUNTED: Final = 20
_ROUND_TRIPS: Final = 2.0
_PING: Final = "PING"

Name = tuple[str, int]


def measure_locking(shop: Shop, plan: Plan) -> Table:
    """Time taking and giving back 1 and 5 locks, with a bare PING in turns, and count the commands."""
    table = Table(
        "Taking and giving back locks on Redis, nobody else wants them",
        {
            "library": "", "mode": "", "locks": "", "x PING": ".2f", "median us": ".1f", "p99 us": ".1f",
            "round trips": ".1f", "commands": ".1f",
        },
        "clawproof writes two events with each; commands: all that the server counts (INFO commandstats), those\n"
        "that a script calls among them; round trips: how often the server read from a connection",
    )  # fmt: skip
    with pinned_server() as url, ExitStack() as stack, closing(Ping(url)) as ping:
        bursts = {library: _holding(stack.enter_context(locks_of(library, url))) for library in (OURS, *PEERS)}
        _add_rows(table, SYNC, url, {(_PING, 0): ping.case(), **_cases(bursts, shop)}, plan)
    with pinned_server() as url, asyncio.Runner() as runner, closing(Ping(url, runner.get_loop())) as ping:
        loop, stack_of_loop = runner.get_loop(), AsyncExitStack()
        bursts = {
            library: _aholding(runner.run(stack_of_loop.enter_async_context(async_locks_of(library, url))), loop)
            for library in (OURS, *ASYNC_PEERS)
        }
        _add_rows(table, ASYNC, url, {(_PING, 0): ping.case(), **_cases(bursts, shop)}, plan)
        runner.run(stack_of_loop.aclose())
    return table


def _cases(bursts: dict[str, Burst], shop: Shop) -> dict[Name, Case]:
    return {(name, locks): Case(_names(shop, locks), burst) for name, burst in bursts.items() for locks in _LOCKS}


def _names(shop: Shop, locks: int) -> Callable[[int], list[list[str]]]:
    return lambda count: [shop.names(locks) for _ in range(count)]


def _holding(locks: Locks) -> Burst:
    def hold(names: list[str]) -> None:
        with locks(names):
            pass

    return timed(hold)


def _aholding(locks: AsyncLocks, loop: asyncio.AbstractEventLoop) -> Burst:
    async def hold(names: list[str]) -> None:
        async with locks(names):
            pass

    return timed_on(loop, hold)


def _add_rows(table: Table, mode: str, url: str, cases: dict[Name, Case], plan: Plan) -> None:
    found = interleave(cases, plan)
    ping = found[_PING, 0]
    table.add(_PING, mode, None, 1.0, ping.median, ping.p99, 1.0, 1.0)
    for (library, locks), case in cases.items():
        if library != _PING:
            trips, commands = _count(url, case)
            counted: Figure = Goal(trips, _ROUND_TRIPS) if library == OURS else trips
            each = found[library, locks]
            table.add(library, mode, locks, each.median / ping.median, each.median, each.p99, counted, commands)


def _count(url: str, case: Case) -> tuple[float, float]:
    """Count the reads from connections and the commands of one call."""
    with redis.Redis.from_url(url) as client:
        inputs = case.prepare(_COUNTED)
        client.config_resetstat()
        before = _so_far(client)
        case.burst(inputs)
        after = _so_far(client)
    # The second look is itself in what it finds; the first one is not.
    return (after[0] - before[0] - 2) / _COUNTED, (after[1] - before[1]) / _COUNTED


def _so_far(client: redis.Redis) -> tuple[int, int]:
    reads: int = client.info("stats")["total_reads_processed"]
    commands = sum(each["calls"] for name, each in client.info("commandstats").items() if "info" not in name)
    return reads, commands
