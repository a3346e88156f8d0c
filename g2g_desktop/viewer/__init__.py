"""Frames on the screen: panes, contrast, overlays and comparison."""
