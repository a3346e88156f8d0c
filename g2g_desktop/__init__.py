"""The window of g2g desktop: it shows and asks; every calculation is in `training_core`."""
