"""Films: frames that hold together."""
