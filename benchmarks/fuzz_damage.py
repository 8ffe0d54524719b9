"""Ways to damage a file, each from a seed; used by fuzz_readers.py and the tests."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import nibabel as nib
import numpy as np


def flip(content: bytes, rng: np.random.Generator, reach: int) -> bytes:
    """Change, drop or repeat bytes among the first ones, or cut the rest off."""
    out = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(min(reach, len(out) or 1)))
        choice = rng.integers(6)
        if choice < 3:
            out[at : at + 1] = bytes([rng.integers(256)]) if choice else bytes([out[at] ^ (1 << rng.integers(8))])
        elif choice == 3:
            out[at : at + int(rng.integers(1, 9))] = rng.choice([b"", b"\xff" * 8, bytes(8)])
        elif choice == 4:
            out[at:at] = out[at : at + int(rng.integers(1, 65))]
        else:
            del out[at:]
    return bytes(out)


ODD_VALUES = (
    *(
        b"",
        b" ",
        b"0",
        b"-1",
        b"1",
        b"3",
        b"1e999",
        b"nan",
        b"inf",
        b"1,5",
        b"a",
        b"\\",
        b"1\\2",
        b"1\\\\3",
        b"4.0\\nan",
    ),
    *(
        b"1\\2\\3\\4\\5\\6\\7",
        b"99999999999999999999",
        b"-32769",
        b"65536",
        b"\xff\xfe\x00\x80",
        b"\x00" * 2,
        b"\xff" * 2,
    ),
    *(b"\xff" * 4, b"\x00\x00\xf0\x7f", b"1.2.840.10008.1.2.4.50", b"1.2.3", b"x" * 70_000, b"ISO_IR 192", b"\\" * 300),
)


def change_tag(content: bytes, rng: np.random.Generator) -> bytes:
    """Remove a tag of a DICOM file, or give it odd bytes or another value representation, at any depth."""
    import pydicom
    from pydicom.dataelem import RawDataElement

    header = pydicom.dcmread(io.BytesIO(content), force=True)
    places = [(ds, tag) for ds in _datasets(header) for tag in ds.keys()]  # noqa: SIM118 - a dataset is no mapping
    for _ in range(int(rng.integers(1, 3))):
        ds, tag = places[int(rng.integers(len(places)))]
        if tag not in ds:
            continue
        if rng.integers(5) == 0:
            del ds[tag]
            continue
        kind = ds.get_item(tag).VR  # its value is not decoded, which a tag that is damaged already would not stand
        if not rng.integers(3):
            kind = str(rng.choice(["DS", "IS", "US", "SS", "FD", "LO", "UI", "OB", "UN"]))
        value = ODD_VALUES[int(rng.integers(len(ODD_VALUES)))]
        value += b" " * (len(value) % 2)
        ds._dict[tag] = RawDataElement(tag, "UN" if kind == "SQ" else kind, len(value), value, 0, False, True)
    out = io.BytesIO()
    try:
        pydicom.dcmwrite(out, header, implicit_vr=False, little_endian=True, force_encoding=True)
    except Exception:  # what pydicom cannot write is damaged byte by byte
        return flip(content, rng, len(content))
    return out.getvalue()


def _datasets(header) -> list:
    """A header and the items of its sequences that hold something."""
    found = [header, getattr(header, "file_meta", ())]
    for element in header:
        if element.VR == "SQ":
            for item in element.value or ():
                found += _datasets(item)
    return [ds for ds in found if len(ds)]


def damage_dicom(content: bytes, rng: np.random.Generator) -> bytes:
    """Tags in two of three cases; else bytes, mostly those of the header."""
    if rng.integers(3):
        return change_tag(content, rng)
    return flip(content, rng, 1200 if rng.integers(2) else len(content))


def damage_nifti(content: bytes, rng: np.random.Generator) -> bytes:
    """Fields of the header with odd numbers, bytes of the volume, or bytes of the compressed file."""
    choice = rng.integers(4)
    if choice == 0:
        return flip(content, rng, len(content))
    plain = bytearray(gzip.decompress(content))
    if choice == 1:
        return gzip.compress(flip(bytes(plain), rng, 352), 1)
    header = nib.Nifti1Header.template_dtype
    for _ in range(int(rng.integers(1, 4))):
        kind, offset = header.fields[header.names[int(rng.integers(len(header.names)))]][:2]
        width = kind.base.itemsize
        at = offset + width * int(rng.integers(max(kind.itemsize // width, 1)))
        if kind.base.kind == "f":
            value = np.array(rng.choice([0, -1, np.nan, np.inf, 1e-30, 1e30, 7.5, 352, 3]), kind.base)
        elif kind.base.kind in "iu":
            ends = np.iinfo(kind.base)
            value = np.array(rng.choice([0, 1, 2, 7, 16, 128, 1000, ends.max, ends.min]) % (ends.max + 1), kind.base)
        else:
            value = np.array(rng.bytes(width), kind.base)
        plain[at : at + width] = value.tobytes()[:width]
    return gzip.compress(bytes(plain), 1)


ODD_JSON = (
    *(None, True, 0, -1, 1, 2.5, 1e400, "", "0", "liver", "Liver", "spleen ", "ignore", "x" * 5000, "\ud800", "0001"),
    *([], [1], [[1]], [1, "2", None], {}, {"1": "liver"}, {"liver": 1}, 65536, 10**30, "../x", ".nii", "/", ["CT"]),
)


def damage_json(content: bytes, rng: np.random.Generator) -> bytes:
    """Values, keys and levels of JSON in two of three cases; else bytes."""
    if not rng.integers(3):
        return flip(content, rng, len(content))
    facts = json.loads(content)
    for _ in range(int(rng.integers(1, 4))):
        at: Any = facts
        while isinstance(at, dict) and at and rng.integers(3):
            inner = [value for value in at.values() if isinstance(value, dict) and value]
            if not inner:
                break
            at = inner[int(rng.integers(len(inner)))]
        if not isinstance(at, dict) or not at:
            continue
        key = list(at)[int(rng.integers(len(at)))]
        odd = ODD_JSON[int(rng.integers(len(ODD_JSON)))]
        choice = rng.integers(4)
        if choice == 0:
            del at[key]
        elif choice == 1:
            at[str(odd)] = at.pop(key)
        else:
            at[key] = odd
    text = json.dumps(facts)
    return ("[" * 100_000 if rng.integers(60) == 0 else text).encode("utf-8", "surrogatepass")
