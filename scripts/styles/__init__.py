"""The manners of `scripts/paint_style.py`, with one module for each."""
