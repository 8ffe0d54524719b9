"""Label ids of public data sets, mapped to the label names of this project.

Organs that are not among the 34 labels (prostate, upper lung lobes and the like) are left out: they become background.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pivm.errors import ConfigError, DataError, nearest
from pivm.labels import ORGANS_13, ORGANS_34


def _ids(first: int, *names: str) -> dict[str, str]:
    return {str(k): name for k, name in enumerate(names, start=first)}


_ADRENALS = ("adrenal_gland_right", "adrenal_gland_left")
_SPINE = tuple(f"vertebrae_{v}" for v in ("L5", "L4", "L3", "L2", "L1", "T12", "T11", "T10"))
_MUSCLES = ("autochthon_left", "autochthon_right", "iliopsoas_left", "iliopsoas_right")

#: Ji et al., AMOS, NeurIPS 2022, and the labels of its dataset.json
AMOS = {
    **_ids(1, "spleen", "kidney_right", "kidney_left", "gallbladder", "esophagus", "liver", "stomach", "aorta"),
    **_ids(9, "inferior_vena_cava", "pancreas", *_ADRENALS, "duodenum", "urinary_bladder"),
}
#: Landman et al., Multi-Atlas Labeling Beyond the Cranial Vault, MICCAI 2015: the order of the 13 labels
BTCV = _ids(1, *ORGANS_13)
#: Ma et al., FLARE 2022, label order of the challenge
FLARE22 = {
    **_ids(1, "liver", "kidney_right", "spleen", "pancreas", "aorta", "inferior_vena_cava", *_ADRENALS),
    **_ids(9, "gallbladder", "esophagus", "stomach", "duodenum", "kidney_left"),
}
#: class maps `total_v1` and `total` of the TotalSegmentator package (its --ml output)
TOTALSEGMENTATOR_V1 = {
    **_ids(1, "spleen", "kidney_right", "kidney_left", "gallbladder", "liver", "stomach", "aorta"),
    **_ids(8, "inferior_vena_cava", "portal_vein_and_splenic_vein", "pancreas", *_ADRENALS),
    **_ids(14, "lung_lower_lobe_left"),
    **_ids(17, "lung_lower_lobe_right", *_SPINE),
    **_ids(42, "esophagus"),
    **_ids(55, "small_bowel", "duodenum", "colon"),
    **_ids(90, "hip_left", "hip_right", "sacrum"),
    **_ids(100, *_MUSCLES, "urinary_bladder"),
}
TOTALSEGMENTATOR_V2 = {
    **_ids(1, "spleen", "kidney_right", "kidney_left", "gallbladder", "liver", "stomach", "pancreas", *_ADRENALS),
    **_ids(11, "lung_lower_lobe_left"),
    **_ids(14, "lung_lower_lobe_right", "esophagus"),
    **_ids(18, "small_bowel", "duodenum", "colon", "urinary_bladder"),
    **_ids(25, "sacrum"),
    **_ids(27, *_SPINE),
    **_ids(52, "aorta"),
    **_ids(63, "inferior_vena_cava", "portal_vein_and_splenic_vein"),
    **_ids(77, "hip_left", "hip_right"),
    **_ids(86, *_MUSCLES),
}
MAPPINGS = {
    "amos": AMOS,
    "btcv": BTCV,
    "flare22": FLARE22,
    "totalsegmentator_v1": TOTALSEGMENTATOR_V1,
    "totalsegmentator_v2": TOTALSEGMENTATOR_V2,
}
#: of a label file: ids are kept in 16 bits
LARGEST_ID = 2**16 - 1
_SYNONYMS = {
    "arota": "aorta",  # as AMOS spells it
    "bladder": "urinary_bladder",
    "gall_bladder": "gallbladder",
    "oesophagus": "esophagus",
    "ivc": "inferior_vena_cava",
    "postcava": "inferior_vena_cava",
    "inferior_vena_cava_ivc": "inferior_vena_cava",
    "portal_and_splenic_veins": "portal_vein_and_splenic_vein",
    "portal_vein_and_splenic_veins": "portal_vein_and_splenic_vein",
    "veins": "portal_vein_and_splenic_vein",
    "rag": "adrenal_gland_right",
    "lag": "adrenal_gland_left",
    "small_intestine": "small_bowel",
}


def organ_of(name: str) -> str:
    """The label name that a name from a data set means, as far as spelling and side go; else the name in lower case."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    for side in ("left", "right"):
        if plain.startswith(f"{side}_"):
            plain = f"{plain.removeprefix(f'{side}_')}_{side}"
    exact = {organ.lower(): organ for organ in ORGANS_34}
    return exact.get(plain) or _SYNONYMS.get(plain, plain)


