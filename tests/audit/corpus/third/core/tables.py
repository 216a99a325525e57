from sqlalchemy import Column, Integer, MetaData, String, Table
from sqlalchemy.orm import declarative_base

Base = declarative_base()
metadata = MetaData()
events = Table("events", metadata, Column("id", Integer, primary_key=True), Column("name", String))


class Employee(Base):
    __tablename__ = "employee"
    id = Column(Integer, primary_key=True)
    name = Column(String)
    vacation = Column(Integer)
    version = Column(Integer, default=0)
