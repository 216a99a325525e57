"""The read side: what events and snapshots tell."""
