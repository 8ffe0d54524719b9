"""Continuity of a volume along z: how far HU step from one slice to the next inside an organ (paper, section 2.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pivm.learning.device import memory_hint
from pivm.seeds import derived_seed

if TYPE_CHECKING:
    from pivm.cohort.prior import Prior
    from pivm.generators.protocol import Generator
    from pivm.synthesis.source import LabelSource

#: name of the row that takes all organs together
ALL = "all organs"


def z_steps(hu: np.ndarray, labels: np.ndarray, names: tuple[str, ...]) -> pd.DataFrame:
    """Absolute HU steps between neighbouring slices, where both belong to the same organ.

    Args:
        hu: int16 [S, H, W].
        labels: uint8 [S, H, W], k = k-th of ``names``; other ids are left out.
        names: of the organs.

    Returns:
        Columns ``organ, pixels, step_hu`` (mean absolute step), one row per organ that has a pair of pixels and
        one of all organs together.
    """
    same = (labels[1:] == labels[:-1]) & (labels[1:] > 0) & (labels[1:] <= len(names))
    ids = labels[1:][same]
    steps = np.abs(hu[1:].astype(np.int64) - hu[:-1])[same]
    pixels = np.bincount(ids, minlength=len(names) + 1)
    total = np.bincount(ids, steps, minlength=len(names) + 1)
    rows = [(name, pixels[k], total[k] / pixels[k]) for k, name in enumerate(names, start=1) if pixels[k]]
    if rows:
        rows.append((ALL, pixels.sum(), total.sum() / pixels.sum()))
    return pd.DataFrame(rows, columns=["organ", "pixels", "step_hu"])


def compare_z_steps(volumes: dict[str, np.ndarray], labels: np.ndarray, names: tuple[str, ...]) -> pd.DataFrame:
    """Steps of several volumes of one label map side by side.

    Args:
        volumes: int16 HU [S, H, W] by name; where ``real`` is among them, the others are also divided by it.
        labels: uint8 [S, H, W], k = k-th of ``names``.
        names: of the organs.

    Returns:
        Columns ``organ, pixels``, one per volume (mean absolute step, HU), and ``<volume>_over_real``.
    """
    frames = {name: z_steps(hu, labels, names) for name, hu in volumes.items()}
    table = next(iter(frames.values()))[["organ", "pixels"]].copy()
    for name, frame in frames.items():
        table[name] = frame["step_hu"]
    for name in [n for n in frames if "real" in frames and n != "real"]:
        table[f"{name}_over_real"] = table[name] / table["real"].where(table["real"] > 0)
    return table


def volume_continuity(
    source: LabelSource, hu: np.ndarray, generator: Generator, prior: Prior, batch: int, seed: int
) -> pd.DataFrame:
    """HU steps along z inside organs: the real CT, the sequential volume, and slices generated independently.

    Args:
        source: the subject whose labels were synthesised.
        hu: int16 [S, H, W], the sequential volume.
        generator: it makes the independent slices.
        prior: organ means of the generator.
        batch: independent slices at a time.
        seed: of the volume.

    Returns:
        As :func:`compare_z_steps`, with a column ``source``; no ``real`` where the source has no CT.
    """
    seeds = [derived_seed(seed, "independent", z) for z in range(len(hu))]
    starts = range(0, len(hu), batch)
    with memory_hint(*generator.memory_setting("synthesis.batch", batch)):
        # slices of the same synthetic patient as the volume
        parts = [(source.label_map[i : i + batch], seeds[i : i + batch]) for i in starts]
        independent = [generator.generate(ids, own, [seed] * len(own)) for ids, own in parts]
    volumes = {"sequential": hu, "independent": np.concatenate(independent)}
    if source.hu is not None:
        volumes = {"real": source.hu, **volumes}
    return compare_z_steps(volumes, source.label_map, prior.names).assign(source=source.subject)
