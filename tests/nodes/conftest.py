"""Every test of this folder runs over each embedded store, and where it asks for a mode, sync and async."""

from tests.graph.conftest import coordinator, mode, url

__all__ = ["coordinator", "mode", "url"]
