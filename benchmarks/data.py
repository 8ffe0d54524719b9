"""What preparing scans costs: python benchmarks/data.py [FOLDER]

Makes scans of realistic size in FOLDER (default: a temporary one; 3 GiB) and prints

- the time to turn CT + 34 masks into slices, on one core, against `gzip -dc` of the same files;
- the peak memory of preparing a scan of 512 x 512 x 600 voxels;
- random training batches per second from a store of 12,853 slices of 256 x 256.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

from pivm.cohort.preparation import prepare_subject
from pivm.cohort.selection import SelectionSettings
from pivm.cohort.store import ARRAYS, DTYPES
from pivm.datasets import Dataset
from pivm.labels import ORGANS_34, LabelSet
from pivm.scans.nifti import write_volume
from pivm.scans.quality import QualitySettings
from pivm.settings import read_settings

CONFIG = yaml.safe_load((Path(__file__).parents[1] / "config.yaml").read_text(encoding="utf-8"))
SELECTION = replace(read_settings(SelectionSettings, CONFIG["selection"], "selection"), axial_slices=(100, 600))
# the made-up organs lie anywhere and have any HU
QUALITY = replace(
    read_settings(QualitySettings, CONFIG["quality"], "quality"),
    left_right="keep",
    front_back="keep",
    up_down="keep",
    organ_hu=(-1000, 1000),
)


def make_scan(folder: Path, shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> None:
    """Noisy tissue in an ellipse and 34 ellipsoids: what a compressor and a reader meet in a real scan."""
    rng = np.random.default_rng(0)
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    x, y = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    noise = ndimage.gaussian_filter(rng.normal(0, 40, (*shape[:2], 20)), (1, 1, 0)).astype(np.int16)
    hu = np.full(shape, -1000, np.int16)
    inside = (x / 0.9) ** 2 + (y / 0.7) ** 2 < 1
    for k in range(shape[2]):
        hu[..., k] += noise[..., k % 20] // 4
        hu[..., k][inside] += 1000 + noise[..., (7 * k) % 20][inside]
    write_volume(hu, affine, folder / "ct.nii.gz")
    z = np.linspace(-1, 1, shape[2])
    for organ in ORGANS_34:
        centre, radius = rng.uniform(-0.5, 0.5, 3), rng.uniform(0.08, 0.3, 3)
        mask = np.zeros(shape, np.uint8)
        for k in np.flatnonzero(np.abs(z - centre[2]) < radius[2]):
            rest = 1 - ((z[k] - centre[2]) / radius[2]) ** 2
            mask[..., k] = ((x - centre[0]) / radius[0]) ** 2 + ((y - centre[1]) / radius[1]) ** 2 < rest
        write_volume(mask, affine, folder / "segmentations" / f"{organ}.nii.gz")


def prepare(root: Path, name: str, size: int = 256) -> str:
    subject = Dataset("b", {"layout": "totalsegmentator", "path": str(root)}).listing().subjects[name]
    record, _, _ = prepare_subject(name, subject, LabelSet(ORGANS_34), size, SELECTION, QUALITY)
    return record.status


def best_of(times: int, call) -> float:
    """Shortest of some runs, seconds of this process and its children."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def speed(root: Path) -> None:
    files = [str(p) for p in sorted((root / "typical").rglob("*.nii.gz"))]
    unpack = best_of(3, lambda: subprocess.run(["gzip", "-dc", *files], stdout=subprocess.DEVNULL, check=True))
    ours = best_of(3, lambda: prepare(root, "typical"))
    print(f"CT + 34 masks -> slices: {ours:.2f} s, gzip -dc of the same files {unpack:.2f} s: {ours / unpack:.2f} x")


def memory(root: Path) -> None:
    code = f"import data; from pathlib import Path; print(data.prepare(Path({str(root)!r}), 'large'), data.peak())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    )
    status, peak = done.stdout.split()
    print(f"peak memory of preparing 512 x 512 x 600: {float(peak):.2f} GiB ({status})")


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def own_memory() -> float:
    """Memory of this process in GiB, without pages of mapped files, which the system takes back when it needs them."""
    facts = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines())
    return int(facts["RssAnon"].split()[0]) / 2**20


def batches(root: Path, slices: int = 12_853, size: int = 256, batch: int = 32, seconds: float = 10) -> None:
    rng, arrays = np.random.default_rng(0), {}
    for name in ARRAYS:
        path = root / f"{name}.npy"
        if not path.exists():
            array = np.lib.format.open_memmap(path, "w+", DTYPES[name], (slices, size, size))
            for start in range(0, slices, 500):
                array[start : start + 500] = rng.integers(0, 2, array[start : start + 500].shape, np.uint8)
        arrays[name] = np.load(path, mmap_mode="r")
    before, count, start = own_memory(), 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        rows = rng.choice(slices, batch, replace=False)
        for array in arrays.values():
            np.asarray(array[rows])
        count += batch
    rate = count / (time.perf_counter() - start)
    grown = own_memory() - before
    print(f"random batches of {batch} from {slices} slices of {size}²: {rate:.0f} slices/s, +{grown:.2f} GiB")


def main(root: Path) -> None:
    if not (root / "typical").exists():
        make_scan(root / "typical", (256, 256, 300), (1.5, 1.5, 1.5))
    if not (root / "large").exists():
        make_scan(root / "large", (512, 512, 600), (0.8, 0.8, 1.0))
    speed(root)
    memory(root)
    batches(root)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder))
