"""For the authors of tools: an effect that is made once, in a database, over HTTP or by an MCP server.

`sql`, `http` and `mcp` are modules of their own; each needs its driver only when it is used.
"""
