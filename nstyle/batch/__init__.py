"""Many paintings: which ones, painted here or on a cluster, and sweeps of settings."""
