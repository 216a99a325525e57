"""A shop whose process kills itself in a tool, and the same shop opened again by its successor."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import BaseTool, tool
from langgraph.checkpoint.sqlite import SqliteSaver

from clawproof_langgraph import Coordinator, Guard, ToolPolicy, current_call
from tests.graph import stage
from tests.langgraph.scripted import ScriptedModel, call, says, thread
from tests.waiting import wait_until

TTL = 0.7
"""Seconds until a successor takes a dead process's lease to be over."""
POLICIES = {
    "pay": ToolPolicy(locks=["account/1"], ttl=TTL),
    "pay_invoice": ToolPolicy(ttl=TTL, key="invoice/{number}"),
    "charge": ToolPolicy(ttl=TTL, effect="keyed"),
    "set_price": ToolPolicy(ttl=TTL, effect="idempotent"),
    "look": ToolPolicy(ttl=TTL, effect="read"),
}


def die() -> None:
    """End this process as the kernel would."""
    os.kill(os.getpid(), signal.SIGKILL)


class Buyer(ScriptedModel):
    """Asks for its calls until it sees an answer, in whichever process."""

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        answered = any(isinstance(message, ToolMessage) for message in messages)
        return ChatResult(generations=[ChatGeneration(message=self.replies[answered].model_copy(deep=True))])


@dataclass(frozen=True)
class Shop:
    """One agent over files in a directory.

    Args:
        directory: where the checkpoints, the locks and the list of effects are.
        build: the name of one of the builds of `stage`.
        durability: LangGraph's.
        calls: what the model asks for, as (tool, arguments).
        dies_in: the tool in which this process dies; empty for none.
    """

    directory: Path
    build: str
    durability: str
    calls: tuple[tuple[str, dict[str, Any]], ...]
    dies_in: str = ""

    def effects(self) -> list[list[str]]:
        """List what happened to the world, in all processes so far, as (tool, idempotency key)."""
        path = self.directory / "effects"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def run(self) -> dict[str, Any]:
        """Go on from what is saved, or start anew, and give the last state."""
        with self._opened() as (saver, coordinator):
            value = None if saver.get_tuple(thread()) else stage.human()
            return self._graph(saver, coordinator).invoke(value, thread(), durability=self.durability)

    def keys_in_doubt(self) -> list[str]:
        """List the calls in doubt."""
        with self._opened() as (_, coordinator):
            return [entry.key for entry in coordinator.snapshot().in_doubt]

    @contextmanager
    def _opened(self) -> Iterator[tuple[SqliteSaver, Coordinator]]:
        with ExitStack() as stack:
            saver = stack.enter_context(SqliteSaver.from_conn_string(str(self.directory / "checkpoints.sqlite")))
            url = f"sqlite:///{self.directory / 'locks.db'}"
            yield saver, stack.enter_context(Coordinator.from_url(url))

    def _graph(self, saver: SqliteSaver, coordinator: Coordinator) -> Any:
        # As a real one does, the model gives new ids to calls that it is asked for again.
        asked = [
            call(name, f"{name}-{number}-of-{os.getpid()}", **args) for number, (name, args) in enumerate(self.calls)
        ]
        model = Buyer(replies=[says(*asked), says(text="done")])
        make: Callable[..., Any] = getattr(stage, self.build)
        guard = Guard(coordinator, tools=POLICIES)
        return make(guard, model, self._tools(saver, coordinator), checkpointer=saver)

    def _tools(self, saver: SqliteSaver, coordinator: Coordinator) -> list[BaseTool]:
        @tool
        def pay() -> str:
            """Pay."""
            return self._effect("pay")

        @tool
        def pay_invoice(number: int) -> str:
            """Pay an invoice."""
            return self._effect("pay_invoice")

        @tool
        def charge() -> str:
            """Charge by way of a service that knows our key."""
            return self._effect("charge")

        @tool
        def set_price() -> str:
            """Set a price."""
            return self._effect("set_price")

        @tool
        def look() -> str:
            """Look, once the sibling's payment is settled and all is saved that will be."""
            if self.dies_in == "look":
                wait_until(lambda: coordinator.events(types=["call.done"]))
                if self.durability != "exit":
                    wait_until(lambda: _has_saved_the_call(saver))
                die()
            return "looked"

        return [pay, pay_invoice, charge, set_price, look]

    def _effect(self, name: str) -> str:
        running = current_call()
        assert running is not None
        with (self.directory / "effects").open("a") as file:
            file.write(f"{name} {running.idempotency_key}\n")
        if self.dies_in == name:
            die()
        return "done"


def _has_saved_the_call(saver: SqliteSaver) -> bool:
    found = saver.get_tuple(thread())
    messages = found.checkpoint["channel_values"].get("messages", []) if found else []
    return any(isinstance(message, AIMessage) for message in messages)
