"""The checks behind `clawproof --check 10`: what in a LangGraph project is not coordinated.

`source` reads Python files without running them, `effects` judges what a tool does to the world, `project` finds tools,
agents, guards and resources, `rules` holds one file for each of the ten duties, and `reports` one for each format.
"""
