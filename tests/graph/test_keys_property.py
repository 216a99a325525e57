"""No intended call is swallowed, and none is repeated: random conversations beside a table of what is meant.

A failure prints the shortest conversation that Hypothesis found, and a blob that repeats it. To look further, set
CLAWPROOF_CONVERSATIONS to a factor by which there are to be more of them, and longer ones.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, ToolCall
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph.message import REMOVE_ALL_MESSAGES
from langgraph.types import Command, Interrupt

from clawproof_langgraph import Coordinator
from tests.langgraph.scripted import call, play, thread

from . import conversing
from .conversing import EFFECTS, PLANS, Arrangement, Options, Rounds, Shop, asking, guard_of, last_turn, told

# Warnings of what surrounds a tool: the graphs retry on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::clawproof_langgraph.errors.ClawproofWarning")
FACTOR = int(os.environ.get("CLAWPROOF_CONVERSATIONS", "1"))
PATIENT = settings(
    stateful_step_count=6 + 2 * FACTOR,
    deadline=None,
    print_blob=True,
    derandomize=FACTOR == 1,
    suppress_health_check=list(HealthCheck),
)

# --- the oracle -------------------------------------------------------------------------------------------------


class Intent(NamedTuple):
    """A call that is meant to be made once: what a model emitted, as a human has left it.

    | what happens to it                                               | it is              |
    |------------------------------------------------------------------|--------------------|
    | resume, RetryPolicy, invoke(None), replay or fork from before it | the same intent    |
    | the history around it is trimmed, summarised, or equal           | the same intent    |
    | a human edits it                                                 | another intent     |
    | the same arguments, or id, at another place of the message       | another intent     |
    | the same call in another AIMessage, a branch, or a thread        | another intent     |
    | it delegates                                                     | all that the other agent is asked for |
    """

    thread: str
    message: str
    place: int
    tool: str
    argument: Any

    def effects(self) -> Iterator[tuple[str, int]]:
        """List the effects that are due to it."""
        if self.tool == "delegate":
            for calls in PLANS[self.argument]:
                yield from ((each["name"], each["args"]["amount"]) for each in calls if each["name"] in EFFECTS)
        elif self.tool in EFFECTS:
            yield self.tool, self.argument


# --- conversations ----------------------------------------------------------------------------------------------

# Few tools, values and ids, so that calls are often equal in all but what makes them different.
AMOUNTS = st.integers(1, 2)
IDS = st.sampled_from(["1", "2"])
EFFECT = st.builds(
    lambda name, number, amount: call(name, number, amount=amount), st.sampled_from(EFFECTS), IDS, AMOUNTS
)
WITHOUT_ID = st.builds(lambda amount: call("note", None, amount=amount), AMOUNTS)
APPROVAL = st.builds(lambda number: call("approve", number), IDS)


def delegations(plans: Sequence[str]) -> st.SearchStrategy[ToolCall]:
    return st.builds(lambda number, plan: call("delegate", number, plan=plan), IDS, st.sampled_from(plans))


# LangGraph cannot resume several questions of agents that keep no checkpoints.
WITHOUT_QUESTIONS = [
    name
    for name, rounds in PLANS.items()
    if not {"approve", "confirm"} & {e["name"] for calls in rounds for e in calls}
]
PICK = st.integers(0, 30)
REVIEW = st.sampled_from(["approve", "reject", 1, 2, 3])


def with_own_ids(calls: Sequence[ToolCall]) -> list[ToolCall]:
    """Give the calls of a message ids of their own, which every message uses again."""
    return [{**each, "id": f"call-{place}"} for place, each in enumerate(calls)]


def rounds_of(*calls: st.SearchStrategy[ToolCall], own_ids: bool) -> st.SearchStrategy[Rounds]:
    message = st.lists(st.one_of(*calls), min_size=1, max_size=4)
    return st.lists(message.map(with_own_ids) if own_ids else message, min_size=1, max_size=2)


class Kind(NamedTuple):
    """An arrangement, and what can happen in it.

    Args:
        build: how the graph is made.
        rounds: what the model may be told to emit.
        branches: how many agents are told so.
        sees_messages: whether a replay from before the tools is known for one.
        agent_is_root: whether the agent's messages can be edited from outside.
        keeping: the checkpointer of the agent inside a tool.
    """

    build: Arrangement
    rounds: st.SearchStrategy[Rounds]
    branches: int = 1
    sees_messages: bool = True
    agent_is_root: bool = True
    keeping: st.SearchStrategy[Any] = st.none()


ANY = rounds_of(EFFECT, WITHOUT_ID, APPROVAL, own_ids=False)
OWN_IDS = rounds_of(EFFECT, APPROVAL, own_ids=True)
KINDS = {
    "hooked": Kind(conversing.hooked, ANY),
    "wrapped": Kind(conversing.wrapped, ANY, sees_messages=False, agent_is_root=False),
    "ready-made": Kind(conversing.ready_made, ANY),
    "reviewed": Kind(conversing.reviewed, OWN_IDS),
    "delegating": Kind(
        conversing.delegating,
        rounds_of(EFFECT, APPROVAL, delegations(list(PLANS)), own_ids=False),
        keeping=st.none() | st.builds(InMemorySaver),
    ),
    "delegating anew": Kind(
        conversing.delegating,
        rounds_of(EFFECT, APPROVAL, delegations(WITHOUT_QUESTIONS), own_ids=False),
        keeping=st.just(False),
    ),
    "node": Kind(conversing.as_node, ANY, agent_is_root=False),
    "fan-out": Kind(conversing.fanned_out, ANY, branches=2, agent_is_root=False),
}


class Conversations(RuleBasedStateMachine):
    """Two people talk to one graph, and go back in time."""

    kind: Kind
    make_coordinator: Callable[[], Coordinator]

    def __init__(self) -> None:
        super().__init__()
        self.coordinator = self.make_coordinator()
        self.intents: set[Intent] = set()
        self.threads = ["anna", "bert"]
        self.reviewed: dict[tuple[str, str, int], Any] = {}
        self.elsewhere: set[tuple[str, str]] = set()
        self.copies = count()

    @initialize(
        data=st.data(),
        mode=st.sampled_from(["sync", "async"]),
        native=st.booleans(),
        switches=st.tuples(*[st.booleans()] * 5),
    )
    def arrange(self, data: st.DataObject, mode: str, native: bool, switches: tuple[bool, ...]) -> None:
        self.mode, self.shop = mode, Shop(native=native and mode == "async")
        options = Options(*switches, keeping=data.draw(self.kind.keeping))
        self.graph = self.kind.build(guard_of(self.coordinator), self.shop, options)

    def teardown(self) -> None:
        self.coordinator.close()

    # --- what happens -------------------------------------------------------------------------------------------

    @rule(
        data=st.data(),
        name=st.sampled_from(["anna", "bert"]),
        history=st.sampled_from(["kept", "trimmed", "summarised"]),
        failures=st.integers(0, 2),
        at_once=st.booleans(),
    )
    def a_turn(self, data: st.DataObject, name: str, history: str, failures: int, at_once: bool) -> None:
        rounds = data.draw(self.kind.rounds)
        before = self.graph.get_state(thread(name)).values.get("messages", [])
        messages = [*removed(before, history), told(rounds)]

        turn = self.until_done(data, {"messages": messages}, thread(name), failures, at_once)

        asked = sorted(sorted(map(str, each)) for each in rounds * self.kind.branches)
        assert sorted(sorted(map(str, message.tool_calls)) for message in asking(turn)) == asked
        self.all_meant(name, asking(turn))

    @precondition(lambda self: self.intents)
    @rule(data=st.data(), pick=PICK, failures=st.integers(0, 2), at_once=st.booleans())
    def a_replay(self, data: st.DataObject, pick: int, failures: int, at_once: bool) -> None:
        """From before the tools, it is the same message; from before the model, it is asked for another one."""
        name, state = picked(self.states(), pick)
        turn = self.until_done(data, None, state.config, failures, at_once)
        self.all_meant(name, asking(turn))

    @precondition(lambda self: self.kind.agent_is_root and self.intents)
    @rule(data=st.data(), pick=PICK, place=PICK, change=AMOUNTS, failures=st.integers(0, 2))
    def an_edit(self, data: st.DataObject, pick: int, place: int, change: int, failures: int) -> None:
        """A human changes a call in the message, which stays that message, and lets the graph go on from there."""
        name, state = picked(self.unanswered(), pick)
        message = edited(state.values["messages"][-1], place, change)
        fork = self.graph.update_state(state.config, {"messages": [message]}, as_node="model")
        turn = self.until_done(data, None, fork, failures)
        self.all_meant(name, asking(turn))

    @precondition(lambda self: self.kind.agent_is_root and self.intents)
    @rule(data=st.data(), pick=PICK)
    def a_copy(self, data: st.DataObject, pick: int) -> None:
        """The messages, with their ids and the calls of the last one still to be made, go on in another thread."""
        _, state = picked(self.unanswered(), pick)
        name = f"copy {next(self.copies)}"
        messages = state.values["messages"]
        fork = self.graph.update_state(thread(name), {"messages": messages}, as_node="model")
        self.threads.append(name)
        self.elsewhere |= {(name, message.id) for message in asking(messages)[:-1]}
        self.all_meant(name, asking(self.until_done(data, None, fork)))

    # --- until nothing is left to do ----------------------------------------------------------------------------

    def until_done(
        self, data: st.DataObject, value: Any, config: Any, failures: int = 0, at_once: bool = True
    ) -> Sequence[Any]:
        """Run the graph, go on after each error, answer each question, and give the messages of the last turn."""
        name, self.shop.failures = config["configurable"]["thread_id"], failures
        for again in range(50):
            try:
                state = play(self.graph, value, config, mode=self.mode)
            except ConnectionError:
                value, config = None, thread(name)
                continue
            questions = state.get("__interrupt__")
            if not questions:
                return last_turn(state["messages"])
            answered = questions if at_once else [questions[again % len(questions)]]
            answers = {each.id: self.answer(data, name, each, state["messages"]) for each in answered}
            # The question of an agent without a checkpointer has another id whenever it is asked.
            resume = answers if len(questions) > 1 else answers[questions[0].id]
            value, config = Command(resume=resume), thread(name)
        raise AssertionError("it goes on for ever")

    def answer(self, data: st.DataObject, name: str, question: Interrupt, messages: Sequence[Any]) -> Any:
        if not isinstance(question.value, dict):
            return "yes"
        emitted = asking(messages)[-1]
        gated = [place for place, each in enumerate(emitted.tool_calls) if each["name"] in ("pay", "shaky")]
        if "action_requests" in question.value:
            return {"decisions": [self.decide(data, name, emitted, place) for place in gated]}
        [place] = [place for place in gated if emitted.tool_calls[place]["id"] == question.value["tool_call_id"]]
        return self.decide(data, name, emitted, place)

    def decide(self, data: st.DataObject, name: str, message: AIMessage, place: int) -> dict[str, Any]:
        self.reviewed[name, message.id, place] = review = data.draw(REVIEW)
        if isinstance(review, str):
            return {"type": review}
        action = {"name": message.tool_calls[place]["name"], "args": {"amount": review}}
        return {"type": "edit", "edited_action": action}

    # --- what is meant ------------------------------------------------------------------------------------------

    def all_meant(self, name: str, messages: Sequence[AIMessage]) -> None:
        """Add a line to the table for each call that is new, and compare what was done with what is meant."""
        for message in messages:
            if (name, message.id) in self.elsewhere:  # its calls were made before it was copied
                continue
            for place, each in enumerate(message.tool_calls):
                argument = next(iter(each["args"].values()), None)
                review = self.reviewed.get((name, message.id, place), "approve")
                if review != "reject":
                    left = argument if review == "approve" else review
                    self.intents.add(Intent(name, message.id, place, each["name"], left))
        meant = Counter(effect for intent in self.intents for effect in intent.effects())
        made = Counter(self.shop.made)
        assert made == meant, f"swallowed: {meant - made or 'none'}; repeated: {made - meant or 'none'}"

    def states(self) -> list[tuple[str, Any]]:
        """List the moments to which one can go back."""
        found = [(name, state) for name in self.threads for state in self.graph.get_state_history(thread(name))]
        found = [(name, state) for name, state in found if state.next and state.next != ("__start__",)]
        return [(name, state) for name, state in found if self.kind.sees_messages or "tools" not in state.next]

    def unanswered(self) -> list[tuple[str, Any]]:
        """List those at which all calls of a message are still to be made; a human may have rejected some of others."""
        before_tools = [(name, state) for name, state in self.states() if "tools" in state.next]
        return [(name, state) for name, state in before_tools if isinstance(state.values["messages"][-1], AIMessage)]


def picked(states: list[tuple[str, Any]], pick: int) -> tuple[str, Any]:
    return states[pick % len(states)]


def removed(messages: Sequence[Any], history: str) -> list[Any]:
    """Make the messages that trim a history to its newer half, or replace it by a summary."""
    if history == "summarised":
        return [RemoveMessage(REMOVE_ALL_MESSAGES), HumanMessage("go")]
    return [RemoveMessage(each.id) for each in messages[: len(messages) // 2]] if history == "trimmed" else []


def edited(message: AIMessage, place: int, change: int) -> AIMessage:
    """Change one call of a message, which keeps its id."""
    calls = [{**each, "args": dict(each["args"])} for each in message.tool_calls]
    args = calls[place % len(calls)]["args"]
    if "amount" in args:
        args["amount"] = args["amount"] % 3 + change
    elif "plan" in args:
        args["plan"] = sorted(PLANS)[change]
    return message.model_copy(update={"tool_calls": calls})


# --- the tests --------------------------------------------------------------------------------------------------


def machine(kind: Kind, make_coordinator: Callable[[], Coordinator]) -> type[Conversations]:
    members = {"kind": kind, "make_coordinator": staticmethod(make_coordinator)}
    return type("ConversationsOfAKind", (Conversations,), members)


@pytest.mark.parametrize("name", KINDS)
def test_every_intended_call_is_made_once(name: str) -> None:
    made = machine(KINDS[name], lambda: Coordinator.from_url("memory://"))
    run_state_machine_as_test(made, settings=settings(PATIENT, max_examples=12 * FACTOR))


@pytest.mark.parametrize("name", ["hooked", "ready-made"])
def test_every_intended_call_is_made_once_over_a_file(name: str, tmp_path: Path) -> None:
    def in_new_file() -> Coordinator:
        return Coordinator.from_url(f"sqlite:///{tempfile.mkdtemp(dir=tmp_path)}/locks.db?synchronous=normal")

    made = machine(KINDS[name], in_new_file)
    run_state_machine_as_test(made, settings=settings(PATIENT, max_examples=4 * FACTOR))
