"""Who does what, and when: the agents as tasks of one orchestrator."""

from clawproof_langgraph.orchestrator import build_orchestrator
from shop.agents import data_enricher, order_taker, pricer, shipper, stock_keeper, support
from shop.coordination import guard

team = build_orchestrator(
    {
        "order_taker": order_taker,
        "stock_keeper": stock_keeper,
        "pricer": pricer,
        "shipper": shipper,
        "support": support,
        "data_enricher": data_enricher,
    },
    guard.coordinator,
)
