"""Tables of the clinic."""

from datetime import datetime

from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

metadata = MetaData()

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("actor", String),
    Column("action", String),
)

stock = Table(
    "stock",
    metadata,
    Column("sku", String, primary_key=True),
    Column("quantity", Integer),
    Column("location", String),
)


class Base(DeclarativeBase):
    pass


class Patient(Base):
    __tablename__ = "patients"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    visits: Mapped[int] = mapped_column(default=0)
    balance: Mapped[float] = mapped_column(default=0.0)
    notes: Mapped[list["Note"]] = relationship(back_populates="patient")


class Note(Base):
    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    body: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    patient: Mapped[Patient] = relationship(back_populates="notes")


class Appointment(Base):
    __tablename__ = "appointments"

    id: Mapped[int] = mapped_column(primary_key=True)
    patient_id: Mapped[int]
    slot: Mapped[str]
    status: Mapped[str] = mapped_column(default="booked")