def check_mapping(key: str, mapping: str | Mapping[str, str] | None, known: tuple[str, ...]) -> None:
    """Check ``mapping`` of a data set for what its schema cannot say.

    Args:
        key: its dotted path.
        mapping: a name of :data:`MAPPINGS`, or their name or id -> label name, or ``None``.
        known: the label names of the run, which it may lead to beside those of the 34.

    Raises:
        ConfigError: no such mapping, an empty one, a label name that is unknown, or an id out of range.
    """
    if mapping is None:
        return
    if isinstance(mapping, str):
        if mapping not in MAPPINGS:
            raise ConfigError(
                key, f"unknown {mapping!r}{nearest(mapping, MAPPINGS)}, expected one of {', '.join(MAPPINGS)} or a map"
            )
        return
    if not mapping:
        raise ConfigError(key, "found {}, expected their name or id: organ name; or leave the key out")
    names = dict.fromkeys((*known, *ORGANS_34))
    for theirs, ours in mapping.items():
        if ours not in names:
            swapped = f"; write it the other way round, {ours}: {theirs}" if theirs in names else ""
            raise ConfigError(
                f"{key}.{theirs}",
                f"found {ours!r}{nearest(ours, names)}, expected a name of `labels` or of the 34 organs{swapped}",
            )
        if theirs.removeprefix("-").isdecimal() and not 1 <= int(theirs) <= LARGEST_ID:
            raise ConfigError(f"{key}.{theirs}", f"an id is 1 to {LARGEST_ID}, and 0 is background")


def resolve_ids(names: dict[str, str], mapping: str | dict | None, place: str) -> dict[str, str]:
    """id in a label file -> label name.

    Args:
        names: id -> name as the data set says; empty where it has ids alone. mapping: a name of :data:`MAPPINGS`, or
            their name or id -> label name, or ``None`` to go by the names alone; place: for messages.

    Raises:
        ConfigError: a key of the mapping that the data set does not have, or one label mapped twice.
        DataError: the data set's own names contradict a shipped mapping.
    """
    if mapping is None:
        return {i: organ_of(name) for i, name in names.items()}
    if isinstance(mapping, str):
        for i, organ in MAPPINGS[mapping].items():
            said = organ_of(names.get(i, organ))
            if said in ORGANS_34 and said != organ:
                raise DataError(
                    f"{place}: id {i} is {names[i]!r}, but {organ!r} in the mapping {mapping!r}: this is another data "
                    "set; map its names yourself in datasets.<name>.mapping"
                )
        return dict(MAPPINGS[mapping])
    ids = {}
    by_name = {name: i for i, name in names.items()}
    for key, ours in mapping.items():
        if names and key not in names and key not in by_name:
            known = [*by_name, *names]
            raise ConfigError(
                "datasets.<name>.mapping",
                f"{key!r} is no label of {place}{nearest(key, known)}, expected one of {', '.join(known)}",
            )
        if not names and not key.isdecimal():
            raise ConfigError(
                "datasets.<name>.mapping", f"found {key!r}: {ours}, but {place} has no names, expected id: organ name"
            )
        i = by_name.get(key) or str(int(key))  # 07 is 7
        if ids.setdefault(i, ours) != ours:
            raise ConfigError("datasets.<name>.mapping", f"id {i} of {place} is mapped to {ids[i]} and to {ours}")
    return ids
