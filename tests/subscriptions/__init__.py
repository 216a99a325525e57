"""Publishing and subscribing through a coordinator, over every store."""
