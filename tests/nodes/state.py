"""The state of the graphs in these tests."""

import operator
from typing import Annotated, TypedDict


class Order(TypedDict, total=False):
    """An order on its way."""

    order_id: str
    shipped: Annotated[list[str], operator.add]
    rounds: int
    note: str


class OnlyId(TypedDict):
    """What a node may ask for."""

    order_id: str
