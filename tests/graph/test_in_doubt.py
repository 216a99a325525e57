"""What becomes of a call in doubt that is asked for again: a probe looks into it, or a human says what happened."""

from typing import Any

import httpx
import pytest
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from langgraph.types import Command, interrupt

from clawproof_langgraph import Coordinator, Guard, ToolPolicy, current_call
from tests.langgraph.scripted import call, play, results, thread
from tests.waiting import wait_until

from .bank import Bank, resolutions
from .stage import Build, as_tool, doubts, guarded, hooked, human, policies, ready_made, turn, types_of, use, wrapped

BUILDS = [hooked, wrapped, ready_made]

# --- a human ----------------------------------------------------------------------------------------------------


class Desk:
    """A graph whose payment loses its reply, and asks a human what became of it."""

    def __init__(self, coordinator: Coordinator, mode: str, build: Build, tool: BaseTool, **policy: Any) -> None:
        self.mode, self.coordinator = mode, coordinator
        terms = policies(pay=ToolPolicy(on_in_doubt="interrupt", **policy))
        self.graph = build(Guard(coordinator, tools=terms), turn(call("pay", "call-1", number=7)), [tool])

    def go(self, value: Any) -> Any:
        """Run until the next answer or question; give the question, or the contents of the tool's messages."""
        state = play(self.graph, value, thread(), mode=self.mode)
        if "__interrupt__" in state:
            [question] = state["__interrupt__"]
            return question.value
        return [message.content for message in results(state)]

    def lose_the_reply(self) -> Any:
        """Make the payment, lose the reply, and ask for it again."""
        with pytest.raises(ConnectionError):
            self.go(human())
        return self.go(None)


@pytest.fixture(params=BUILDS, ids=lambda build: build.__name__)
def build(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_a_human_is_asked_in_the_graph_and_says_that_it_took_effect(
    coordinator: Coordinator, mode: str, build: Build
) -> None:
    bank = Bank(coordinator)
    desk = Desk(coordinator, mode, build, as_tool(bank.pay, "sync"))

    question = desk.lose_the_reply()
    told = desk.go(Command(resume={"outcome": "applied", "result": "paid 7", "by": "eve"}))

    assert (question["tool"], question["arguments"]) == ("pay", {"number": 7})
    assert "may have taken effect" in question["question"]
    assert told == ["paid 7"]
    assert bank.paid == [7]
    assert resolutions(coordinator) == [(True, "eve")]
    assert types_of(coordinator).count("call.asked") == 1


def test_a_human_says_that_nothing_happened_and_the_tool_runs(
    coordinator: Coordinator, mode: str, build: Build
) -> None:
    bank = Bank(coordinator)
    desk = Desk(coordinator, mode, build, as_tool(bank.pay, "sync"))
    desk.lose_the_reply()

    assert desk.go(Command(resume="not_applied")) == ["paid 7"]

    assert bank.paid == [7, 7]
    assert (resolutions(coordinator), doubts(coordinator)) == ([(False, "human")], [])


def test_an_answer_for_one_doubt_is_never_taken_for_the_next(coordinator: Coordinator, mode: str, build: Build) -> None:
    """LangGraph gives the first answer again to whatever asks first when the task runs again."""
    bank = Bank(coordinator, losing=2)
    desk = Desk(coordinator, mode, build, as_tool(bank.pay, "sync"))
    desk.lose_the_reply()
    with pytest.raises(ConnectionError):
        desk.go(Command(resume="not_applied"))

    question = desk.go(None)

    assert "unknown" in question["question"]
    assert bank.paid == [7, 7]
    assert desk.go(Command(resume="applied")) != []
    assert bank.paid == [7, 7]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("maybe", "'maybe' is neither"),
        ({"outcome": "done"}, "{'outcome': 'done'} is neither"),
        ({"outcome": "applied", "amount": 3}, "has amount, which means nothing here"),
        ({"outcome": "not_applied", "result": "x"}, "contradict each other"),
        (1, "1 is neither"),
    ],
)
def test_an_answer_that_means_nothing_is_asked_for_again(
    coordinator: Coordinator, mode: str, build: Build, answer: Any, told: str
) -> None:
    bank = Bank(coordinator)
    desk = Desk(coordinator, mode, build, as_tool(bank.pay, "sync"))
    desk.lose_the_reply()

    question = desk.go(Command(resume=answer))

    assert told in question["not_understood"]
    assert bank.paid == [7]
    assert desk.go(Command(resume="not_applied")) == ["paid 7"]


