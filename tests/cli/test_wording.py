"""Times, durations and names for people."""

from __future__ import annotations

import subprocess

import pytest

from clawproof_langgraph.cli.wording import counted, duration, pairs, plain, quoted


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0"),
        (-0.1, "0"),
        (0.0123, "12 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 m 00 s"),
        (3599.7, "1 h 00 m"),
        (90061.0, "1 d 01 h"),
    ],
)
def test_a_duration_has_the_unit_that_fits(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_control_characters_are_written_as_escapes() -> None:
    assert plain("käse 猫") == "käse 猫"
    assert plain("\x1b[31m\n\x9b\u202e") == "\\x1b[31m\\n\\x9b\\u202e"


@pytest.mark.parametrize(
    "text", ["order/7", "it's 7 %", "-7", "", "käse", "a\N{NO-BREAK SPACE}b\\c'd\x1b\n\u202e\U000e0001"]
)
def test_a_quoted_text_is_one_word_of_a_shell(text: str) -> None:
    command = ["bash", "-c", f"printf %s {quoted(text)}"]
    done = subprocess.run(command, capture_output=True, env={"LC_ALL": "C.UTF-8"}, timeout=30)
    assert done.stdout.decode() == text
    assert quoted(text).isprintable()


def test_numbers_have_their_noun() -> None:
    assert [counted(number, "lease") for number in (0, 1, 2)] == ["0 leases", "1 lease", "2 leases"]


def test_data_is_written_so_that_it_can_be_read_back() -> None:
    data = {"tool": "charge", "waited": 0.5, "by": "the boss", "old": "", "list": [1, "a b"], "none": None}
    assert pairs(data) == 'tool=charge waited=0.5 by="the boss" old="" list=[1, "a b"] none=null'
