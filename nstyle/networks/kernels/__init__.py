"""Convolutions by algorithms that PyTorch lacks."""
