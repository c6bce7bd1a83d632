"""What a person types: the commands `nstyle` and `nstyle-view`."""
