"""Where coordination state lives: one contract, and its implementations."""
