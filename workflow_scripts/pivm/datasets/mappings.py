"""Label ids of public data sets, mapped to the label names of this project.

Organs that are not among the 34 labels (prostate, upper lung lobes and the like) are left out: they become background.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set

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
#: names without their side -> organ names, for organs that have one
_PAIRED = {
    "kidney": "kidney",
    "kid": "kidney",
    "adrenal": "adrenal_gland",
    "adrenal_gland": "adrenal_gland",
    "suprarenal_gland": "adrenal_gland",
    "glnd_adrenal": "adrenal_gland",  # TG-263
    "hip": "hip",
    "hip_bone": "hip",
    "iliopsoas": "iliopsoas",
    "iliopsoas_muscle": "iliopsoas",
    "autochthon": "autochthon",
    "lung_lower_lobe": "lung_lower_lobe",
    "lower_lobe_lung": "lung_lower_lobe",
    "lower_lung_lobe": "lung_lower_lobe",
}
_SIDES = {"left": "left", "l": "left", "lt": "left", "right": "right", "r": "right", "rt": "right"}
_SYNONYMS = {
    "arota": "aorta",  # as AMOS spells it
    "a_aorta": "aorta",  # TG-263, as the names with v_ and bowel_
    "ao": "aorta",
    "aor": "aorta",
    "bladder": "urinary_bladder",
    "gall_bladder": "gallbladder",
    "gall": "gallbladder",
    "oesophagus": "esophagus",
    "eso": "esophagus",
    "sto": "stomach",
    "spl": "spleen",
    "liv": "liver",
    "pan": "pancreas",
    "panc": "pancreas",
    "duo": "duodenum",
    "ivc": "inferior_vena_cava",
    "postcava": "inferior_vena_cava",
    "inferior_vena_cava_ivc": "inferior_vena_cava",
    "v_venacava_i": "inferior_vena_cava",
    "vena_cava_inferior": "inferior_vena_cava",
    "portal_and_splenic_veins": "portal_vein_and_splenic_vein",
    "portal_vein_and_splenic_veins": "portal_vein_and_splenic_vein",
    "portal_vein_splenic_vein": "portal_vein_and_splenic_vein",
    "veins": "portal_vein_and_splenic_vein",
    "pv_sv": "portal_vein_and_splenic_vein",
    "rag": "adrenal_gland_right",
    "lag": "adrenal_gland_left",
    "rkid": "kidney_right",
    "lkid": "kidney_left",
    "lung_lll": "lung_lower_lobe_left",
    "lung_rll": "lung_lower_lobe_right",
    "small_intestine": "small_bowel",
    "bowel_small": "small_bowel",
    "bowel_large": "colon",
    "large_bowel": "colon",
    "large_intestine": "colon",
}
#: short names of BTCV that mean something else elsewhere (an artery of the heart): understood beside its kidneys alone
_BTCV_ADRENALS = {"rad": "adrenal_gland_right", "lad": "adrenal_gland_left"}
_BY_LOWER_CASE = {organ.lower(): organ for organ in ORGANS_34}


def organ_of(name: str) -> str:
    """The label name that a name from a data set means, as far as spelling and side go; else the name in lower case.

    Understood are the names of TotalSegmentator, of TG-263 (``Kidney_L``, ``Glnd_Adrenal_R``), the short ones of BTCV
    (``rkid``, ``gall``), and sides as words or letters before or after the name.
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)  # KidneyLeft
    for text in (name, spaced):
        plain = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
        if organ := _understood(plain):
            return organ
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _understood(plain: str) -> str | None:
    if organ := _BY_LOWER_CASE.get(plain) or _SYNONYMS.get(plain):
        return organ
    if vertebra := re.fullmatch(r"vertebrae?_([tl]\d{1,2})|([tl]\d{1,2})_vertebrae?", plain):
        return _BY_LOWER_CASE.get(f"vertebrae_{vertebra[1] or vertebra[2]}")
    words = plain.split("_")
    for side, rest in ((words[0], words[1:]), (words[-1], words[:-1])):
        base = _PAIRED.get("_".join(rest))
        if side in _SIDES and base:
            return f"{base}_{_SIDES[side]}"
    return None


