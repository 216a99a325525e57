"""The decisions of a guarded call as generator programs: no I/O, no clock, no chance, no LangGraph."""
