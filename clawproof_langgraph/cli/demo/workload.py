"""The work of a day in the shop: who delivers what, who sells what, and in which process. The same in both acts."""

from __future__ import annotations

from dataclasses import dataclass

STOCK = {"chair": 6, "desk": 6, "lamp": 6, "record": 10}
"""Units on the shelves in the morning; `record` is a limited edition that nobody delivers again."""

RESTOCKED = ("chair", "desk", "lamp")
LIMITED = "record"
PROCESSES = 4
DELIVERIES_PER_SUPPLIER = 6
ORDERS_PER_AGENT = 4


@dataclass(frozen=True, slots=True)
class Delivery:
    """Units of an article that a supplier brings."""

    sku: str
    units: int


@dataclass(frozen=True, slots=True)
class Order:
    """What a customer wants: articles with units, for a price."""

    id: str
    lines: tuple[tuple[str, int], ...]
    amount: int


@dataclass(frozen=True, slots=True)
class Supplier:
    """An agent that adjusts the stock."""

    name: str
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class Seller:
    """An agent that sells orders and takes their payment."""

    name: str
    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class Shift:
    """The agents that work in one operating system process."""

    suppliers: tuple[Supplier, ...]
    sellers: tuple[Seller, ...]


@dataclass(frozen=True, slots=True)
class Workload:
    """All work of an act; the unlucky seller's process is killed while it takes a payment."""

    shifts: tuple[Shift, ...]
    unlucky: Seller

    @property
    def agents(self) -> int:
        """Count the agents."""
        return 1 + sum(len(shift.suppliers) + len(shift.sellers) for shift in self.shifts)

    @property
    def deliveries(self) -> int:
        """Count the deliveries."""
        return sum(len(supplier.deliveries) for shift in self.shifts for supplier in shift.suppliers)

    @property
    def orders(self) -> int:
        """Count the orders."""
        return len(self.unlucky.orders) + sum(len(s.orders) for shift in self.shifts for s in shift.sellers)


def a_day() -> Workload:
    """Plan a day: in each process one supplier and two sellers, and one more seller in a process of its own."""
    unlucky = Seller("orders-9", (Order("9-1", (("lamp", 1),), 90),))
    return Workload(tuple(_shift(number) for number in range(1, PROCESSES + 1)), unlucky)


def _shift(number: int) -> Shift:
    return Shift((_supplier(number),), (_seller(2 * number - 1), _seller(2 * number)))


def _supplier(number: int) -> Supplier:
    skus = [RESTOCKED[(number + turn) % len(RESTOCKED)] for turn in range(DELIVERIES_PER_SUPPLIER)]
    return Supplier(f"supplier-{number}", tuple(Delivery(sku, 3) for sku in skus))


def _seller(number: int) -> Seller:
    return Seller(f"orders-{number}", tuple(_order(number, turn) for turn in range(1, ORDERS_PER_AGENT + 1)))


def _order(number: int, turn: int) -> Order:
    first = RESTOCKED[(number + turn) % len(RESTOCKED)]
    second = LIMITED if turn % 2 else RESTOCKED[(number + turn + 1) % len(RESTOCKED)]
    return Order(f"{number}-{turn}", ((first, 1), (second, 1)), amount=40 + 10 * turn)
