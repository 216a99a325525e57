"""A till whose payments are counted, for tests about which calls are the same call."""

from langchain_core.tools import BaseTool, tool
from langgraph.types import interrupt

from clawproof_langgraph import Coordinator, Guard, ToolPolicy

from .stage import policies

POLICIES = policies(
    pay=ToolPolicy(), approve=ToolPolicy(effect="read"), break_once=ToolPolicy(effect="idempotent", retry=False)
)


class Till:
    """A payment, a question to a human, and a connection that breaks once; it keeps what was paid."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.coordinator, self.guard = coordinator, Guard(coordinator, tools=POLICIES)
        self.paid: list[int] = []
        self.breaks = [ConnectionError("reply lost")]

    def tools(self) -> list[BaseTool]:
        @tool
        def pay(amount: int = 1) -> str:
            """Pay."""
            self.paid.append(amount)
            return f"paid {amount}"

        @tool
        def approve() -> str:
            """Ask a human."""
            return interrupt("approve?")

        @tool
        def break_once() -> str:
            """Lose the connection, the first time."""
            if self.breaks:
                raise self.breaks.pop()
            return "ok"

        return [pay, approve, break_once]

    def keys(self) -> list[str]:
        """List the keys under which payments were started or replayed, in order."""
        events = self.coordinator.events(types=["call.started", "call.replayed"])
        return [event.key for event in events if event.data["tool"] == "pay"]
