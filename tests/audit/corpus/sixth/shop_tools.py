from contextlib import contextmanager

from langchain_core.tools import tool
from sqlmodel import Session, select

from shop_models import Customer, Item, Order, engine


@contextmanager
def unit_of_work():
    session = Session(engine)
    try:
        yield session
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        session.close()


# expect: unsafe orm
@tool
def reorder(order_id: int) -> str:
    """Place the same order again."""
    with unit_of_work() as session:
        old = session.get(Order, order_id)
        fields = old.model_dump(exclude={"id"})
        new = Order(**fields)
        session.add(new)
        session.flush()
        return f"order {new.id}"


# expect: safe
@tool
def edit_customer(customer_id: int, changes: dict[str, str]) -> str:
    """Change fields of a customer."""
    with unit_of_work() as session:
        customer = session.get(Customer, customer_id)
        if not customer:
            return "no such customer"
        for name, value in changes.items():
            setattr(customer, name, value)
        session.add(customer)
    return "changed"


# expect: unsafe orm
@tool
def take_from_shelf(sku: str, qty: int) -> str:
    """Take pieces from the shelf."""
    with unit_of_work() as s:
        n = s.query(Item).filter(Item.sku == sku, Item.qty >= qty).update({Item.qty: Item.qty - qty}, synchronize_session=False)
    return "taken" if n else "not enough"


# expect: safe
@tool
def customer_for(email: str) -> int:
    """Give the number of the customer with this address; makes one for a new address."""
    with Session(engine) as session:
        customer = session.exec(select(Customer).where(Customer.email == email)).first()
        if customer:
            return customer.id
        customer = Customer(email=email)
        session.add(customer)
        session.commit()
        session.refresh(customer)
        return customer.id
