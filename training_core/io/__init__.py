"""Files to stacks and stacks to files: what is read, what is written, and what travels along."""
