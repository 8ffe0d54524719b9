"""Table 1 in the paper's shape, its footnote, and HU per organ as a page and a figure."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pivm.evaluation.image_metrics import shown_metrics, with_companions
from pivm.evaluation.image_scoring import ImageScores
from pivm.evaluation.image_summary import summarise_images
from pivm.evaluation.organ_intensity import HU_FIDELITY
from pivm.evaluation.statistics import TIDY
from pivm.report.image_table import write_image_table
from pivm.report.organ_hu_figure import plot_hu_fidelity
from pivm.report.organ_hu_table import markdown
from pivm.report.words import PHANTOM, REAL, TableFacts

ROOT = Path(__file__).parents[2]
SSIM = {"cddpm": [0.2, 0.7, 0.3], "pivm": [0.8, 0.6, 0.7]}
DISTANCE = {"cddpm": [100.0, 60.0, 80.0], "pivm": [50.0, 70.0, 60.0]}


@pytest.fixture(params=["inception", "efficientnet_lite0"])
def written(request, tmp_path):
    """(extractor, tidy, text per form) of a table of three patients and two methods."""
    shown = shown_metrics(["ssim", "frechet_distance"], request.param)
    distance = shown[1].key
    rows = [
        {
            "method": m,
            "generator_seed": 1,
            "patient": f"p_{i}",
            "slices": 15 - i,
            "ssim": SSIM[m][i],
            "ssim_body": SSIM[m][i] / 2,
        }
        | {distance: DISTANCE[m][i]}
        for m in SSIM
        for i in range(3)
    ]
    kid = pd.DataFrame(
        [
            {"method": method, "generator_seed": None if method == "real" else 1, "without": left_out, "kid": value}
            | {"patients": 3 - bool(left_out), "slices": 42}
            for method, middle, spread in (("cddpm", 300, 20), ("pivm", 100, 10), ("real", -2, 1.6))
            for left_out, value in (("", middle), ("p_0", middle - spread), ("p_1", middle), ("p_2", middle + spread))
        ]
    )
    floor = pd.DataFrame({"method": "real", "patient": ["p_0", "p_1", "p_2"], "slices": 1, distance: [10.0, 11, 12]})
    floor["generator_seed"] = None
    scores = ImageScores(pd.DataFrame(rows), floor, kid)
    table = summarise_images(scores, with_companions(shown), list(SSIM), 0.95)
    paths = SimpleNamespace(**{k: tmp_path / f"table1.{k}" for k in ("csv", "md", "tex", "html")})
    write_image_table(table, shown, (-200, 300), TableFacts(0.95, "pivm", weights=" `maisi`: released weights."), paths)
    return request.param, table.summary.tidy, {form: path.read_text() for form, path in vars(paths).items()}


def test_the_tidy_table_has_the_columns_of_the_others(written):
    extractor, tidy, forms = written
    assert forms["csv"].splitlines()[0] == ",".join(TIDY)
    assert list(dict.fromkeys(tidy["metric"])) == [
        "ssim",
        {"inception": "fid"}.get(extractor, "frechet_distance"),
        "ssim_body",
        "kid",
    ]
    assert set(tidy["method"]) == {"cddpm", "pivm"}


def test_a_row_per_patient_and_the_best_in_bold(written):
    _, _, forms = written
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in forms["md"].splitlines()[:8]]
    assert lines[2] == ["1", "0.200", "0.800", "100.00", "50.00"]
    assert lines[3] == ["2", "0.700", "0.600", "60.00", "70.00"]
    # three patients tell nothing apart, so nothing is bold
    assert lines[5] == ["Avg. ± sd", "0.400 ± 0.265", "0.700 ± 0.100", "80.00 ± 20.00", "60.00 ± 10.00"]
    assert lines[6][0] == "95 % interval"
    assert lines[6][4] == "[39.66, 90.77]"
    assert lines[7][0] == "difference to PIVM (ours)"
    assert lines[7][1].startswith("-0.300 [")
    assert lines[7][2] == "–"
    assert r"Avg. $\pm$ sd & 0.400 $\pm$ 0.265 & 0.700 $\pm$ 0.100" in forms["tex"]
    assert r"p\_0, p\_1, p\_2" in forms["tex"]
    assert r"\multicolumn{2}{c}{SSIM $\uparrow$}" in forms["tex"]
    assert "<td>0.700 ± 0.100</td>" in forms["html"]
    assert "PIVM (ours) against CDDPM: better in KID × 1000; not told apart in SSIM," in forms["html"]


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
        "jackknife over patients: CDDPM 300.0 [200.6, 399.4]; PIVM (ours) 100.0 [50.3, 149.7]",
        "training patients -2.0",
        "real slices of each patient against",
    ):
        assert text in forms["md"]


def test_a_metric_of_all_patients_can_be_a_column(tmp_path):
    shown = shown_metrics(["kid", "ssim"], "efficientnet_lite0")
    cases = pd.DataFrame(
        {"method": ["a", "b"], "generator_seed": 1, "patient": "p", "slices": 2, "ssim": [0.1, 0.2]}
        | {"ssim_body": 0.3}
    )
    kid = {"method": ["a", "b", "real"], "generator_seed": [1, 1, None], "without": "", "kid": [20.0, 10.0, 0.0]}
    floor = pd.DataFrame({"method": ["real"], "generator_seed": None, "patient": ["p"], "slices": [2]})
    scores = ImageScores(cases, floor, pd.DataFrame({**kid, "patients": 1, "slices": 2}))
    table = summarise_images(scores, with_companions(shown), ["a", "b"], 0.95)
    paths = SimpleNamespace(**{k: tmp_path / f"table1.{k}" for k in ("csv", "md", "tex", "html")})
    write_image_table(table, shown, (-200, 300), TableFacts(0.95, "b"), paths)
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in paths.md.read_text().splitlines()[:4]]
    assert lines[0][1] == "KID × 1000 ↓ a"
    assert lines[2:] == [["1", "–", "–", "0.100", "0.200"], ["Avg. ± sd", "20.0", "10.0", "0.100", "0.200"]]
    assert list(dict.fromkeys(table.summary.tidy["metric"])) == ["ssim", "ssim_body", "kid"]
    assert table.floor["metric"].tolist() == ["kid"]


TOY_METRIC = '''
"""Mean absolute error."""
import numpy as np

from pivm.evaluation.metrics import PatientMetric

METRIC = PatientMetric(
    key="mean_absolute_error",
    title="Mean absolute error",
    unit="HU",
    better="lower",
    digits=1,
    note="over all pixels",
    compute=lambda images: float(np.abs(images.real.hu.astype(int) - images.synthetic.hu).mean()),
)
'''
RUN_SCRIPTS = """
import json, runpy, sys
from pathlib import Path
from types import SimpleNamespace
import yaml
from pivm.config import validate