def test_questions_of_the_tool_and_questions_of_doubt_get_each_their_own_answer(
    coordinator: Coordinator, mode: str, build: Build
) -> None:
    bank, heard = Bank(coordinator), []

    def pay(number: int) -> str:
        """Ask, then pay."""
        heard.append(interrupt("really?"))
        return bank.pay(number)

    desk = Desk(coordinator, mode, build, as_tool(pay, "sync"))

    assert desk.go(human()) == "really?"
    with pytest.raises(ConnectionError):
        desk.go(Command(resume="applied"))  # what the tool is told, and means nothing of the doubt that comes later
    assert "unknown" in desk.go(None)["question"]
    assert desk.go(Command(resume="not_applied")) == "really?"
    assert desk.go(Command(resume="sure")) == ["paid 7"]

    assert heard == ["applied", "sure"]
    assert bank.paid == [7, 7]


def test_what_an_operator_has_resolved_nobody_is_asked_again(coordinator: Coordinator, mode: str, build: Build) -> None:
    bank = Bank(coordinator)
    desk = Desk(coordinator, mode, build, as_tool(bank.pay, "sync"))
    key = desk.lose_the_reply()["key"]
    coordinator.resolve(key, "applied", result="by hand", by="ops")

    assert desk.go(None) == ["by hand"]

    assert resolutions(coordinator) == [(True, "ops")]


def test_an_answer_after_an_operators_is_not_heard(coordinator: Coordinator, mode: str, build: Build) -> None:
    bank = Bank(coordinator)
    desk = Desk(coordinator, mode, build, as_tool(bank.pay, "sync"))
    key = desk.lose_the_reply()["key"]
    coordinator.resolve(key, "applied", result="by hand", by="ops")

    assert desk.go(Command(resume="not_applied")) == ["by hand"]
    assert bank.paid == [7]


def test_a_human_is_asked_only_where_the_probe_cannot_tell(coordinator: Coordinator, mode: str, build: Build) -> None:
    bank = Bank(coordinator)
    desk = Desk(coordinator, mode, build, as_tool(bank.pay, "sync"), probe=bank.look_up(None))

    question = desk.lose_the_reply()

    assert question["found"] == "the probe cannot tell"
    assert desk.go(Command(resume="not_applied")) == ["paid 7"]


def lose_all_replies(graph: Any, bank: Bank, mode: str) -> None:
    """Run a message of two payments until each has been made; the error of one may keep the other from its start."""
    value: Any = human()
    while len(doubts(bank.coordinator)) < bank.losing:
        with pytest.raises(ConnectionError):
            play(graph, value, thread(), mode=mode, durability="sync")
        value = None
        wait_until(lambda: not bank.coordinator.snapshot().leases)


@pytest.mark.parametrize("build", [hooked, wrapped])
def test_where_one_task_makes_several_calls_that_may_be_asked_about_they_are_held(
    coordinator: Coordinator, mode: str, build: Build
) -> None:
    """LangGraph gives a task its answers in order, and the calls of one ToolNode come in any: one took another's."""
    bank = Bank(coordinator, losing=2)
    guard = Guard(coordinator, tools=policies(pay=ToolPolicy(on_in_doubt="interrupt")))
    model = turn(call("pay", "call-1", number=7), call("pay", "call-2", number=8))
    graph = build(guard, model, [as_tool(bank.pay, "sync")])
    lose_all_replies(graph, bank, mode)

    state = play(graph, None, thread(), mode=mode, durability="sync")

    assert "__interrupt__" not in state
    assert ["cannot tell whose answer" in message.content for message in results(state)] == [True, True]
    assert sorted(bank.paid) == [7, 8]


def test_where_each_call_is_a_task_of_its_own_all_are_asked_about(coordinator: Coordinator, mode: str) -> None:
    bank = Bank(coordinator, losing=2)
    guard = Guard(coordinator, tools=policies(pay=ToolPolicy(on_in_doubt="interrupt")))
    model = turn(call("pay", "call-1", number=7), call("pay", "call-2", number=8))
    graph = ready_made(guard, model, [as_tool(bank.pay, "sync")])
    lose_all_replies(graph, bank, mode)
    questions = play(graph, None, thread(), mode=mode, durability="sync")["__interrupt__"]

    answers = {each.id: "applied" if each.value["arguments"]["number"] == 7 else "not_applied" for each in questions}
    play(graph, Command(resume=answers), thread(), mode=mode, durability="sync")

    assert sorted(bank.paid) == [7, 8, 8]


