"""The commands `nstyle` and `nstyle-view`."""
