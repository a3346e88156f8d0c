"""Figures of a result, with and without a reference."""
