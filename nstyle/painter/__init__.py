"""Painters: networks that are trained once for a style, and then paint a picture in one pass."""
