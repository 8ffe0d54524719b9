"""Names of labels in the header of a NIfTI file, as TotalSegmentator and the Connectome Workbench write them.

An extension of the header holds XML with a table of labels: ``<Label Key="5" ...>liver</Label>`` for each id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from xml.etree import ElementTree
from xml.sax.saxutils import escape

#: id 0 is background
_FRAME = (
    '<?xml version="1.0" encoding="UTF-8"?><CaretExtension><VolumeInformation Index="0"><LabelTable>{}</LabelTable>'
    "</VolumeInformation></CaretExtension>"
)


def read_label_names(extensions: Iterable[bytes]) -> dict[str, list[str]]:
    """The names that a header gives to ids.

    Args:
        extensions: of the header (:meth:`pivm.scans.nifti.Image.extensions`); those of other kinds, and damaged ones,
            say nothing.

    Returns:
        id as text -> its names; empty where the header has none.
    """
    names: dict[str, list[str]] = {}
    for content in extensions:
        text = content.rstrip(b"\0 \r\n")
        if b"<Label" not in text or b"<!" in text:  # declarations of entities can blow up, and no table needs them
            continue
        try:
            table = ElementTree.fromstring(text)
        except (ElementTree.ParseError, ValueError):
            continue
        for label in table.iter("Label"):
            key, name = label.get("Key", ""), (label.text or "").strip()
            if key.isdecimal() and key.isascii() and int(key) and name:
                names.setdefault(str(int(key)), []).append(name)
    return names


def write_label_names(names: Mapping[int, str]) -> bytes:
    """The extension that :func:`read_label_names` reads.

    >>> read_label_names([write_label_names({1: "liver", 2: "a < b"})])
    {'1': ['liver'], '2': ['a < b']}
    """
    rows = (
        f'<Label Key="{k}" Red="1" Green="1" Blue="1" Alpha="1">{escape(name)}</Label>' for k, name in names.items()
    )
    return _FRAME.format("".join(rows)).encode()
