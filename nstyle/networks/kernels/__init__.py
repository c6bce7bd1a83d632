"""Convolutions computed in other ways than PyTorch does."""
