"""The guard inside real LangGraph graphs."""
