"""Fetching a data set's archive: resumed after a broken connection, checked for size and checksum, disk space first.

The archive is not unpacked: layouts read it in place.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from pivm.errors import DataError
from pivm.settings import setting

#: what a broken connection loses at most
BLOCK = 2**16
TRIES = 5


@dataclass(frozen=True)
class Download:
    """Where the archive of a data set is fetched from."""

    url: str = setting("address of the archive", pattern="^https?://")
    size: int = setting("its length, bytes", minimum=1)
    checksum: str = setting("md5: or sha256: and its digits", pattern="^(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64})$")


def fetch(url: str, size: int, checksum: str, target: Path, pause: float = 2.0) -> None:
    """Download to ``target``; what an earlier, interrupted call left in ``<target>.part`` is kept and completed.

    Args:
        size: bytes; checksum: ``md5:...`` or ``sha256:...``; pause: seconds before the second try, then twice as long.

    Raises:
        DataError: too little disk space, no answer after some tries, another size, or another checksum.
    """
    import requests  # which listing a data set does without

    part = target.with_name(f"{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    free, lacking = shutil.disk_usage(target.parent).free, size - _length(part)
    if lacking > free:
        raise DataError(f"{target.parent}: {lacking} bytes are still to fetch, but only {free} are free on this disk")
    if _length(part) > size:
        part.unlink()  # of another version of the file: it can never become this one
    problem = ""
    for number in range(TRIES):
        if _length(part) >= size:
            break
        if number:
            time.sleep(pause * 2 ** (number - 1))
        try:
            _continue(url, size, part)
        except (requests.RequestException, OSError) as error:
            problem = str(error)
    if _length(part) != size:
        raise DataError(f"{url}: {_length(part)} of {size} bytes after {TRIES} tries ({problem}); run again to resume")
    found = _checksum(part, checksum.partition(":")[0])
    if found != checksum:
        part.unlink()
        raise DataError(f"{url}: checksum {found}, expected {checksum}; the file was removed, run again")
    part.replace(target)


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _continue(url: str, size: int, part: Path) -> None:
    """Fetch what is lacking, from where the last try ended if the server allows it."""
    import requests

    have = _length(part)
    with requests.get(url, headers={"Range": f"bytes={have}-"} if have else {}, stream=True, timeout=60) as answer:
        answer.raise_for_status()
        resumed = answer.status_code == requests.codes.partial_content
        said = int(answer.headers.get("Content-Length", size - have if resumed else size)) + (have if resumed else 0)
        if said != size:
            raise DataError(f"{url}: the server offers {said} bytes, expected {size}")
        with open(part, "ab" if resumed else "wb") as out:
            for block in answer.iter_content(BLOCK):
                out.write(block)
                if out.tell() > size:
                    raise DataError(f"{url}: more than the expected {size} bytes")


def _checksum(path: Path, kind: str) -> str:
    digest = hashlib.new(kind, usedforsecurity=False)
    with open(path, "rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return f"{kind}:{digest.hexdigest()}"
