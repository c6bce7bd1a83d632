"""The networks that compute feature maps, with their weights and layers."""
