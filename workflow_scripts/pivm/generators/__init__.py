"""Generators of CT from label maps: what they share, and a package for each kind.

:mod:`pivm.generators.kinds` finds the kinds, :mod:`pivm.generators.protocol` says what each offers, and
:mod:`pivm.generators.model_folder` writes and reads the folder that travels.
"""
