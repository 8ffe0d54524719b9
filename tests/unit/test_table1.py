"""Table 1 in the paper's shape, its footnote, and HU per organ as a page and a figure."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest
from pivm.evaluation.hu_fidelity import HU_FIDELITY
from pivm.evaluation.metrics import distance_metric
from pivm.evaluation.statistics import TIDY, summarise
from pivm.report.organ_hu import markdown, plot_hu_fidelity
from pivm.report.table1 import pooled_rows, write_table1

SSIM = {"cddpm": [0.2, 0.7, 0.3], "pivm": [0.8, 0.6, 0.7]}
DISTANCE = {"cddpm": [100.0, 60.0, 80.0], "pivm": [50.0, 70.0, 60.0]}


@pytest.fixture(params=["inception", "efficientnet_lite0"])
def written(request, tmp_path):
    """(extractor, tidy, text per form) of a table of three patients and two methods."""
    metric = distance_metric(request.param)
    rows = [
        {"method": m, "patient": f"p_{i}", "slices": 15 - i, "seed": 1, "ssim": SSIM[m][i], "ssim_body": SSIM[m][i] / 2}
        | {metric: DISTANCE[m][i]}
        for m in SSIM
        for i in range(3)
    ]
    cases = pd.DataFrame(rows)
    kid = pd.DataFrame(
        [
            {"method": method, "without": left_out, "kid": value, "patients": 3 - bool(left_out), "slices": 42}
            for method, middle, spread in (("cddpm", 0.3, 0.02), ("pivm", 0.1, 0.01), ("real", -0.002, 0.0016))
            for left_out, value in (("", middle), ("p_0", middle - spread), ("p_1", middle), ("p_2", middle + spread))
        ]
    )
    floor_cases = pd.DataFrame({"method": "real", "patient": ["p_0", "p_1", "p_2"], "seed": 1, metric: [10.0, 11, 12]})
    how = (0.95, 200, 1)
    pooled = pooled_rows(kid, 0.95)
    tidy = [summarise(cases, ["ssim", metric, "ssim_body"], list(SSIM), *how), pooled[pooled["method"] != "real"]]
    tidy = pd.concat(tidy, ignore_index=True)
    floor = pd.concat([summarise(floor_cases, [metric], ["real"], *how), pooled[pooled["method"] == "real"]])
    paths = SimpleNamespace(**{k: tmp_path / f"table1.{k}" for k in ("csv", "md", "tex", "html")})
    write_table1(tidy, cases, floor, (-200, 300), request.param, 0.95, " `maisi`: released weights.", paths)
    return request.param, tidy, {form: path.read_text() for form, path in vars(paths).items()}


def test_the_tidy_table_has_the_columns_of_the_others(written):
    extractor, tidy, forms = written
    assert forms["csv"].splitlines()[0] == ",".join(TIDY)
    assert list(dict.fromkeys(tidy["metric"])) == ["ssim", distance_metric(extractor), "ssim_body", "kid"]
    assert set(tidy["method"]) == {"cddpm", "pivm"}


def test_a_row_per_patient_and_the_best_in_bold(written):
    _, _, forms = written
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in forms["md"].splitlines()[:6]]
    assert lines[2] == ["1", "0.200", "**0.800**", "100.00", "**50.00**"]
    assert lines[3] == ["2", "**0.700**", "0.600", "**60.00**", "70.00"]
    assert lines[5] == ["Avg. ± sd", "0.400 ± 0.265", "**0.700 ± 0.100**", "80.00 ± 20.00", "**60.00 ± 10.00**"]
    assert r"Avg. $\pm$ sd & 0.400 $\pm$ 0.265 & \textbf{0.700 $\pm$ 0.100}" in forms["tex"]
    assert r"p\_0, p\_1, p\_2" in forms["tex"]
    assert r"\multicolumn{2}{c}{SSIM $\uparrow$}" in forms["tex"]
    assert "<b>0.700 ± 0.100</b>" in forms["html"]


def test_only_inception_is_titled_fid(written):
    extractor, _, forms = written
    title = {"inception": "FID", "efficientnet_lite0": "Fréchet distance (EfficientNet-Lite0)"}[extractor]
    for form in ("md", "tex", "html"):
        assert title in forms[form]
        assert ("not comparable with a FID" in forms[form]) == (extractor != "inception")


def test_the_footnote_says_what_the_numbers_are(written):
    _, _, forms = written
    for text in (
        "13 to 15 slices each",
        "clipped to [-200, 300]",
        "data range 500",
        "inside the body outline: CDDPM 0.200, PIVM (ours) 0.350",
        "11.00 ± 1.00",
        "95% jackknife interval over patients: CDDPM 300.0 [200.6, 399.4]; PIVM (ours) 100.0 [50.3, 149.7]",
        "training patients -2.0 [-9.9, 5.9]",
    ):
        assert text in forms["md"]


@pytest.fixture
def fidelity():
    rows = [("liver", "pivm", 3, 100, 60.0, 12.0, 64.0, 20.0, 6.0), ("my_organ", "pivm", 2, 9, -50.0, 8, -52.0, 9, 4.0)]
    return pd.DataFrame(rows, columns=HU_FIDELITY)


def test_hu_fidelity_as_a_page(fidelity):
    page = markdown(fidelity)
    liver = next(line for line in page.splitlines() if "liver" in line)
    assert [cell.strip() for cell in liver.split("|")[1:-1]] == ["liver", "60 ± 12", "64 ± 20", "6.0"]
    assert "mean off by 3.0, distance 5.0" in page
    assert "3 test patients" in page


@pytest.mark.parametrize("organs", [["liver", "my_organ"], ["my_organ"]])
def test_hu_fidelity_is_drawn_for_any_organs(fidelity, organs, tmp_path):
    plot_hu_fidelity(fidelity[fidelity["organ"].isin(organs)], tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000
