"""The command `clawproof`, through click's runner and as real processes."""
