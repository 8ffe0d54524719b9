"""Synthetic slices and volumes from label maps, for training sets, for export, and for people."""
