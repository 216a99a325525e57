"""Running programs: the two drivers, the lease of a running call, and the thread that renews leases."""
