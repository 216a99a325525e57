"""The state of the graphs in these tests."""

import operator
from typing import Annotated

from typing_extensions import TypedDict


class Order(TypedDict, total=False):
    """An order on its way."""

    order_id: str
    shipped: Annotated[list[str], operator.add]
    rounds: int
    note: str


class OnlyShipped(TypedDict):
    """What a graph may give."""

    shipped: Annotated[list[str], operator.add]


class OnlyId(TypedDict):
    """What a node may ask for."""

    order_id: str
