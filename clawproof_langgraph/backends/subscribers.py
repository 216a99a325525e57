"""The rules of subscriptions: who reads the log under a name, how far, and what retention keeps for them.

free      nobody reads           -> subscribe -> read
read      a living reader        -> advance -> read;  advance, over -> free;  no sign of life -> free
An event that a live subscriber has not read is kept, however old. When there are too many, it goes, and the same step
says so.
"""

from __future__ import annotations

from clawproof_langgraph.backends.store import LAST_PLACE, READER_LIFE, SubscriberRow, Transaction
from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.events import LOG_TRUNCATED
from clawproof_langgraph.model import Advance, Begin, Start, Subscribe, Sweep, Swept


def subscribe(tx: Transaction, fact: Subscribe) -> int:
    """Take up a subscription, or make it; give where it stands.

    Raises:
        ConfigurationError: somebody else reads it.
    """
    row = tx.subscriber(fact.name)
    if row and row.owner != fact.owner and tx.is_read(row):
        raise taken(fact.name)
    return _put(tx, fact.name, row.cursor if row else _first(tx, fact.start), fact.owner)


def _first(tx: Transaction, start: Start | int) -> int:
    match start:
        case Start.NOW:
            return tx.last_cursor()
        case Start.EARLIEST:
            return tx.trimmed()
        case cursor:
            return cursor


def advance(tx: Transaction, fact: Advance) -> int:
    """Note how far a subscription was read, and that its reader lives; give where it stands.

    Raises:
        ConfigurationError: somebody else has taken it up, or it was forgotten.
    """
    row = tx.subscriber(fact.name)
    if row is None:
        raise forgotten(fact.name)
    if row.owner != fact.owner and tx.is_read(row):
        raise taken(fact.name)
    return _put(tx, fact.name, max(row.cursor, fact.cursor), "" if fact.over else fact.owner)


def _put(tx: Transaction, name: str, cursor: int, owner: str) -> int:
    tx.put_subscriber(SubscriberRow(name, cursor, owner, tx.ticks + READER_LIFE, tx.now))
    return cursor


def retire(tx: Transaction, terms: Sweep) -> Swept:
    """Delete what is past its retention, but not what a live subscriber has still to read, unless there is too much."""
    live = [row for row in tx.subscribers() if row.seen > tx.now - terms.subscriber_life]
    before = tx.trimmed()
    swept = tx.retire(terms, min([row.cursor for row in live], default=LAST_PLACE))
    # Who has missed something before knows, or will be told when it reads on: to tell of more would fill the log.
    missed = [row for row in live if before <= row.cursor < tx.trimmed()]
    if missed:
        names, first = sorted(row.name for row in missed), min(row.cursor for row in missed)
        tx.append(LOG_TRUNCATED, Begin("", ""), data={"subscribers": names, "from": first, "to": tx.trimmed()})
    return swept


def taken(name: str) -> ConfigurationError:
    """Make the error of a second reader."""
    return ConfigurationError(
        f'The subscription "{name}" is read by somebody else. Each name has one reader at a time: use another name '
        f"here, or close the other one. After a crash it is free {READER_LIFE:.0f} s after the last sign of life."
    )


def forgotten(name: str) -> ConfigurationError:
    """Make the error of a reader whose subscription was taken away."""
    return ConfigurationError(
        f'The subscription "{name}" was forgotten by unsubscribe() while it was read. Subscribe again to read on.'
    )
