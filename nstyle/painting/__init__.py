"""One painting, from settings to a finished picture."""
