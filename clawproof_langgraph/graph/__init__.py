"""Where the programs meet LangGraph: guarded tools, the identity of a call, outcomes, results and refusals."""
