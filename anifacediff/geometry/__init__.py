"""A 3D face becomes a picture; knows nothing of diffusion."""
