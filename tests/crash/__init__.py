"""Processes that are killed in the middle of a guarded call, and what their successors find."""
