"""The manners in which `scripts/paint_style.py` paints a style picture, a module each."""
