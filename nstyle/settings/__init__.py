"""The settings of a painting: their declarations, defaults and checks."""
