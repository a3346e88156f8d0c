"""What the noise of a channel is, measured from patches, and a generator that makes it."""
