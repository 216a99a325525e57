"""Importing the graphs of a project and looking into them: the only part of an audit that runs user code.

`walk` runs in a process of its own, one for each file with graphs; `process` starts it and ends it in time; `merge`
adds what it has found to what the source told.
"""

from clawproof_langgraph.audit.loading.way import Loading

__all__ = ["Loading"]
