"""The files of the page that are the same for every run, and hashes of what it shows without making it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

STATIC = Path(__file__).parent / "static"


def static_hash() -> str:
    """Of the files of every page, so that another style or script makes the page anew."""
    return content_hash(STATIC.iterdir())


def content_hash(paths: Iterable[Path]) -> str:
    """Hash of the names and contents of files."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
