import sqlalchemy as sa

metadata = sa.MetaData()

prices = sa.Table(
    "prices",
    metadata,
    sa.Column("sku", sa.String, primary_key=True),
    sa.Column("price", sa.Numeric(10, 2), nullable=False),
)
stock = sa.Table(
    "stock",
    metadata,
    sa.Column("sku", sa.String, primary_key=True),
    sa.Column("on_hand", sa.Integer, nullable=False, server_default="0"),
    sa.Column("reserved", sa.Integer, nullable=False, server_default="0"),
)
line_items = sa.Table(
    "line_items",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("order_id", sa.Integer, nullable=False),
    sa.Column("sku", sa.String, nullable=False),
    sa.Column("qty", sa.Integer, nullable=False),
)

engine = sa.create_engine("postgresql+psycopg://localhost/warehouse", pool_pre_ping=True)
