"""An agent whose payment kills its process: `python -m tests.langgraph.crashing DIRECTORY DURABILITY`."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph.state import CompiledStateGraph

from .scripted import Identity, ScriptedModel, Watcher, agent_loop, call, says, thread

GO = {"messages": [HumanMessage("pay")]}


class Payments:
    """An agent that pays, and a file that keeps what each payment was called."""

    def __init__(self, directory: Path, *, crash: bool) -> None:
        self.directory = directory
        self.crash = crash
        self.watcher = Watcher()

    def agent(self, saver: BaseCheckpointSaver, *, has_called: bool = False) -> CompiledStateGraph:
        """Make the agent; when its model is asked for the call again it gives it another id, as real ones do."""

        @tool
        def pay() -> str:
            """Pay, note it, and crash before anybody hears of it."""
            self.note()
            if self.crash:
                os.kill(os.getpid(), signal.SIGKILL)
            return "paid"

        replies = [says(call("pay", f"call-of-{os.getpid()}")), says(text="done")]
        return agent_loop(ScriptedModel(replies=replies[has_called:]), self.watcher.node([pay]), checkpointer=saver)

    def note(self) -> None:
        request = self.watcher.requests[-1]
        names = {**vars(Identity.of(request)), "human": request.state["messages"][0].id}
        with (self.directory / "payments.jsonl").open("a") as file:
            file.write(json.dumps(names) + "\n")

    def noted(self) -> list[dict[str, Any]]:
        """Read what was paid, in all processes so far."""
        return [json.loads(line) for line in (self.directory / "payments.jsonl").read_text().splitlines()]


if __name__ == "__main__":
    place, durability = Path(sys.argv[1]), sys.argv[2]
    with SqliteSaver.from_conn_string(str(place / "checkpoints.sqlite")) as checkpoints:
        Payments(place, crash=True).agent(checkpoints).invoke(GO, thread(), durability=durability)
