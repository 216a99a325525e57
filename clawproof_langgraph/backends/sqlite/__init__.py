"""A namespace in an SQLite file: the default, for all processes of one machine."""

from clawproof_langgraph.backends.sqlite.backend import SqliteBackend

__all__ = ["SqliteBackend"]
