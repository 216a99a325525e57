import uuid
from datetime import datetime

from langchain_core.tools import tool
from sqlalchemy import create_engine, delete, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_upsert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from clawproof_langgraph import current_call
from clawproof_langgraph.effects.sql import once

engine = create_engine("sqlite:///shop.db")
SessionLocal = sessionmaker(bind=engine)
async_engine = create_async_engine("postgresql+asyncpg://localhost/shop")
AsyncSessionLocal = async_sessionmaker(async_engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[str] = mapped_column(primary_key=True)
    customer: Mapped[str]
    status: Mapped[str] = mapped_column(default="open")
    total: Mapped[int]


class Product(Base):
    __tablename__ = "products"
    sku: Mapped[str] = mapped_column(primary_key=True)
    stock: Mapped[int]
    price: Mapped[float]


class Payment(Base):
    __tablename__ = "payments"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    order_id: Mapped[str]


# expect: unsafe orm
@tool
def new_order(customer: str, total: int) -> str:
    """Create an order."""
    with Session(engine) as session:
        order = Order(id=str(uuid.uuid4()), customer=customer, total=total)
        session.add(order)
        session.commit()
        return order.id


# expect: safe
@tool
def put_order(order_id: str, customer: str, total: int) -> str:
    """Write an order."""
    with SessionLocal() as session:
        session.merge(Order(id=order_id, customer=customer, total=total))
        session.commit()
    return order_id


# expect: unsafe orm
@tool
def sell(sku: str, quantity: int) -> str:
    """Sell some units of a product."""
    with SessionLocal.begin() as session:
        product = session.get(Product, sku)
        if product.stock < quantity:
            return "sold out"
        product.stock -= quantity
    return "sold"


# expect: safe
@tool
def set_stock(sku: str, units: int) -> str:
    """Set the stock after counting."""
    session = SessionLocal()
    try:
        product = session.query(Product).filter_by(sku=sku).one()
        product.stock = units
        session.commit()
    finally:
        session.close()
    return "set"


# expect: unsafe orm
@tool
def restock(sku: str, units: int) -> str:
    """Add units to a product."""
    with engine.begin() as conn:
        conn.execute(update(Product).where(Product.sku == sku).values(stock=Product.stock + units))
    return "restocked"


# expect: safe
@tool
def reprice(sku: str, price: float) -> str:
    """Set a price."""
    with engine.begin() as conn:
        conn.execute(update(Product).where(Product.sku == sku).values(price=price))
    return "repriced"


# expect: unsafe orm
@tool
def bulk_orders(orders: list[dict]) -> str:
    """Insert many orders."""
    with engine.begin() as conn:
        conn.execute(insert(Order), orders)
    return "inserted"


# expect: safe
@tool
def upsert_product(sku: str, stock: int, price: float) -> str:
    """Write a product."""
    stmt = sqlite_upsert(Product).values(sku=sku, stock=stock, price=price)
    stmt = stmt.on_conflict_do_update(index_elements=["sku"], set_={"stock": stmt.excluded.stock, "price": price})
    with engine.begin() as conn:
        conn.execute(stmt)
    return "written"


# expect: unsafe orm
@tool
async def receive_goods(sku: str, units: int) -> str:
    """Book goods that came in."""
    stmt = (
        pg_insert(Product)
        .values(sku=sku, stock=units, price=0)
        .on_conflict_do_update(index_elements=[Product.sku], set_={"stock": Product.stock + units})
    )
    async with AsyncSessionLocal() as session:
        await session.execute(stmt)
        await session.commit()
    return "booked"


# expect: safe
@tool
async def add_once(order_id: str, customer: str) -> str:
    """Add an order unless it is there."""
    async with AsyncSessionLocal() as session:
        await session.execute(
            pg_insert(Order).values(id=order_id, customer=customer, total=0).on_conflict_do_nothing()
        )
        await session.commit()
    return "ok"


# expect: unsafe sql
@tool
def credit(account: str, cents: int) -> str:
    """Credit an account."""
    with engine.connect() as conn:
        conn.execute(
            text("UPDATE accounts SET balance = balance + :cents WHERE id = :account"),
            {"cents": cents, "account": account},
        )
        conn.commit()
    return "credited"


# expect: safe
@tool
def drop_orders(customer: str) -> str:
    """Delete the orders of a customer."""
    with Session(engine) as session:
        session.execute(delete(Order).where(Order.customer == customer))
        session.commit()
    return "dropped"


# expect: safe
@tool
def pay_order(order_id: str) -> str:
    """Pay an order, once."""

    def write(session: Session) -> str:
        session.add(Payment(order_id=order_id, key=order_id))
        session.execute(text("UPDATE accounts SET balance = balance - 1"))
        return "paid"

    with Session(engine) as session:
        return once(session, current_call(), write)


# expect: safe
@tool
def pay_with_key(order_id: str) -> str:
    """Pay an order under the key of the call."""
    with Session(engine) as session, session.begin():
        session.add(Payment(order_id=order_id, key=current_call().idempotency_key))
    return "paid"


# expect: read
@tool
def open_orders(customer: str) -> list[str]:
    """List open orders."""
    with Session(engine) as session:
        rows = session.scalars(select(Order).where(Order.customer == customer, Order.status == "open")).all()
        seen = set()
        for row in rows:
            seen.add(row.id)
        return sorted(seen)


class OrderService:
    def __init__(self, session: AsyncSession):
        self.session = session

    # expect: unsafe orm
    async def create(self, order_id: str, customer: str) -> None:
        self.session.add(Order(id=order_id, customer=customer, total=0))
        await self.session.commit()

    # expect: safe
    async def close(self, order_id: str) -> None:
        order = await self.session.get(Order, order_id)
        order.status = "closed"
        order.closed_at = datetime.now()
        await self.session.commit()

    # expect: safe
    async def ensure(self, order_id: str, customer: str) -> Order:
        order = await self.session.get(Order, order_id)
        if order is None:
            order = Order(id=order_id, customer=customer, total=0)
            self.session.add(order)
            await self.session.commit()
        return order
