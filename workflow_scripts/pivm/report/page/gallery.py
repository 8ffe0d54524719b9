"""Slices of test patients for the page: label map, prior, the original, and what every generator made of the labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from pivm.cohort.patient_csv import read_patient_csv
from pivm.cohort.prior import Prior
from pivm.cohort.split import read_split
from pivm.cohort.store import SliceStore
from pivm.evaluation.paired import PairedSlices, SyntheticRun
from pivm.report.drawing import WINDOW, plt
from pivm.report.forms import method_title
from pivm.report.page.facts import PageRun

#: slices shown: so many of the worst, of the best, and of those between
WORST, BEST, BETWEEN = 8, 4, 4
#: HU of the variation at both ends of its colour scale
VARIATION_HU = 200


def write_gallery(run: PageRun, folder: Path) -> dict:
    """Write ``slices/<n>.png``, the pictures of a slice side by side, every one as many pixels as a slice has.

    Args:
        run: that is shown.
        folder: of the page.

    Returns:
        ``tiles``, the titles of the pictures; ``window`` in HU; ``size``; and ``slices``, the worst first, with the
        organ agreement of each generator (None where it was not scored).
    """
    results = run.results
    store, prior = SliceStore(results / "store"), Prior.load(results / "prior.json")
    folders = {
        SyntheticRun(name, run.seed): place
        for name in run.generators
        if (place := results / f"images/{name}/seed_{run.seed}").is_dir()
    }
    if not folders:
        raise FileNotFoundError(2, "no slices", str(results / f"images/{run.generated}/seed_{run.seed}"))
    pairs = PairedSlices.load(store, read_split(results / "cohort/split.csv"), folders, "test")
    pairs = _without_prior(pairs, prior)
    agreement = _agreement(results / "images/agreement.csv", pairs)
    order = choose(agreement.get(run.generated, np.full(len(pairs.rows), np.nan)))
    (folder / "slices").mkdir(parents=True, exist_ok=True)
    tiles, slices = ["Labels", "Prior map", run.words.ct], []
    tiles += [method_title(one.method) for one in pairs.synthetic] + [f"Variation of {run.words.ct}"]
    shown = [one for one in pairs.synthetic if one.method == run.generated]
    tiles += [f"Variation of {method_title(one.method)}" for one in shown]
    for number, position in enumerate(order):
        _strip(pairs, prior, position, shown, run).save(folder / f"slices/{number}.png")
        row = pairs.rows[position]
        dice = {method_title(method): values[position] for method, values in agreement.items()}
        where = {key: store.index[key][row].item() if key == "z" else store.index[key][row] for key in ("patient", "z")}
        organs = [prior.organs[k - 1] for k in np.unique(store.labels[row]) if k]
        slices.append({**where, "dice": dice, "organs": organs, "mm": float(store.index["pixel_mm"][row])})
    return {
        "tiles": tiles,
        "window": list(WINDOW),
        "variation": VARIATION_HU,
        "size": store.size,
        "scored": method_title(run.generated) if run.generated in agreement else None,
        "slices": slices,
    }


def _without_prior(pairs: PairedSlices, prior: Prior) -> PairedSlices:
    """The pairs without a generator that only repeats the prior map, which is shown anyway."""
    row = pairs.rows[:1]
    shown = np.rint(prior.map(prior.label_map(pairs.store.labels[row], pairs.store.body[row])))
    made = {one: hu for one, hu in pairs.synthetic.items() if np.abs(hu[:1] - shown).max() > 0.5}
    return PairedSlices(pairs.store, pairs.rows, made)


def choose(scores: np.ndarray) -> list[int]:
    """Positions of the worst, a few of the middle and the best, in this order; evenly spread where nothing is scored.

    >>> choose(np.array([0.9, 0.1, 0.5]))
    [1, 2, 0]
    """
    count = WORST + BETWEEN + BEST
    if np.isnan(scores).all():
        return np.unique(np.linspace(0, len(scores) - 1, count).round().astype(int)).tolist()
    order = np.argsort(scores, kind="stable")
    order = order[: int((~np.isnan(scores)).sum())]
    if len(order) <= count:
        return order.tolist()
    between = np.linspace(WORST, len(order) - BEST - 1, BETWEEN).round().astype(int)
    return [*order[:WORST].tolist(), *order[between].tolist(), *order[-BEST:].tolist()]


def _agreement(path: Path, pairs: PairedSlices) -> dict[str, np.ndarray]:
    """Method -> organ agreement of each slice in the order of the pairs; empty where it was not scored."""
    if not path.is_file():
        return {}
    table = read_patient_csv(path)
    table["dice"] = pd.to_numeric(table["dice"], errors="coerce")
    found = {}
    for one in pairs.synthetic:
        rows = table[(table["method"] == one.method) & (table["generator_seed"] == one.seed)]
        if len(rows):
            found[one.method] = rows.set_index("source_row")["dice"].reindex(pairs.rows).to_numpy()
    return found


def _strip(
    pairs: PairedSlices, prior: Prior, position: int, shown: Sequence[SyntheticRun], run: PageRun
) -> Image.Image:
    """The pictures of a slice, in the order of the titles."""
    store, row = pairs.store, pairs.rows[position]
    labels = np.asarray(store.labels[row])
    label_map = prior.label_map(labels[None], store.body[[row]])[0]
    hu = np.asarray(store.hu[row])
    made = {one: np.asarray(slices[position]) for one, slices in pairs.synthetic.items()}
    pictures = [_labels(labels, np.asarray(store.body[row]), run), _grey(prior.map(label_map)), _grey(hu)]
    pictures += [_grey(one) for one in made.values()]
    pictures += [_signed(prior.variation(one, label_map)) for one in (hu, *(made[one] for one in shown))]
    return Image.fromarray(np.concatenate(pictures, axis=1))


def _grey(hu: np.ndarray) -> np.ndarray:
    """HU in the soft-tissue window, uint8 [H, W, 3]."""
    low, high = WINDOW
    # floats: 255 times an int16 would wrap around
    grey = np.rint(255 * (np.clip(hu.astype(np.float32), low, high) - low) / (high - low)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def _signed(variation: np.ndarray) -> np.ndarray:
    """Variation in red and blue, white at 0, uint8 [H, W, 3]."""
    unit = (np.clip(variation, -VARIATION_HU, VARIATION_HU) + VARIATION_HU) / (2 * VARIATION_HU)
    return np.rint(255 * plt.get_cmap("RdBu_r")(unit)[..., :3]).astype(np.uint8)


def _labels(labels: np.ndarray, body: np.ndarray, run: PageRun) -> np.ndarray:
    """Organs in their colours, the rest of the body dark grey."""
    table = np.zeros((256, 3), np.uint8)
    for k, colour in enumerate(run.colours.values(), start=1):
        table[k] = list(bytes.fromhex(colour[1:]))
    picture = table[labels]
    picture[(labels == 0) & body] = 56
    return picture
