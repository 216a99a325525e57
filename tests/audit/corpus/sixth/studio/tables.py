from sqlalchemy import Column, Float, Integer, MetaData, String, Table, create_engine

meta = MetaData()
votes = Table("votes", meta, Column("poll", String, primary_key=True), Column("voter", String, primary_key=True), Column("choice", String))
metrics = Table("metrics", meta, Column("name", String, primary_key=True), Column("value", Float))
plays = Table("plays", meta, Column("id", Integer, primary_key=True), Column("track", String))
staging = Table("plays_staging", meta, Column("track", String))
eng = create_engine("sqlite:///studio.db", future=True)


def run(stmt, params=None):
    """Run a statement in a transaction of its own."""
    with eng.begin() as connection:
        return connection.execute(stmt, params) if params is not None else connection.execute(stmt)
