"""Choosing without a clean image: risk estimates, and what is chosen by them."""
