"""Pairs, rounds, and what is measured of a trained denoiser."""
