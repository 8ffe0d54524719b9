"""Generators without training, one module each: what a learnt generator must beat to be worth its electricity."""
