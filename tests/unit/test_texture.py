"""Texture inside organs: roughness, its reach in pixels, and the spread between patients."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pivm.evaluation.organ_texture import ORGAN_TEXTURE, compare_organ_texture, texture
from pivm.evaluation.paired import PairedSlices, SyntheticRun
from pivm.labels import LabelSet
from pivm.report.organ_texture_table import markdown
from pivm.report.words import PHANTOM
from scipy import ndimage

RNG = np.random.default_rng(0)


class Store:
    """Three slices of each of four patients, one organ that fills most of them, one that is a line."""

    def __init__(self, hu):
        patients = np.repeat([f"p{i}" for i in range(4)], 3)
        self.index = pd.DataFrame({"patient": patients, "subject": patients})
        self.labels = np.zeros((12, 48, 48), np.uint8)
        self.labels[:, 2:46, 2:46] = 1
        self.labels[:, 0] = 2
        self.hu = hu


def compared(real, **synthetic) -> pd.DataFrame:
    runs = {SyntheticRun(*name.rsplit("_", 1)): hu for name, hu in synthetic.items()}
    return compare_organ_texture(PairedSlices(Store(real), np.arange(12), runs), LabelSet(("liver", "spleen")))


def noise(sd=10.0, blur=0.0, between=0.0) -> np.ndarray:
    white = RNG.normal(0, 1, (12, 48, 48))
    if blur:
        white = ndimage.gaussian_filter(white, (0, blur, blur))
        white /= white.std()
    return (60 + sd * white + between * np.repeat([-1.5, -0.5, 0.5, 1.5], 3)[:, None, None]).round().astype(np.int16)


def test_white_noise_has_its_spread_and_no_correlation():
    table = compared(noise(10, between=30), pivm_1=noise(20, between=15))
    assert list(table.columns) == ORGAN_TEXTURE
    (row,) = table.to_dict("records")  # the line has no pixel that is not at its rim
    assert (row["organ"], row["method"], row["patients"], row["slices"]) == ("liver", "pivm", 4, 12)
    assert (row["real_inside"], row["inside"]) == pytest.approx((10, 20), rel=0.02)
    assert (row["real_correlation"], row["correlation"]) == pytest.approx((0, 0), abs=0.02)
    sd = np.std([-1.5, -0.5, 0.5, 1.5], ddof=1)
    assert (row["real_between"], row["between"]) == pytest.approx((30 * sd, 15 * sd), rel=0.02)


@pytest.mark.parametrize("blur", [0.7, 1.5])
def test_blurred_noise_has_the_correlation_of_its_kernel(blur):
    # neighbours under a Gaussian of sigma: exp(-1 / (4 sigma^2)), but for the discrete kernel
    kernel = ndimage.gaussian_filter1d(np.eye(41)[20], blur)
    wanted = (kernel[1:] * kernel[:-1]).sum() / (kernel**2).sum()
    core = np.zeros((12, 48, 48), bool)
    core[:, 8:40, 8:40] = True
    found = texture(noise(40, blur), core, np.repeat(["a", "b"], 6))
    assert found.correlation == pytest.approx(wanted, abs=0.02)
    assert found.correlation == pytest.approx(np.exp(-1 / (4 * blur**2)), abs=0.06)


def test_the_rim_is_left_out_and_trainings_are_averaged():
    real = noise(10)
    edge = real.copy()
    edge[:, 2] = edge[:, 45] = 3000
    edge[:, :, 2] = edge[:, :, 45] = -1000
    (row,) = compared(real, g_1=edge, g_2=edge + np.int16(5)).to_dict("records")
    found = (row["inside"], row["correlation"])
    assert found == pytest.approx((row["real_inside"], row["real_correlation"]), rel=1e-6)
    assert row["generator_seeds"] == 2
    (row,) = compared(real, g_1=noise(10), g_2=noise(30)).to_dict("records")
    assert row["inside"] == pytest.approx(20, rel=0.03)


def test_one_patient_has_no_spread_and_the_page_says_so():
    core = np.ones((3, 8, 8), bool)
    assert np.isnan(texture(RNG.normal(60, 10, (3, 8, 8)), core, np.array(["a"] * 3)).between)
    flat = texture(np.full((3, 8, 8), 60), core, np.array(["a", "b", "b"]))
    assert (flat.inside, flat.between) == (0, 0)
    assert np.isnan(flat.correlation)
    rows = [
        ("liver", "pivm", 4, 12, 10.0, 15.0, 0.5, 0.25, 20.0, 10.0, 1),
        ("my_organ", "pivm", 1, 3, 10.0, 10.0, 0.5, np.nan, np.nan, np.nan, 1),
    ]
    page = markdown(pd.DataFrame(rows, columns=ORGAN_TEXTURE), PHANTOM)
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]
    assert lines[2] == ["liver", "10.0, 20.0", "0.50", "1.50, 0.50", "0.25"]
    assert lines[3] == ["my organ", "10.0, –", "0.50", "1.00, –", "–"]
    assert "inside and between: PIVM (ours): 1.25 and 0.50." in page
    assert " real " not in page