class Files(SimpleNamespace):
    def __iter__(self):
        return iter(vars(self).values())

scripts, jobs, config_file = sys.argv[1:]
config = yaml.safe_load(Path(config_file).read_text())
config["tables"]["image_metrics"] = ["ssim", "mean_absolute_error"]
validate(config)
for name, facts in json.loads(Path(jobs).read_text()).items():
    facts["params"]["tables"] = config["tables"]
    parts = {key: Files(**value) for key, value in facts.items()}
    snakemake = SimpleNamespace(rule=name, log=[f"{name}.log"], threads=1, config=config, **parts)
    runpy.run_path(f"{scripts}/{name}.py", {"snakemake": snakemake})
"""


def write_slices(folder: Path) -> dict:
    """A store of two training and two test slices, and slices of generators that are 3 and 5 HU too bright."""
    hu = np.random.default_rng(0).integers(-100, 200, (4, 16, 16)).astype(np.int16)
    subjects, split = ["x", "y", "t1", "t2"], ["train", "train", "test", "test"]
    (folder / "store").mkdir()
    arrays = {"hu": hu, "labels": np.ones_like(hu, np.uint8), "body": np.ones_like(hu, bool)}
    for name, array in arrays.items():
        np.save(folder / "store" / f"{name}.npy", array)
    index = {
        "subject": subjects,
        "patient": subjects,
        "split": split,
        "role": "target",
        "z": 0,
        "pixel_mm": 1.0,
        "step_mm": 1.0,
    }
    pd.DataFrame(index).to_csv(folder / "store" / "index.csv", index=False)
    pd.DataFrame({"subject": subjects, "patient": subjects, "split": split}).to_csv(folder / "split.csv", index=False)
    files = {"store": [str(folder / "store" / "hu.npy")], "split": str(folder / "split.csv"), "synthetic": []}
    for method, error in (("cddpm", 5), ("pivm", 3)):
        (folder / method).mkdir()
        np.save(folder / method / "hu.npy", hu[2:] + np.int16(error))
        rows = pd.DataFrame({"row": [0, 1], "source_subject": subjects[2:], "source_row": [2, 3]})
        rows.to_csv(folder / method / "index.csv", index=False)
        files["synthetic"] += [str(folder / method / name) for name in ("index.csv", "hu.npy")]
    return files


def test_a_metric_is_one_file_and_its_name_in_the_config(tmp_path):
    scripts = tmp_path / "workflow_scripts"
    shutil.copytree(ROOT / "workflow_scripts", scripts, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    (scripts / "pivm/evaluation/image_metrics/mean_absolute_error.py").write_text(TOY_METRIC)
    scores = {name: str(tmp_path / f"{name}.csv") for name in ("cases", "floor", "kid")}
    forms = {form: str(tmp_path / f"table1.{form}") for form in ("csv", "md", "tex", "html")}
    beside = {name: str(tmp_path / f"table1_{name}.csv") for name in ("cases", "floor", "differences")}
    runs = [["cddpm", 1], ["pivm", 1]]
    compute = {"device": "cpu", "precision": "fp32", "threads": 1}
    machine = {"devices": 1}
    jobs = {
        "image_scores": {
            "input": write_slices(tmp_path),
            "output": scores,
            "params": {"runs": runs, "part": "test", "compute": compute, "machine": machine},
        },
        "table1": {
            "input": scores,
            "output": {**forms, **beside},
            "params": {"runs": runs, "weights": "", "reference": "pivm", "procedural": True},
        },
    }
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    (tmp_path / "run.py").write_text(RUN_SCRIPTS)
    arguments = [scripts, tmp_path / "jobs.json", ROOT / "config.yaml"]
    environment = {**os.environ, "PYTHONPATH": str(scripts)}
    command = [sys.executable, "run.py", *map(str, arguments)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    text = {form: Path(path).read_text() for form, path in forms.items()}
    assert "mean_absolute_error,HU,lower,pivm,3.0," in text["csv"]
    assert "Mean absolute error (HU) ↓ PIVM (ours)" in text["md"]
    assert "**3.0** ± 0.0" in text["md"]
    assert r"Mean absolute error (HU) $\downarrow$" in text["tex"]
    assert r"\textbf{3.0} $\pm$ 0.0" in text["tex"]
    assert "Mean absolute error (HU) ↓" in text["html"]
    assert "<b>3.0</b> ± 0.0" in text["html"]
    for form in ("md", "tex", "html"):
        assert "Mean absolute error: over all pixels." in text[form]
        assert "EfficientNet" not in text[form]


@pytest.fixture
def fidelity():
    rows = [
        ("liver", "pivm", 3, 100, 60.0, 12.0, 57.0, 64.0, 20.0, 6.0, 4.2, -1.0, 9.4, 1),
        ("my_organ", "pivm", 1, 9, -50.0, 8.0, None, -52.0, 9.0, 4.0, -2.0, None, None, 1),
    ]
    return pd.DataFrame(rows, columns=HU_FIDELITY)


def test_hu_fidelity_as_a_page(fidelity):
    page = markdown(fidelity, REAL)
    liver = next(line for line in page.splitlines() if "liver" in line)
    assert [cell.strip() for cell in liver.split("|")[1:-1]] == [
        "liver",
        "60 ± 12",
        "57",
        "64 ± 20",
        "+4 [-1, +9]",
        "6.0",
    ]
    assert (
        "mean off by 3.0 (7.0 from training patients), distance 5.0; real slices of training patients: mean off by 3.0"
        in page
    )
    assert "3 held-out patients" in page
    assert "real" not in markdown(fidelity, PHANTOM).lower()
    assert "3 held-out phantom patients" in markdown(fidelity, PHANTOM)


@pytest.mark.parametrize("organs", [["liver", "my_organ"], ["my_organ"]])
def test_hu_fidelity_is_drawn_for_any_organs(fidelity, organs, tmp_path):
    plot_hu_fidelity(fidelity[fidelity["organ"].isin(organs)], PHANTOM, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000
