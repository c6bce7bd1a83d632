"""Pictures as arrays and as files. Knows no tensors."""