def test_without_a_checkpointer_nobody_could_answer_and_the_call_is_held(coordinator: Coordinator, face: str) -> None:
    bank = Bank(coordinator)
    refusal = use(bank.tool(face, on_in_doubt="interrupt"), face, number=7)
    assert isinstance(refusal, ToolMessage) and refusal.status == "error"
    assert "must not be repeated" in refusal.content
    assert "(nobody was asked: the graph has no checkpointer)" in refusal.content


# --- failures that prove nothing --------------------------------------------------------------------------------


@pytest.mark.parametrize("effect", ["keyed", "transactional", "delegate"])
def test_a_model_that_asks_again_after_a_failure_gets_the_same_key(
    coordinator: Coordinator, mode: str, build: Build, effect: str
) -> None:
    """The reply may have been lost behind the effect: a second key would make the service do it twice."""
    keys: list[str] = []

    def pay(number: int) -> str:
        """Pay, and lose the reply the first time."""
        running = current_call()
        assert running is not None
        keys.append(running.idempotency_key)
        if len(keys) == 1:
            raise ConnectionError("reply lost")
        return "paid"

    guard = Guard(coordinator, tools={"pay": ToolPolicy(effect=effect, retry=False)})
    model = turn(call("pay", "1", number=7))
    model.replies[1:1] = turn(call("pay", "2", number=7)).replies[:1]
    graph = build(guard, model, [as_tool(pay, "sync", handle_tool_error=True)])

    with pytest.raises(ConnectionError):
        play(graph, human(), thread(), mode=mode)
    play(graph, human("again"), thread(), mode=mode)

    assert len(keys) == 2 and len(set(keys)) == 1
    assert doubts(coordinator) == []


def test_a_failed_call_past_the_window_of_its_service_is_held(coordinator: Coordinator, face: str) -> None:
    bank = Bank(coordinator)
    tool = bank.tool(face, effect="keyed", key_window=1e-6, retry=False)

    refusal = use(tool, face, number=7)

    assert "must not be repeated" in refusal.content
    assert (bank.paid, doubts(coordinator)) == ([7], ["pay"])


def test_the_note_of_an_error_says_what_becomes_of_the_doubt(coordinator: Coordinator, face: str) -> None:
    bank, notes = Bank(coordinator), []
    for number, policy in enumerate([{}, {"probe": bank.look_up(None)}, {"on_in_doubt": "interrupt"}]):
        tool = guarded(coordinator, as_tool(bank.pay, face), ToolPolicy(**policy))
        bank.paid.clear()
        with pytest.raises(ConnectionError) as caught:
            use(tool, face, number=number)
        notes.append(caught.value.__notes__[0])
    assert ["not repeated" in notes[0], "looked into" in notes[1], "put to a human" in notes[2]] == [True] * 3


REFUSED = httpx.HTTPStatusError(
    "unprocessable", request=httpx.Request("POST", "http://shop"), response=httpx.Response(422)
)


@pytest.mark.parametrize("effect", ["keyed", "transactional", "idempotent", "delegate"])
def test_a_model_may_correct_what_a_service_has_refused(coordinator: Coordinator, face: str, effect: str) -> None:
    def place(order: int, amount: int) -> str:
        """Place an order."""
        if amount < 0:
            raise REFUSED
        return f"placed {amount}"

    tool = guarded(coordinator, as_tool(place, face), ToolPolicy(effect=effect, key="order/{order}"))
    with pytest.raises(httpx.HTTPStatusError):
        use(tool, face, "call-1", order=7, amount=-1)

    assert use(tool, face, "call-2", order=7, amount=1).content == "placed 1"


def test_what_a_once_tool_was_refused_proves_nothing(coordinator: Coordinator, face: str) -> None:
    def place(order: int) -> str:
        """Place an order, with the second request of the body."""
        raise REFUSED

    tool = guarded(coordinator, as_tool(place, face), ToolPolicy(key="order/{order}"))
    with pytest.raises(httpx.HTTPStatusError):
        use(tool, face, "call-1", order=7)

    assert doubts(coordinator) == ["place"]
