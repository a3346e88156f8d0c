"""Writers: a denoised stack as a file that other programs open, with what its input knew."""
