"""The six agents of the shop."""

from langchain.agents import create_agent
from langchain.chat_models import init_chat_model

from shop.coordination import coordination
from shop.tools.customers import enrich_customer, get_customer, note_complaint
from shop.tools.orders import place_order, ship_order
from shop.tools.prices import get_price, set_price
from shop.tools.stock import STOCK_TOOLS, get_stock, reserve_stock

MODEL = "anthropic:claude-sonnet-4-5"


def agent(name: str, tools: list, task: str):
    """Make an agent of the shop: named, and behind the guard."""
    prompt = f"You work for a shop. {task} Where a tool says that something has changed, read it again."
    return create_agent(init_chat_model(MODEL), tools, system_prompt=prompt, middleware=[coordination], name=name)


order_taker = agent("order_taker", [get_stock, get_price, reserve_stock, place_order], "You take orders.")
stock_keeper = agent("stock_keeper", STOCK_TOOLS, "You book deliveries.")
pricer = agent("pricer", [get_stock, get_price, set_price], "You set prices by demand.")
shipper = agent("shipper", [ship_order], "You hand parcels to the carrier.")
support = agent("support", [get_customer, note_complaint], "You help customers, and hand over what you cannot do.")
data_enricher = agent("data_enricher", [get_customer, enrich_customer], "You find out what customers like.")
