"""The networks that look at pictures, their weights and layers."""
