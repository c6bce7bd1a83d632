"""Descent along a gradient: update rules, schedule, stopping. Knows nothing of pictures."""
