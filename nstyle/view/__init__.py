"""The command `nstyle-view`: pages, films and contact sheets of what `nstyle` has painted."""
