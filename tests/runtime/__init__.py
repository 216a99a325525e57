"""The drivers, the heartbeat, leases and locks over real stores."""
