"""Pages, films and contact sheets of what `nstyle` painted, for the command `nstyle-view`."""
