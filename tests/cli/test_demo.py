"""The demo: what act one breaks, what act two keeps, and how both are counted and drawn."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from clawproof_langgraph.cli import demo
from clawproof_langgraph.cli.demo import shop as shop_module
from clawproof_langgraph.cli.demo.crew import Crew, WorkerFailed
from clawproof_langgraph.cli.demo.folder import RunFolder
from clawproof_langgraph.cli.demo.report import print_timeline
from clawproof_langgraph.cli.demo.shop import Line, Shop
from clawproof_langgraph.cli.demo.tally import Tally, count, verdict
from clawproof_langgraph.cli.demo.workload import Delivery, Order, Seller, Shift, Supplier, Workload, a_day
from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.events import Event

LAMP = [Line(sku="lamp", units=1)]


def console_and_text(encoding: str = "utf-8") -> tuple[Console, Callable[[], str]]:
    printed = io.BytesIO()
    file = io.TextIOWrapper(printed, encoding=encoding, write_through=True)
    return Console(file=file, width=110), lambda: printed.getvalue().decode(encoding)


def open_shop(folder: Path, **stock: int) -> Shop:
    shop = Shop(folder / "shop.db", think=0.0)
    shop.open_for_business(stock)
    return shop


def work_of(*orders: str, deliveries: int = 0) -> Workload:
    supplier = Supplier("supplier", (Delivery("lamp", 1),) * deliveries)
    first, *others = (Order(order, (("lamp", 1),), 10) for order in orders)
    return Workload((Shift((supplier,), (Seller("orders", tuple(others)),)),), Seller("unlucky", (first,)))


def at_once(monkeypatch: pytest.MonkeyPatch, *tools: Callable[[], object]) -> None:
    """Run tools so that none writes before all have read."""
    all_have_read = threading.Barrier(len(tools), timeout=30)
    monkeypatch.setattr(shop_module, "time", SimpleNamespace(sleep=lambda _: all_have_read.wait()))
    with ThreadPoolExecutor(len(tools)) as pool:
        for future in [pool.submit(tool) for tool in tools]:
            future.result()


# --- the whole demo ---------------------------------------------------------------------------------------------


def test_act_one_breaks_the_shop_and_act_two_does_not(tmp_path: Path) -> None:
    console, text = console_and_text()

    began = time.monotonic()
    with RunFolder(tmp_path / "kept") as folder:
        played = demo.run_demo(console, folder)

    unguarded = count(Shop(tmp_path / "kept" / "unguarded" / "shop.db"), a_day())
    guarded = count(Shop(tmp_path / "kept" / "guarded" / "shop.db"), a_day())
    assert played.code == 0, text()
    assert (played.unguarded, played.guarded) == (unguarded, guarded)
    assert (unguarded.oversold > 0, unguarded.lost_updates > 0, unguarded.off_by > 0) == (True, True, True)
    assert unguarded.paid_again == 1
    assert guarded.problems == 0
    assert guarded.sold > 0
    assert time.monotonic() - began < 30
    for expected in ("must not be repeated", "paid 2 times", "paid once", "supplier-1", "clawproof trace --url sqlite"):
        assert expected in text()


def test_a_process_that_fails_ends_the_demo_with_exit_code_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise WorkerFailed("A process of the demo ended with exit code 3.")

    monkeypatch.setattr(demo, "run_act", fail)
    console, text = console_and_text()

    with RunFolder(tmp_path / "kept") as folder:
        played = demo.run_demo(console, folder)
    assert (played.code, played.guarded) == (1, None)
    assert "exit code 3" in text()


def test_a_store_inside_one_process_is_refused() -> None:
    console, _ = console_and_text()
    with RunFolder() as folder, pytest.raises(ConfigurationError, match="several processes"):
        demo.run_demo(console, folder, url="memory://")


def test_a_day_has_ten_agents_or_more_in_four_processes_or_more() -> None:
    work = a_day()
    names = [supplier.name for shift in work.shifts for supplier in shift.suppliers]
    names += [seller.name for shift in work.shifts for seller in shift.sellers]
    assert len({*names, work.unlucky.name}) == work.agents >= 10
    assert len(work.shifts) >= 4
    assert all(shift.suppliers and shift.sellers for shift in work.shifts)


def test_a_crew_leaves_no_process_behind() -> None:
    with Crew() as crew:
        process = crew.start(time.sleep, 3600)
        assert process.is_alive()
    assert not process.is_alive()


def test_a_crew_tells_of_a_process_that_died() -> None:
    with Crew() as crew, pytest.raises(WorkerFailed, match="exit code 3"):
        crew.wait([crew.start(time.sleep, 3600), crew.start(sys.exit, 3)], tick=lambda: None)


def test_a_crew_tells_of_a_process_that_does_not_end() -> None:
    with Crew() as crew, pytest.raises(WorkerFailed, match="1 processes of the demo are not done"):
        crew.wait([crew.start(time.sleep, 3600)], tick=lambda: None, patience=0.1)


def tell_blocked(answer: Connection) -> None:
    answer.send(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def test_ctrl_c_reaches_the_parent_and_no_worker() -> None:
    with Crew() as crew:
        assert crew.ask(tell_blocked) == "True"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def tell_parent(answer: Connection) -> None:
    answer.send(os.getppid())


def test_a_crew_that_breaks_off_leaves_no_fork_server_behind() -> None:
    server = 0
    with contextlib.suppress(KeyboardInterrupt), Crew() as crew:
        server = int(crew.ask(tell_parent))
        raise KeyboardInterrupt
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)


TAKES_A_PAYMENT = """
import pathlib, sys, time
from clawproof_langgraph.cli.demo.crew import Crew
from clawproof_langgraph.cli.demo.shop import Shop
from clawproof_langgraph.cli.demo.workers import Workplace, open_order
from clawproof_langgraph.cli.demo.workload import STOCK, a_day

