"""Metrics by hand and against MONAI; intervals and tables from scores; settings and entries."""

from __future__ import annotations

import doctest
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_iou
from pivm.evaluation import cases as case_module
from pivm.evaluation import overlap
from pivm.evaluation.cases import case_table
from pivm.evaluation.continuity import ALL, compare_z_steps, z_steps
from pivm.evaluation.metrics import SegmentationMetric, find_metrics
from pivm.evaluation.overlap import score_patient, surface_distances
from pivm.evaluation.segmentation_metrics import SEGMENTATION_METRICS
from pivm.evaluation.settings import TableSettings
from pivm.evaluation.statistics import TIDY, Bootstrap, interval, per_patient, summarise
from pivm.report.method_table import write_table
from pivm.settings import plain, read_settings

ROOT = Path(__file__).parents[2]
SPACING = (5.0, 2.0, 2.0)


def boxes(*spans):
    out = []
    for z, y, x in spans:
        mask = np.zeros((6, 20, 20), bool)
        mask[z, y, x] = True
        out.append(mask)
    return out


def test_two_voxels_three_columns_apart():
    a, b = boxes((2, 5, 5), (2, 5, 8))
    assert surface_distances(a, b, SPACING) == (6.0, 6.0)


def test_two_voxels_two_slices_apart():
    a, b = boxes((1, 5, 5), (3, 5, 5))
    assert surface_distances(a, b, SPACING) == (10.0, 10.0)


def test_a_voxel_inside_a_row_of_three():
    a, b = boxes((2, 5, 5), (2, 5, slice(4, 7)))
    hausdorff, average = surface_distances(a, b, SPACING)
    assert hausdorff == 2.0
    assert average == (0 + 2 + 0 + 2) / 4


def test_equal_masks_have_distance_zero_and_dice_one():
    (a,) = boxes((slice(1, 4), slice(3, 9), slice(3, 9)))
    (case,) = score_patient(a.astype(np.uint8), a.astype(np.uint8), ("liver",), SPACING, "p1", 3)
    assert case.scores == {"hausdorff_distance": 0, "average_surface_distance": 0, "miou": 1, "dice": 1}
    assert (case.seed, case.patient, case.label) == (3, "p1", "liver")


def test_overlap_by_hand():
    a, b = boxes((2, 5, slice(0, 4)), (2, 5, slice(2, 8)))
    (case,) = score_patient(a.astype(np.uint8), b.astype(np.uint8), ("liver",), SPACING, "p1", 1)
    assert case.scores["dice"] == pytest.approx(2 * 2 / (4 + 6))
    assert case.scores["miou"] == pytest.approx(2 / 8)
    assert (case.truth_voxels, case.predicted_voxels, case.missed) == (4, 6, 0)


