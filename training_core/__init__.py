"""GAN2GAN without a window: learn the noise of a stack, learn to remove it, remove it."""
