"""Label ids of released MAISI weights: its 132 classes plus the body (``label_dict.json`` of MONAI's MAISI)."""

from __future__ import annotations

import logging

import numpy as np

from pivm.cohort.prior import Prior

log = logging.getLogger("pivm")

#: TotalSegmentator v2 class name -> MAISI's id
IDS = {
    "liver": 1,
    "spleen": 3,
    "pancreas": 4,
    "kidney_right": 5,
    "aorta": 6,
    "inferior_vena_cava": 7,
    "adrenal_gland_right": 8,
    "adrenal_gland_left": 9,
    "gallbladder": 10,
    "esophagus": 11,
    "stomach": 12,
    "duodenum": 13,
    "kidney_left": 14,
    "urinary_bladder": 15,
    "portal_vein_and_splenic_vein": 17,
    "small_bowel": 19,
    "lung_upper_lobe_left": 28,
    "lung_lower_lobe_left": 29,
    "lung_upper_lobe_right": 30,
    "lung_middle_lobe_right": 31,
    "lung_lower_lobe_right": 32,
    **{f"vertebrae_{name}": 33 + i for i, name in enumerate(["L5", "L4", "L3", "L2", "L1"])},
    **{f"vertebrae_T{12 - i}": 38 + i for i in range(12)},
    "colon": 62,
    "hip_left": 95,
    "hip_right": 96,
    "sacrum": 97,
    "gluteus_maximus_left": 98,
    "gluteus_maximus_right": 99,
    "gluteus_medius_left": 100,
    "gluteus_medius_right": 101,
    "gluteus_minimus_left": 102,
    "gluteus_minimus_right": 103,
    "autochthon_left": 104,
    "autochthon_right": 105,
    "iliopsoas_left": 106,
    "iliopsoas_right": 107,
    "heart": 115,
    "prostate": 118,
    "spinal_cord": 121,
}
BODY = 200


def unmapped(prior: Prior) -> tuple[str, ...]:
    """Organs that MAISI has no id for."""
    return tuple(name for name in prior.names if name not in IDS)


def released_ids(prior: Prior) -> np.ndarray:
    """Table uint8 [256] from the ids of :meth:`Prior.label_map` to MAISI's; an organ without an id counts as body."""
    table = np.zeros(256, np.uint8)
    table[1 : prior.classes] = [*(IDS.get(name, BODY) for name in prior.names), BODY][: prior.classes - 1]
    if unmapped(prior):
        log.warning("MAISI has no label for %s: they count as body", ", ".join(unmapped(prior)))
    if prior.kind != "body":
        log.warning("prior: %s has no body in its label map, which released MAISI weights expect", prior.kind)
    return table
