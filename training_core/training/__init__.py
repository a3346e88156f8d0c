"""The stages of a training: channels, first estimates, pairs, rounds, calibration, report."""
