"""The cards of the side panel: data, patches, training, result."""
