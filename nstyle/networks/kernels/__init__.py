"""Convolution algorithms to use instead of PyTorch's."""
