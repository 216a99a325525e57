"""Lets `python -m clawproof_langgraph.cli` do what `clawproof` does."""

from clawproof_langgraph.cli import main

if __name__ == "__main__":
    main(prog_name="clawproof")
