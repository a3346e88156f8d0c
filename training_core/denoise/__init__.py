"""A noisy region or stack in, a clean one out."""
