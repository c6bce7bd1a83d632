"""Descent along a gradient: update rules, learning-rate schedule, stopping. Independent of networks and losses."""
