"""Many files: the list at the left, and the queue that denoises them one after another."""
