"""Packed pixels: how much they become, before a decoder takes memory for them."""
