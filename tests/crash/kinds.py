"""The kinds of tools: what each does to the world, and what its policy says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from clawproof_langgraph import CallContext, ToolPolicy

Probe = Callable[[CallContext], Any]

WAIT = 30.0
"""Seconds that a call waits for its turn: it is certain to come."""


class Doubt(StrEnum):
    """What becomes of a call in doubt."""

    HELD = "held"
    RUN_AGAIN = "run again"
    PROBED = "looked into by a probe"
    ASKED = "put to a human"


@dataclass(frozen=True)
class Kind:
    """One kind of tool.

    Args:
        name: of the kind.
        tool: which tool of the shop the model calls.
        policy: what the policy says of it.
        doubt: what becomes of a call in doubt.
        dies_inside: whether the moments are those of the call that the clerk makes inside this one.
        inner_saved: whether the clerk, an agent inside the tool, has a checkpointer.
    """

    name: str
    tool: str
    policy: Mapping[str, Any] = field(default_factory=dict, hash=False)
    doubt: Doubt = Doubt.HELD
    dies_inside: bool = False
    inner_saved: bool = False

    @property
    def effect(self) -> str:
        """What the tool does to the world."""
        return str(self.policy.get("effect", "once"))

    @property
    def watched(self) -> str:
        """The tool whose call reaches the moments."""
        return PAY if self.dies_inside else self.tool

    @property
    def tells_caller(self) -> bool:
        """Whether a refusal is raised, for the caller of invoke."""
        return self.policy.get("on_refusal") == "raise"

    def policies(self, *, ttl: float, business_key: bool, probe: Probe) -> dict[str, ToolPolicy]:
        """Write the policies of the shop's tools.

        Args:
            ttl: seconds that a lease lives without renewal.
            business_key: whether they name one.
            probe: looks what became of a call.
        """
        common: dict[str, Any] = {"ttl": ttl, "wait": WAIT}
        made = {SIBLING: ToolPolicy(effect="read", **common)}
        for tool in {self.tool, PAY} if self.tool == ASK_CLERK else {self.tool}:
            terms = {"locks": ["account/{number}"], **common, **(self.policy if tool == self.tool else {})}
            if self.doubt is Doubt.PROBED:
                terms["probe"] = probe
            if business_key and self.effect != "read":
                terms["key"] = f"{tool}/{{number}}"
            made[tool] = ToolPolicy(**terms)
        return made


PAY, SET_PRICE, CHARGE, TRANSFER, ASK_CLERK, LOOK = "pay", "set_price", "charge", "transfer", "ask_clerk", "look"
SIBLING = "look_on"

_SHORT_WINDOW = 0.1
_DELEGATE: dict[str, Any] = {"effect": "delegate"}
_AGAIN = Doubt.RUN_AGAIN

ONCE = Kind("once", PAY)
ONCE_RAISES = Kind("once, on_refusal=raise", PAY, {"on_refusal": "raise"})
ONCE_RERUN = Kind("once, on_in_doubt=rerun", PAY, {"on_in_doubt": "rerun"}, _AGAIN)
ONCE_PROBED = Kind("once, with a probe", PAY, doubt=Doubt.PROBED)
ONCE_ASKED = Kind("once, on_in_doubt=interrupt", PAY, {"on_in_doubt": "interrupt"}, Doubt.ASKED)
IDEMPOTENT = Kind("idempotent", SET_PRICE, {"effect": "idempotent"}, _AGAIN)
IDEMPOTENT_HELD = Kind("idempotent, on_in_doubt=hold", SET_PRICE, {"effect": "idempotent", "on_in_doubt": "hold"})
KEYED = Kind("keyed", CHARGE, {"effect": "keyed"}, _AGAIN)
KEYED_LATE = Kind("keyed, its window past", CHARGE, {"effect": "keyed", "key_window": _SHORT_WINDOW})
TRANSACTIONAL = Kind("transactional", TRANSFER, {"effect": "transactional"}, _AGAIN)
TRANSACTIONAL_HELD = Kind(
    "transactional, on_in_doubt=hold", TRANSFER, {"effect": "transactional", "on_in_doubt": "hold"}
)
DELEGATE = Kind("delegate", ASK_CLERK, _DELEGATE, _AGAIN)
DELEGATE_INSIDE = Kind("delegate, killed in its inner call", ASK_CLERK, _DELEGATE, _AGAIN, dies_inside=True)
DELEGATE_SAVED = Kind("delegate to an agent with a checkpointer", ASK_CLERK, _DELEGATE, _AGAIN, inner_saved=True)
DELEGATE_SAVED_INSIDE = Kind(
    "delegate to an agent with a checkpointer, killed in its inner call",
    ASK_CLERK, _DELEGATE, _AGAIN, dies_inside=True, inner_saved=True,
)  # fmt: skip
READ = Kind("read", LOOK, {"effect": "read"}, _AGAIN)

KINDS = (
    ONCE, ONCE_RAISES, ONCE_RERUN, ONCE_PROBED, ONCE_ASKED,
    IDEMPOTENT, IDEMPOTENT_HELD,
    KEYED, KEYED_LATE,
    TRANSACTIONAL, TRANSACTIONAL_HELD,
    DELEGATE, DELEGATE_INSIDE, DELEGATE_SAVED, DELEGATE_SAVED_INSIDE,
    READ,
)  # fmt: skip
PLAIN_KINDS = (ONCE, IDEMPOTENT, KEYED, TRANSACTIONAL, DELEGATE, READ)
"""One of each effect: without the guard, policies make no difference."""
CUT_SHORT_KINDS = (ONCE, IDEMPOTENT, KEYED, TRANSACTIONAL, DELEGATE)
