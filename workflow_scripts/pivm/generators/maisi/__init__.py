"""MAISI (Guo et al. 2024) on MONAI's own networks: latent diffusion on 3D slabs, labels through a ControlNet."""
