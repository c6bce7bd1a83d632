"""Painters: networks that are trained for a style once, and then paint at once."""