folder, unlucky = pathlib.Path(sys.argv[1]), a_day().unlucky
shop = Shop(folder / "shop.db", receipt=60.0)
shop.open_for_business(STOCK)
with Crew() as crew:
    crew.start(open_order, Workplace(shop, None, folder / "checkpoints.db"), unlucky)
    while not shop.payments_of(unlucky.orders[0].id):
        time.sleep(0.01)
    print("paid", flush=True)
    time.sleep(60)
"""


def test_a_worker_ends_with_its_parent_however_that_ends(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", TAKES_A_PAYMENT, tmp_path], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"paid\n"
        parent.kill()
        parent.communicate(timeout=20)  # ends when nobody is left who could write


# --- the count --------------------------------------------------------------------------------------------------


def test_one_agent_after_the_other_breaks_nothing(tmp_path: Path) -> None:
    shop = open_shop(tmp_path, lamp=1)
    shop.deliver("lamp", 1)
    for order in ("1", "2", "3"):
        if shop.sell(order, LAMP) == "sold":
            shop.charge(order, 10)

    assert count(shop, work_of("1", "2", "3", deliveries=1)) == Tally(
        delivered=1, sold=2, refused=1, oversold=0, lost_updates=0, off_by=0, paid_again=0, unpaid=0, undone=0
    )


def test_two_sales_of_the_last_unit_are_counted_as_oversold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = open_shop(tmp_path, lamp=1)
    at_once(monkeypatch, lambda: shop.sell("1", LAMP), lambda: shop.sell("2", LAMP))

    tally = count(shop, work_of("1", "2"))
    assert (tally.oversold, tally.lost_updates, tally.off_by) == (1, 1, 1)


def test_a_delivery_overwritten_by_a_sale_is_counted_as_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = open_shop(tmp_path, lamp=5)
    at_once(monkeypatch, lambda: shop.sell("1", LAMP), lambda: shop.deliver("lamp", 4))

    tally = count(shop, work_of("1", deliveries=1))
    assert (tally.oversold, tally.lost_updates) == (0, 1)
    assert tally.off_by in (1, 4)


def test_payments_are_counted_by_order(tmp_path: Path) -> None:
    shop = open_shop(tmp_path, lamp=5)
    for order in ("1", "2"):
        shop.sell(order, LAMP)
    shop.charge("1", 10)
    shop.charge("1", 10)

    tally = count(shop, work_of("1", "2", "3"))
    assert (tally.paid_again, tally.unpaid, tally.undone) == (1, 1, 1)


@pytest.mark.parametrize("field", ["oversold", "lost_updates", "off_by", "paid_again", "unpaid", "undone"])
def test_any_broken_invariant_of_the_guarded_act_is_exit_code_1(field: str) -> None:
    sound = Tally(
        delivered=9, sold=9, refused=9, oversold=0, lost_updates=0, off_by=0, paid_again=0, unpaid=0, undone=0
    )
    assert verdict(sound) == 0
    assert verdict(replace(sound, **{field: 1})) == 1


# --- the report -------------------------------------------------------------------------------------------------


def test_an_encoding_without_blocks_gets_ascii() -> None:
    console, text = console_and_text("ascii")
    held = {"agent": "a", "call": "1"}
    print_timeline(console, [Event(1, 0.0, "lock.acquired", **held), Event(2, 9.0, "lock.released", **held)])
    assert "a |####" in text()
