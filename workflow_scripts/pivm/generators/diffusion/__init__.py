"""Diffusion on absolute HU or on the variation around organ means (paper, section 2)."""
