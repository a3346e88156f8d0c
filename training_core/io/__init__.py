"""Files to stacks: what is read, and what travels along."""
