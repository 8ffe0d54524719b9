"""NiiVue, the viewer of volumes on the page (BSD-2-Clause): found where set-up put it, never fetched by a run.

``python -m pivm.report.page.niivue`` puts it there, through npm: into ``share/pivm`` of the Python environment.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from pivm.errors import PivmError

VERSION = "0.69.0"
#: of :data:`_MEMBER` of that version
SHA256 = "47b896b77ec4a5be3ef1949c33ad393b6f45629921f326c279000bcf51bdb4af"
_MEMBER = "package/dist/niivue.umd.js"


def viewer_path() -> Path:
    """Where set-up puts the viewer, and where the page looks for it."""
    return Path(sys.prefix) / "share" / "pivm" / f"niivue-{VERSION}.js"


def find_viewer() -> Path | None:
    """The viewer; None where it was never installed or is another file than that of the pinned version."""
    path = viewer_path()
    return path if path.is_file() and _is_pinned(path.read_bytes()) else None


def install(archive: Path) -> Path:
    """Take the viewer out of the package that npm packed.

    Args:
        archive: ``niivue-niivue-<version>.tgz``.

    Raises:
        PivmError: it does not hold the file, or another one than that of the pinned version.
    """
    try:
        with tarfile.open(archive) as package:
            stream = package.extractfile(_MEMBER)
            content = stream.read() if stream else b""
    except (tarfile.TarError, KeyError, OSError) as error:
        raise PivmError(f"{archive}: no package of NiiVue with {_MEMBER} ({error})") from None
    if not _is_pinned(content):
        found = hashlib.sha256(content).hexdigest()
        raise PivmError(
            f"{archive}: {_MEMBER} has SHA-256 {found[:16]}, expected {SHA256[:16]} of {VERSION}; fetch it again"
        )
    path = viewer_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _is_pinned(content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == SHA256


def main() -> int:
    """Fetch the package through npm and install it; where that fails, say what the page does without."""
    without = "pages of runs show pictures in place of volumes to scroll; everything else works"
    if find_viewer():
        return 0
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", f"@niivue/niivue@{VERSION}"]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            said = done.stderr.strip().splitlines()
            packed = sorted(Path(folder).glob("*.tgz"))
            if done.returncode or not packed:
                raise PivmError(said[-1] if said else "npm pack failed")
            print(f"{install(packed[0])}: NiiVue {VERSION}")
        except (OSError, PivmError) as error:
            print(f"Note: NiiVue, the viewer of volumes, was not fetched ({error}): {without}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
