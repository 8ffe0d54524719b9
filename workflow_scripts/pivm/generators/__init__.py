"""What differs between the generators.

Every kind offers the same methods:

``fit(data, validation, seed, run)``
    learn from the training slices; ``run.losses`` receives the losses, header only where nothing is trained.
    A kind of several trainings has rules of its own instead (``maisi``: ``pivm.generators.maisi.stages``).
``generate(label_map, seeds)``
    label maps uint8 [N, H, W] -> int16 HU [N, H, W], each slice from its own seed and independent of the others.
``generate_volumes(label_maps, seeds, spacings)``
    label maps uint8 [S, H, W] and spacings (x, y, z) in mm, one per volume -> yields int16 HU [S, H, W].
``generate_sources(store, prior, sources, seeds, batch)``
    slices for the label maps of store rows, in whatever order suits the generator: by themselves
    (``pivm.generators.slicewise``), or cut out of whole volumes.
``memory_setting(key, value)``
    the config key that the memory for generating grows with and its value, where the caller's own are these two.
``weights()`` and ``put(weights, folder)``
    tensors by name, and the inverse, which raises StateError where they do not fit; ``folder`` is for its message.

:mod:`pivm.generators.registry` makes them from settings, writes the folder that travels and reads it.
``settings["sampler"]`` is needed to generate and not to train.

This module is free of torch, so that the workflow can read it when it starts.
"""

from __future__ import annotations

#: kind -> (module, class); a module is imported only where its kind is used
KINDS = {
    "diffusion": ("pivm.generators.diffusion.generator", "DiffusionGenerator"),
    "maisi": ("pivm.generators.maisi.generator", "MaisiGenerator"),
    "prior": ("pivm.generators.controls.prior_map", "PriorMap"),
    "gaussian": ("pivm.generators.controls.gaussian", "GaussianOrgans"),
}
#: kinds with a config section of their own name that all generators of the kind share
SHARED_SECTIONS = ("diffusion", "maisi")
#: kinds without a learnt network: what a learnt generator must beat
CONTROLS = ("prior", "gaussian")
