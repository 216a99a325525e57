"""A place counts letters, as editors do, though the parser counts bytes."""

from __future__ import annotations

import ast

from clawproof_langgraph.audit.source import Module


def test_a_column_counts_letters() -> None:
    module = Module.parse("shop", "shop.py", 'price = "12 €"; sell(price)\n')
    call = next(node for node in ast.walk(module.tree) if isinstance(node, ast.Call))
    assert module.place(call).column == len('price = "12 €"; ') + 1


def test_a_line_of_a_string_that_ends_elsewhere_is_found() -> None:
    module = Module.parse("shop", "shop.py", 'a = """\u2028é\n"""; sell()\n')
    call = next(node for node in ast.walk(module.tree) if isinstance(node, ast.Call))
    assert (module.place(call).line, module.place(call).column) == (2, 6)