def test_absent_in_both_is_left_out_and_absent_in_one_is_missed():
    truth, predicted = np.zeros((2, 3, 30, 40), np.uint8)
    truth[0, 0, 0] = 1
    predicted[0, 0, 0] = 2
    cases = score_patient(truth, predicted, ("liver", "spleen", "aorta"), SPACING, "p1", 1)
    assert [case.label for case in cases] == ["liver", "spleen"]
    diagonal = np.hypot(60, 80)
    for case in cases:
        assert case.missed == 1
        assert list(case.scores.values()) == [diagonal, diagonal, 0, 0]
    columns = ["seed", "patient", "label", *SEGMENTATION_METRICS, "missed", "truth_voxels", "predicted_voxels"]
    assert list(case_table(cases).columns) == columns


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_metrics_agree_with_monai(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.random((2, 5, 9, 8)) < 0.3
    if not (a.any() and b.any()):
        return
    mine = surface_distances(a, b, SPACING)
    masks = tuple(torch.from_numpy(m[None, None]) for m in (a, b))
    theirs = (
        float(compute_hausdorff_distance(*masks, include_background=True, spacing=SPACING)),
        float(compute_average_surface_distance(*masks, include_background=True, symmetric=True, spacing=SPACING)),
    )
    assert mine == pytest.approx(theirs, rel=1e-5)
    (case,) = score_patient(a.astype(np.uint8), b.astype(np.uint8), ("liver",), SPACING, "p1", 1)
    assert case.scores["miou"] == pytest.approx(float(compute_iou(*masks)), rel=1e-6)


@pytest.fixture
def cases():
    rows = []
    for method, lift in (("cddpm", 0.0), ("pivm", 0.1)):
        for seed in (1, 2):
            for p in range(4):
                for label in ("liver", "spleen"):
                    dice = 0.3 + 0.1 * p + lift + 0.02 * seed + (0.04 if label == "liver" else 0)
                    rows.append(
                        {"method": method, "seed": seed, "patient": f"p{p}", "label": label, "dice": dice}
                        | {"miou": dice / 2, "hausdorff_distance": 10 * dice, "missed": 0}
                        | {"average_surface_distance": 5 - 4 * dice}
                    )
    return pd.DataFrame(rows)


BOOTSTRAP = Bootstrap(0.95, 500, 1)
COLUMNS = (["dice", "hausdorff_distance"], ["cddpm", "pivm"], BOOTSTRAP)


def test_classes_are_averaged_first_then_seeds_then_patients(cases):
    frame = pd.DataFrame(
        {
            "method": "m",
            "seed": [1, 1, 1],
            "patient": ["a", "a", "b"],
            "dice": [0.0, 1.0, 1.0],
        }
    )
    assert per_patient(frame, ["dice"])["dice"].tolist() == [0.5, 1.0]


def test_the_tidy_table_holds_what_the_contract_says(cases):
    tidy = summarise(cases, *COLUMNS).tidy
    assert list(tidy.columns) == TIDY
    row = tidy[(tidy["metric"] == "dice") & (tidy["method"] == "pivm")].iloc[0]
    values = 0.3 + 0.1 * np.arange(4) + 0.1 + 0.03 + 0.02
    assert row["mean"] == pytest.approx(values.mean())
    assert row["sd"] == pytest.approx(values.std(ddof=1))
    assert row["ci_low"] < row["mean"] < row["ci_high"]
    assert (row["patients"], row["seeds"], row["better"], row["unit"]) == (4, 2, "higher", "1")
    assert not tidy.isna().any().any()


def test_paired_differences_take_out_the_patients(cases):
    table = summarise(cases, *COLUMNS).differences.set_index("metric")
    assert table.loc["dice", "difference"] == pytest.approx(0.1)
    assert table.loc["dice", "ci_high"] - table.loc["dice", "ci_low"] < 1e-9


def test_an_interval_needs_two_patients_and_is_repeatable():
    assert interval(np.array([0.5]), BOOTSTRAP) == (None, None)
    values = np.random.default_rng(0).normal(0, 1, 12)
    assert interval(values, BOOTSTRAP) == interval(values, BOOTSTRAP)


def test_an_interval_covers_the_mean_about_as_often_as_it_says():
    rng, hits = np.random.default_rng(0), 0
    for i in range(200):
        low, high = interval(rng.normal(0, 1, 15), Bootstrap(0.9, 300, i))
        hits += low <= 0 <= high
    assert 0.8 <= hits / 200 <= 0.97


def test_a_table_is_written_in_all_four_forms(cases, tmp_path):
    tidy = summarise(cases, *COLUMNS).tidy
    paths = SimpleNamespace(**{k: tmp_path / f"table2.{k}" for k in ("csv", "md", "tex", "html")})
    write_table(tidy, cases, "table2", " `maisi`: released weights.", paths)
    pd.testing.assert_frame_equal(pd.read_csv(paths.csv), tidy)
    markdown, latex, html = (getattr(paths, k).read_text() for k in ("md", "tex", "html"))
    assert "| Dice Coefficient ↑" in markdown
    assert "**0.600**" in markdown  # the best of the row
    assert r"\textbf{0.600}" in latex
    assert r"$\downarrow$" in latex
    assert "<b>0.600</b>" in html
    for text in (markdown, latex, html):
        assert "4 test patients; 2 seeds" in text
        assert "0 of 16" in text
        assert "released weights" in text


def test_z_steps_by_hand():
    hu = np.array([[[10, 20, 5]], [[14, 10, 5]], [[14, 13, 9]]], np.int16)
    labels = np.array([[[1, 2, 0]], [[1, 2, 0]], [[2, 2, 3]]], np.uint8)
    table = z_steps(hu, labels, ("a", "b")).set_index("organ")
    # a: |14 - 10|; b: |10 - 20|, |13 - 10|; background, the change from 1 to 2 and the unknown id 3 do not count
    assert table["pixels"].to_dict() == {"a": 1, "b": 2, ALL: 3}
    assert table["step_hu"].to_dict() == {"a": 4, "b": 6.5, ALL: pytest.approx(17 / 3)}


def test_z_steps_are_compared_with_the_real_volume():
    hu = np.array([[[0]], [[4]]], np.int16)
    labels = np.ones((2, 1, 1), np.uint8)
    table = compare_z_steps({"real": hu, "twice": 2 * hu}, labels, ("a",))
    assert table["twice_over_real"].tolist() == [2, 2]


def test_a_single_slice_has_no_steps():
    labels = np.ones((1, 4, 4), np.uint8)
    assert compare_z_steps({"real": labels.astype(np.int16)}, labels, ("a",)).empty


@pytest.mark.parametrize("module", [overlap, case_module])
def test_the_examples_run(module):
    failed, attempted = doctest.testmod(module)
    assert attempted
    assert not failed


def test_the_settings_are_those_of_the_config():
    section = yaml.safe_load((ROOT / "config.yaml").read_text())["tables"]
    assert plain(read_settings(TableSettings, {}, "tables")) == section


def test_a_script_reads_no_key_of_the_tables_that_its_rule_leaves_out():
    """A key that is left out would be read as its default."""
    asked = {}
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for rule in re.split(r"^ *rule (?=\w+:)", path.read_text(), flags=re.M)[1:]:
            keys = re.search(r"tables=\{\s*k: config\[\"tables\"\]\[k\] for k in \(([^)]*)\)", rule)
            if keys:
                asked[re.search(r"workflow_scripts/(\w+)\.py", rule)[1]] = set(re.findall(r"\w+", keys[1]))
    assert {"table", "table1", "image_scores", "ablation_table"} <= set(asked)
    for script, keys in asked.items():
        text = (ROOT / f"workflow_scripts/{script}.py").read_text()
        assert set(re.findall(r"\btables\.(\w+)", text)) == keys, script


def test_entries_are_cheap_to_read():
    """The workflow reads them when it starts."""
    code = (
        "import json, pivm.evaluation.image_metrics, pivm.evaluation.segmentation_metrics, pivm.evaluation.settings; "
        "print(json.dumps(list(sys.modules)))"
    )
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT / 'workflow_scripts')!r}); {code}"]
    loaded = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert not {"torch", "scipy", "skimage", "pandas", "torch_fidelity"} & set(loaded)


@pytest.mark.parametrize("text", ["", "METRIC = None", "from pivm.evaluation.segmentation_metrics.dice import METRIC"])
def test_a_module_that_is_no_entry_of_its_name_is_refused(tmp_path, monkeypatch, text):
    package = f"metrics_{abs(hash(text))}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("")
    (tmp_path / package / "jaccard.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TypeError, match=r"jaccard: expected METRIC, a SegmentationMetric with key='jaccard'"):
        find_metrics(package, [str(tmp_path / package)], SegmentationMetric)
