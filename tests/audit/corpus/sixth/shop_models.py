from typing import Optional

from sqlmodel import Field, SQLModel, create_engine

engine = create_engine("postgresql://localhost/shop")


class Customer(SQLModel, table=True):
    id: Optional[int] = Field(default=None, primary_key=True)
    email: str = Field(unique=True)
    name: str = ""


class Order(SQLModel, table=True):
    id: Optional[int] = Field(default=None, primary_key=True)
    customer_id: int
    sku: str
    qty: int


class Item(SQLModel, table=True):
    sku: str = Field(primary_key=True)
    qty: int
