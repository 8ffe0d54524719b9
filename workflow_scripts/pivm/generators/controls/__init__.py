"""Generators without a learnt network: what a learnt one must beat."""
