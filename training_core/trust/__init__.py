"""How far a result can be trusted: asked of the denoiser with noise that was learned."""
