"""Many paintings: plan them, paint them in this process or on a cluster, and sweep settings."""