def organ_in(name: str, organs: Iterable[str], mapping: Mapping[str, str]) -> str | None:
    """The organ of a label set that a name from a data set means, or ``None``.

    Args:
        name: as the data set has it.
        organs: names of the label set.
        mapping: their name -> organ, which wins; an organ that it names is found by its names alone.
    """
    known = tuple(organs)
    if name in mapping:
        return mapping[name] if mapping[name] in known else None
    organ = name if name in known else organ_of(name)
    return organ if organ in known and organ not in mapping.values() else None


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


def resolve_ids(
    names: Mapping[str, Sequence[str]], mapping: str | Mapping[str, str] | None, place: str
) -> dict[str, str]:
    """id in a label file -> label name.

    An id may have several names, and a name several ids (nnU-Net's regions): the name that is an organ wins, then the
    one that fewest ids share. What a mapping of names does not mention goes by its own name.

    Args:
        names: id -> its names as the data set says; empty where it has ids alone.
        mapping: a name of :data:`MAPPINGS`, or their name or id -> label name, or ``None`` to go by the names alone.
        place: for messages.

    Raises:
        ConfigError: a key of the mapping that the data set does not have, or an id that is mapped twice.
        DataError: the data set's own names contradict a shipped mapping, or one another.
    """
    if isinstance(mapping, str):
        return _shipped_ids(names, mapping, place)
    mapping = dict(mapping or {})
    theirs = sorted({name for known in names.values() for name in known})
    for key in mapping:
        if names and key not in names and key not in theirs:
            known = [*theirs, *names]
            raise ConfigError(
                "datasets.<name>.mapping",
                f"{key!r} is no label of {place}{nearest(key, known)}, expected one of {', '.join(known)}",
            )
        if not names and not key.isdecimal():
            raise ConfigError(
                "datasets.<name>.mapping",
                f"found {key!r}: {mapping[key]}, but {place} has no names, expected id: organ name",
            )
    if {"rkid", "lkid"} <= {name.lower() for name in theirs}:
        mapping |= {name: _BTCV_ADRENALS[name.lower()] for name in theirs if name.lower() in _BTCV_ADRENALS} | mapping
    shared = Counter(name for known in names.values() for name in known)
    by_id = {str(int(key)): ours for key, ours in mapping.items() if key.isdecimal() and key not in theirs}  # 07 is 7
    ids = {}
    for i in {**names, **by_id}:
        said = {mapping[name] for name in names.get(i, ()) if name in mapping} | ({by_id[i]} if i in by_id else set())
        if len(said - {*ORGANS_34}) < len(said):
            said &= {*ORGANS_34}
        if len(said) > 1:
            raise ConfigError(
                "datasets.<name>.mapping", f"id {i} of {place} is mapped to {' and to '.join(sorted(said))}"
            )
        ids[i] = said.pop() if said else _own_name(names[i], shared, set(mapping.values()), f"{place}: id {i}")
    return ids


def _own_name(names: Sequence[str], shared: Mapping[str, int], mapped: Set[str], what: str) -> str:
    """The label name of an id by its own names; organs that a mapping names are found through it alone."""
    organs = {organ_of(name): name for name in sorted(names, key=lambda name: (shared[name], name), reverse=True)}
    found = {organ for organ in organs if organ in ORGANS_34 and organ not in mapped}
    fewest = min(shared[organs[organ]] for organ in found or organs)
    best = sorted(organ for organ in found or organs if shared[organs[organ]] == fewest)
    if found and len(best) > 1:
        raise DataError(
            f"{what} is {' and '.join(best)} at once ({', '.join(names)}); say which in datasets.<name>.mapping"
        )
    # a name of its own that means a mapped organ is no organ here
    return best[0] if found or best[0] not in mapped else f"not mapped: {organs[best[0]]}"


def _shipped_ids(names: Mapping[str, Sequence[str]], mapping: str, place: str) -> dict[str, str]:
    for i, organ in MAPPINGS[mapping].items():
        said = {organ_of(name): name for name in names.get(i, (organ,))}
        wrong = sorted(other for other in said if other in ORGANS_34)
        if wrong and organ not in wrong:
            raise DataError(
                f"{place}: id {i} is {said[wrong[0]]!r}, but {organ!r} in the mapping {mapping!r}: this is another "
                "data set; map its names yourself in datasets.<name>.mapping"
            )
    return dict(MAPPINGS[mapping])
