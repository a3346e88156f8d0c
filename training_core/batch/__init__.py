"""Many stacks, one after another: what is read, what is written, what became of each."""
