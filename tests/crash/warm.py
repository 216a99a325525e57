"""Imported by the warm parent, and by nobody else: all that its children need, out of the sight of their collectors."""

import gc

from tests.crash import lives

__all__ = ["lives"]

# Else each child would go through all objects of LangChain, and copy the pages that they are on.
gc.collect()
gc.freeze()
