"""The files of a run on disk: their names, the record, the recipe, the checkpoint."""
