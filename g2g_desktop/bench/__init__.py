"""The comparison bench: measuring a result, and judging how far to trust it."""
