"""The settings of a painting: what they are, how they are declared and checked."""
