"""The downstream U-Net and its training sets (paper, section 3.4)."""
