"""Metrics by hand and against MONAI; intervals and tables from scores; settings and entries."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from pivm.datasets import layouts
from pivm.evaluation.all_metrics import METRICS
from pivm.evaluation.continuity import ALL, compare_z_steps, z_steps
from pivm.evaluation.metrics import SegmentationMetric, find_metrics
from pivm.evaluation.settings import TableSettings
from pivm.evaluation.statistics import DIFFERENCES, ORGANS, TIDY, VARIANCES, summarise, summarise_organs
from pivm.report.method_table import write_table
from pivm.report.verdict import last_words
from pivm.report.words import PHANTOM, REAL, TableFacts
from pivm.settings import plain, read_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cases():
    rows = []
    for method, lift in (("cddpm", 0.0), ("pivm", 0.1)):
        for g, s, p, label in itertools.product((1, 2), (1, 2), range(4), ("liver", "spleen")):
            dice = 0.3 + 0.1 * p + lift + 0.02 * s + 0.001 * g * p + (0.04 if label == "liver" else 0)
            rows.append(
                {"method": method, "generator_seed": g, "segmenter_seed": s, "patient": f"p{p}", "label": label}
                | {"dice": dice, "hausdorff_distance": 10 * dice, "invented": None, "missed": 0.0}
                | {"truth_voxels": 900 if label == "liver" else 100}
            )
    return pd.DataFrame(rows)


METHODS = ["cddpm", "pivm"]


def test_the_tidy_table_holds_what_the_contract_says(cases):
    tidy = summarise(cases, ["dice", "hausdorff_distance"], METHODS, 0.95).tidy
    assert list(tidy.columns) == TIDY
    row = tidy[(tidy["metric"] == "dice") & (tidy["method"] == "pivm")].iloc[0]
    values = 0.3 + 0.1015 * np.arange(4) + 0.1 + 0.03 + 0.02
    assert row["mean"] == pytest.approx(values.mean())
    assert row["sd"] == pytest.approx(values.std(ddof=1))
    assert row["ci_low"] < row["mean"] < row["ci_high"]
    assert (row["patients"], row["generator_seeds"], row["segmenter_seeds"]) == (4, 2, 2)
    assert (row["better"], row["unit"]) == ("higher", "1")
    assert not tidy.isna().any().any()


def test_a_metric_that_is_defined_nowhere_has_no_mean_and_no_patient(cases):
    row = summarise(cases, ["invented"], METHODS, 0.95).tidy.iloc[0]
    assert pd.isna(row["mean"])
    assert row["patients"] == 0


def test_a_rate_that_was_never_seen_has_an_interval(cases):
    row = summarise(cases, ["missed"], METHODS, 0.95).tidy.iloc[0]
    assert (row["mean"], row["ci_low"], row["ci_high"]) == (0, 0, pytest.approx(1 - 0.05 ** (1 / 4)))


def test_paired_differences_take_out_the_patients(cases):
    table = summarise(cases, ["dice"], METHODS, 0.95).differences
    assert list(table.columns) == DIFFERENCES
    (row,) = table.to_dict("records")
    assert (row["method"], row["reference"], row["patients"]) == ("pivm", "cddpm", 4)
    assert row["difference"] == pytest.approx(0.1)
    assert row["ci_high"] - row["ci_low"] < 1e-9


def test_variance_is_split_by_source(cases):
    table = summarise(cases, ["dice"], METHODS, 0.95).variances
    assert list(table.columns) == VARIANCES
    found = table[table["method"] == "pivm"].set_index("source")["variance"]
    assert found["segmenter_seed"] == pytest.approx(0.02**2 / 2)
    assert found["patient"] > 10 * found["generator_seed"] > 0


def test_organs_have_rows_of_their_own_and_small_ones_are_marked(cases):
    table = summarise_organs(cases, ["dice", "invented"], METHODS, 0.95)
    assert list(table.columns) == ORGANS
    assert table.groupby("organ", sort=False)["small"].first().to_dict() == {"liver": False, "spleen": True}
    means = table.set_index(["organ", "method"])["mean"]
    assert means["liver", "pivm"] - means["spleen", "pivm"] == pytest.approx(0.04)


def test_a_method_that_hardly_finds_an_organ_takes_no_patients_from_the_others(cases):
    """The control finds the liver of one patient of four, and the spleen of two, in one of its runs."""
    control = cases[cases["method"] == "cddpm"].assign(method="prior")
    liver, seed = control["label"] == "liver", control["segmenter_seed"] == 1
    control.loc[liver & (control["patient"] != "p0"), "hausdorff_distance"] = None
    control.loc[~liver & seed & control["patient"].isin(["p0", "p1"]), "hausdorff_distance"] = None
    table = summarise_organs(pd.concat([cases, control]), ["hausdorff_distance", "dice"], [*METHODS, "prior"], 0.95)
    patients = table.set_index(["organ", "metric", "method"])["patients"].unstack().fillna(0)
    assert patients.loc["liver", "hausdorff_distance"].to_dict() == {"cddpm": 4, "pivm": 4, "prior": 0}
    # half of the patients are enough, and then all methods are averaged over these
    assert set(patients.loc["spleen", "hausdorff_distance"]) == {2}
    assert set(patients.xs("dice", level="metric").to_numpy().ravel()) == {4}


def test_a_table_is_written_in_all_four_forms(cases, tmp_path):
    cases.loc[(cases["method"] == "pivm") & (cases["patient"] == "p0") & (cases["label"] == "liver"), "dice"] = None
    summary = summarise(cases, ["dice", "hausdorff_distance", "invented"], METHODS, 0.95)
    paths = SimpleNamespace(**{k: tmp_path / f"table2.{k}" for k in ("csv", "md", "tex", "html")})
    write_table(summary, "table2", TableFacts(0.95, "pivm", weights=" `maisi`: released weights."), paths)
    assert pd.read_csv(paths.csv)["mean"].tolist() == pytest.approx(summary.tidy["mean"].tolist(), nan_ok=True)
    markdown, latex, html = (getattr(paths, k).read_text() for k in ("md", "tex", "html"))
    assert "| Dice Coefficient ↑" in markdown
    best = METRICS["dice"].shown(summary.metrics[0].means["pivm"].mean)
    assert f"**{best}** [" in markdown  # the best of the row
    assert rf"\textbf{{{best}}} [" in latex
    assert r"$\downarrow$" in latex
    assert f"<b>{best}</b> [" in html
    assert "| Invented organs (%) ↓" in markdown
    assert "| –" in markdown
    for text in (markdown, latex, html):
        for part in (
            "4 held-out patients, 2 generator seeds, 2 segmenter seeds",
            "released weights",
            "PIVM (ours) against CDDPM: better in Dice Coefficient",
            "difference to PIVM (ours)",
            "-0.100 [-0.100, -0.100] *",
            "leaves out 12.5",
            "classes that the truth holds",
        ):
            assert part in text


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


@pytest.mark.parametrize(
    ("combined", "p_holm", "said"),
    [(0.71, 0.01, "are better than"), (0.69, 0.01, "are worse than"), (0.71, 0.2, "are not told apart from")],
)
def test_the_run_ends_with_one_sentence(tmp_path, combined, p_holm, said):
    assert last_words(tmp_path, "pivm", 0.95, PHANTOM) == ""
    (tmp_path / "tables").mkdir()
    rows = [(metric, method, mean) for metric in ("miou", "dice") for method, mean in
            (("original", 0.7), ("generated", 0.6), ("combined", combined))]  # fmt: skip
    pd.DataFrame(rows, columns=["metric", "method", "mean"]).to_csv(tmp_path / "tables/table3.csv", index=False)
    pairs = {"metric": ["miou", "dice"], "method": "combined", "reference": "original", "difference": combined - 0.7}
    pairs |= {"ci_low": -0.02, "ci_high": 0.03, "p_holm": p_holm}
    pd.DataFrame(pairs).to_csv(tmp_path / "tables/table3_differences.csv", index=False)
    (tmp_path / "tables/table3.md").touch()
    tables, sentence = last_words(tmp_path, "pivm", 0.95, PHANTOM).splitlines()
    assert tables == f"Tables: {tmp_path / 'tables'} (table3.md)"
    assert sentence == (
        f"Segmenters from phantom and PIVM (ours) slices together {said} those from phantom slices alone: Dice "
        f"Coefficient {combined:.3f} against 0.700, difference {combined - 0.7:+.3f} [-0.020, +0.030]."
    )
    (tmp_path / "report").mkdir()
    (tmp_path / "report/index.html").touch()
    assert f"Page: {tmp_path / 'report/index.html'}" in last_words(tmp_path, "pivm", 0.95, PHANTOM)


def test_what_a_program_drew_is_a_phantom_in_every_form_and_never_real(cases, tmp_path):
    cases["method"] = cases["method"].replace({"cddpm": "original", "pivm": "combined"})
    summary = summarise(cases, ["dice"], ["original", "combined"], 0.95)
    paths = SimpleNamespace(**{k: tmp_path / f"table3.{k}" for k in ("csv", "md", "tex", "html")})
    for words, there, absent in ((PHANTOM, "phantom, synthetic", "real"), (REAL, "real, synthetic", "phantom")):
        write_table(summary, "table3", TableFacts(0.95, "original", baseline=True, words=words), paths)
        for form in ("md", "tex", "html"):
            text = getattr(paths, form).read_text()
            assert there in text
            assert absent not in text.lower()
            assert "Combined against Original: better in Dice Coefficient." in text
    assert [layout.name for layout in layouts().values() if layout.procedural] == ["phantom"]


def test_latex_has_no_bare_percent_sign(cases, tmp_path):
    cases["hausdorff_distance_95"] = cases["hausdorff_distance"]
    summary = summarise(cases, ["hausdorff_distance_95", "invented"], METHODS, 0.95)
    paths = SimpleNamespace(**{k: tmp_path / f"table2.{k}" for k in ("csv", "md", "tex", "html")})
    write_table(summary, "table2", TableFacts(0.95, "pivm"), paths)
    assert not re.search(r"(?<!\\)%", paths.tex.read_text())
