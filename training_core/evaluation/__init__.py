"""The published benchmarks, run again."""
