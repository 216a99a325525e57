"""Requests of Google's API client, however deep the collection is in which they are made."""

import pytest

from tests.audit.effects.sources import writes_in

SERVICE = "from googleapiclient.discovery import build\ndef tool(to):\n    service = build('gmail', 'v1')\n    "


@pytest.mark.parametrize(
    ("request_", "repeatable"),
    [
        ("service.events().insert(calendarId='primary', body={})", False),
        ("service.users().messages().send(userId='me', body={})", False),
        ("service.users().messages().modify(userId='me', id=to, body={})", True),
    ],
)
def test_a_request_that_makes_a_new_thing_is_told_from_one_that_sets(request_: str, repeatable: bool) -> None:
    (write,) = writes_in(f"{SERVICE}{request_}.execute()\n")

    assert write.repeatable is repeatable
    assert "calendarId" not in write.what and "body" not in write.short


def test_a_request_that_reads_is_no_write() -> None:
    assert writes_in(f"{SERVICE}service.users().messages().get(userId='me', id=to).execute()\n") == []
