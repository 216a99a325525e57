"""Guarded nodes, scopes of runs, and threads with one run at a time."""
