"""What stands on disk of a run: names, record, recipe, checkpoint."""
