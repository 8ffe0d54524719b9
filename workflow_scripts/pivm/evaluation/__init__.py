"""Scores of synthetic images and of segmentations, and the statistics over patients."""
