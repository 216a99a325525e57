"""Locks, polling and retries inside tools are found, and what only looks like them is not."""

from textwrap import dedent

import pytest

from clawproof_langgraph.audit.effects import locks_in, polling_in, retries_around, unstable_parts
from clawproof_langgraph.audit.findings import Confidence
from tests.audit.effects.sources import function_of, tree_of, writes_in

LOCKS = {
    "threading": "import threading\nlock = threading.Lock()\ndef tool():\n    with lock:\n        pass\n",
    "asyncio": "import asyncio\nlock = asyncio.Lock()\nasync def tool():\n    async with lock:\n        pass\n",
    "file": "from filelock import FileLock\ndef tool():\n    with FileLock('x.lock'):\n        pass\n",
    "redis": "import redis\nr = redis.Redis()\ndef tool(a):\n    with r.lock(f'lock:{a}', timeout=10):\n        pass\n",
    "database": "def tool(conn):\n    conn.execute('SELECT * FROM t WHERE id = 1 FOR UPDATE')\n",
    "coordinator": (
        "from clawproof_langgraph import Coordinator\nc = Coordinator.from_url('memory://')\n"
        "def tool():\n    with c.lock('a'):\n        pass\n"
    ),
}


@pytest.mark.parametrize("library", LOCKS)
def test_a_lock_of_another_library_is_found(library: str) -> None:
    tree = tree_of(LOCKS[library])

    [lock] = locks_in(function_of(tree), tree)

    assert lock.library == library


@pytest.mark.parametrize(
    ("call", "library"),
    [
        ("import fcntl\ndef tool(f):\n    fcntl.flock(f, fcntl.LOCK_EX)\n", "file"),
        ("import portalocker\ndef tool(f):\n    portalocker.lock(f, portalocker.LOCK_EX)\n", "file"),
        ("def tool(conn):\n    conn.execute('SELECT pg_advisory_lock(7)')\n", "database"),
        ("def tool(conn):\n    conn.execute('LOCK TABLE t IN EXCLUSIVE MODE')\n", "database"),
        ("from shop.models import Item\ndef tool():\n    Item.objects.select_for_update().get(pk=1)\n", "database"),
        ("import threading\nclass T:\n    def __init__(self):\n        self.m = threading.RLock()\n"
         "    def tool(self):\n        self.m.acquire()\n", "threading"),
    ],
)  # fmt: skip
def test_a_lock_that_is_taken_by_a_call_is_found(call: str, library: str) -> None:
    tree = tree_of(call)
    name = "T.tool" if "class T" in call else "tool"

    [lock] = locks_in(function_of(tree, name), tree)

    assert lock.library == library


def test_a_lock_inside_another_names_the_one_that_is_held() -> None:
    tree = tree_of("""
        import threading
        a, b = threading.Lock(), threading.Lock()
        first, second = threading.Lock(), threading.Lock()
        one = threading.Lock()
        two = threading.Lock()
        def tool():
            with one:
                with two:
                    pass
    """)

    outer, inner = locks_in(function_of(tree), tree)

    assert (outer.inside, inner.inside) == ((), ("one",))


def test_what_is_no_lock_is_not_taken_for_one() -> None:
    tree = tree_of("def tool(door):\n    door.lock()\n    with open('x') as f:\n        f.acquire()\n")

    assert not locks_in(function_of(tree), tree)


def test_a_loop_that_reads_and_sleeps_polls() -> None:
    tree = tree_of("""
        import sqlite3, time
        def tool(order):
            conn = sqlite3.connect("x")
            while True:
                row = conn.execute("SELECT state FROM orders WHERE id = ?", (order,)).fetchone()
                if row[0] == "done":
                    return row
                time.sleep(1)
    """)

    [polling] = polling_in(function_of(tree), tree)

    assert (polling.resource, polling.place.line, polling.confidence) == ("orders", 5, Confidence.CERTAIN)


def test_a_loop_that_polls_through_a_helper_is_found() -> None:
    tree = tree_of("""
        import asyncio, httpx
        async def state(job):
            async with httpx.AsyncClient() as client:
                return (await client.get(f"https://jobs/{job}")).json()["state"]
        async def tool(job):
            for _ in range(60):
                if await state(job) == "done":
                    return
                await asyncio.sleep(5)
    """)

    [polling] = polling_in(function_of(tree), tree)

    assert polling.what.startswith("GET")


def test_a_loop_that_waits_after_an_error_retries_and_does_not_poll() -> None:
    tree = tree_of("""
        import time, httpx
        def tool(order):
            for attempt in range(3):
                try:
                    return httpx.get("https://x")
                except httpx.HTTPError:
                    time.sleep(attempt)
    """)

    assert not polling_in(function_of(tree), tree)
    assert [each.by for each in retries_around(function_of(tree), tree)] == ["a loop"]


def test_a_pause_without_a_loop_is_no_polling() -> None:
    tree = tree_of("import time\ndef tool(items):\n    time.sleep(1)\n    for item in items:\n        print(item)\n")

    assert not polling_in(function_of(tree), tree)


@pytest.mark.parametrize(
    ("decorator", "by"),
    [
        ("from tenacity import retry\n@retry", "tenacity"),
        ("import tenacity\n@tenacity.retry(stop=tenacity.stop_after_attempt(3))", "tenacity"),
        ("import backoff\n@backoff.on_exception(backoff.expo, OSError)", "backoff"),
        ("import stamina\n@stamina.retry(on=OSError)", "stamina"),
    ],
)
def test_a_decorator_that_retries_is_found(decorator: str, by: str) -> None:
    tree = tree_of(f"{decorator}\ndef tool():\n    pass\n")

    assert [each.by for each in retries_around(function_of(tree), tree)] == [by]


def test_a_retry_around_a_helper_is_found_with_the_call() -> None:
    tree = tree_of("import stamina\n@stamina.retry(on=OSError)\ndef helper():\n    pass\ndef tool():\n    helper()\n")

    [found] = retries_around(function_of(tree), tree)

    assert [place.line for place in found.via] == [6]


def test_a_client_that_retries_is_found() -> None:
    tree = tree_of("""
        import requests
        from requests.adapters import HTTPAdapter
        from urllib3.util import Retry
        def tool():
            session = requests.Session()
            session.mount("https://", HTTPAdapter(max_retries=Retry(total=3)))
            session.post("https://x")
    """)

    assert [each.by for each in retries_around(function_of(tree), tree)] == ["urllib3"]


def test_a_loop_over_things_is_no_retry() -> None:
    tree = tree_of("""
        def tool(items, send):
            for item in items:
                try:
                    send(item)
                except OSError:
                    continue
    """)

    assert not retries_around(function_of(tree), tree)


KEYS = """
import uuid, time, hashlib, random
from datetime import datetime
from helpers import stamp, stable

def fresh(order):
    return f"{order}-{uuid.uuid4()}"

def by_name(order):
    now = datetime.now()
    return f"{order}-{now:%Y}"

def through_a_helper(order):
    return order + stamp()

def hashed(order):
    return hashlib.sha256(order.encode()).hexdigest()

def namespaced(order):
    return str(uuid.uuid5(uuid.NAMESPACE_URL, order))

def of_arguments(order):
    return stable(order)

def measured(order):
    started = time.time()
    key = f"order/{order}"
    print(time.time() - started)
    return key

by_lambda = lambda order: f"{order}-{random.random()}"
"""
HELPERS = "import time\ndef stamp():\n    return str(time.time_ns())\ndef stable(order):\n    return 'k' + order\n"


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("fresh", ["uuid.uuid4()"]),
        ("by_name", ["datetime.datetime.now()"]),
        ("through_a_helper", ["time.time_ns()"]),
        ("hashed", []),
        ("namespaced", []),
        ("of_arguments", []),
        ("measured", []),
    ],
)
def test_what_is_new_each_time_in_a_key_is_found(name: str, what: list[str]) -> None:
    tree = tree_of(KEYS, helpers=HELPERS)

    found = unstable_parts(function_of(tree, name), tree.modules["tools"], tree)

    assert [each.what for each in found] == what


def test_a_key_may_be_an_expression() -> None:
    tree = tree_of(dedent(KEYS), helpers=HELPERS)
    module = tree.modules["tools"]

    [found] = unstable_parts(module.assigned["by_lambda"], module, tree)

    assert found.what == "random.random()"


@pytest.mark.parametrize(
    "call",
    [
        'await asyncio.to_thread(requests.post, "https://x.example", json=a)',
        'await loop.run_in_executor(None, functools.partial(requests.post, "https://x.example", json=a))',
        'again(requests.post, "https://x.example", json=a)',
        'post("https://x.example", json=a)',
        "each(one, a)",
    ],
)
@pytest.mark.parametrize(("method", "repeatable"), [("post", False), ("put", True)])
def test_a_call_that_is_made_for_another_is_that_call(call: str, method: str, repeatable: bool) -> None:
    [touch] = writes_in(
        f"""
import asyncio, functools, requests
post = functools.partial(requests.post, timeout=5)

def again(run, *args, **options):
    for _ in range(3):
        return run(*args, **options)

def each(run, items):
    for item in items:
        run(item)

def one(item):
    requests.post("https://x.example", json=item)

async def tool(a, loop):
    {call}
""".replace("requests.post", f"requests.{method}")
    )

    assert touch.repeatable is repeatable


def test_a_function_that_is_only_kept_is_not_called() -> None:
    assert not writes_in("""
        import requests
        def keep(run):
            return run
        def tool(a):
            keep(requests.post)
    """)
