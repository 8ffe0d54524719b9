"""The whole chain at miniature size: real tables, nothing twice, nothing stale, the same bytes again."""

from __future__ import annotations

import json
import re
import runpy
import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from pivm.cohort.prior import Prior
from pivm.cohort.store import SliceStore
from pivm.datasets import Dataset
from pivm.evaluation.cases import read_cases
from pivm.evaluation.organ_intensity import HU_FIDELITY
from pivm.evaluation.organ_texture import ORGAN_TEXTURE
from pivm.evaluation.statistics import ORGANS, TIDY, per_patient

from tests.workflow.conftest import ROOT, Workflow

GENERATORS = ["cddpm", "maisi", "pivm", "prior", "gaussian"]
TABLES = {
    "table2": GENERATORS,
    "table3": ["original", "generated", "combined"],
    "label_agreement": ["original", *GENERATORS[:3]],
}


@pytest.fixture(scope="module")
def results(finished):
    return finished.folder / "results" / "phantom"


@pytest.mark.parametrize("table", TABLES)
def test_a_table_can_be_recomputed_from_its_cases(results, table):
    tidy = pd.read_csv(results / "tables" / f"{table}.csv")
    cases = read_cases(results / "tables" / f"{table}_cases.csv")
    assert list(tidy.columns) == TIDY
    assert list(dict.fromkeys(tidy["method"])) == TABLES[table]
    held = cases["truth_voxels"] > 0
    assert (cases["dice"].notna() == held).all()
    assert (cases["invented"].notna() == ~held).all()
    assert (cases["hausdorff_distance"].notna() == held & (cases["predicted_voxels"] > 0)).all()
    again = per_patient(cases, ["dice"]).groupby("method")["value"].mean()
    for row in tidy[tidy["metric"] == "dice"].itertuples():
        assert row.mean == pytest.approx(again[row.method])
        assert (row.patients, row.generator_seeds, row.segmenter_seeds) == (2, int(row.method != "original"), 1)
    organs = pd.read_csv(results / "tables" / f"{table}_organs.csv")
    assert list(organs.columns) == ORGANS
    assert set(organs["organ"]) <= set(cases["label"])
    differences = pd.read_csv(results / "tables" / f"{table}_differences.csv")
    pairs = len(TABLES[table]) * (len(TABLES[table]) - 1) // 2
    assert (differences["metric"] == "dice").sum() == pairs
    for form in ("md", "tex", "html"):
        assert (results / "tables" / f"{table}.{form}").stat().st_size > 300
    for figure in (table, f"{table}_organs", "panel"):
        assert (results / "figures" / f"{figure}.png").stat().st_size > 10_000


def test_table1_scores_every_generator_per_test_patient(results):
    tidy = pd.read_csv(results / "tables" / "table1.csv")
    cases = pd.read_csv(results / "tables" / "table1_cases.csv")
    methods = TABLES["table2"]
    assert list(tidy.columns) == TIDY
    assert list(dict.fromkeys(tidy["metric"])) == ["ssim", "frechet_distance", "ssim_body", "kid"]
    for metric, part in tidy.groupby("metric"):
        assert part["method"].tolist() == methods, metric
    assert (tidy["patients"] == 2).all()
    assert not cases.isna().any().any()
    assert (cases["generator_seed"] == 1).all()
    assert cases.groupby("method", sort=False)["patient"].nunique().to_dict() == dict.fromkeys(methods, 2)
    assert cases[["ssim", "ssim_body"]].abs().max(axis=None) < 1
    assert (cases["frechet_distance"] > 0).all()
    for metric in ("ssim", "ssim_body", "frechet_distance"):
        means = tidy[tidy["metric"] == metric].set_index("method")["mean"]
        assert means.to_dict() == pytest.approx(cases.groupby("method")[metric].mean().to_dict())
    floor = pd.read_csv(results / "tables" / "table1_floor.csv")
    assert floor[["metric", "method"]].values.tolist() == [["frechet_distance", "real"], ["kid", "real"]]
    for form in ("md", "tex", "html"):
        text = (results / "tables" / f"table1.{form}").read_text()
        assert "EfficientNet-Lite0" in text
        assert "FID" not in text.replace("not comparable with a FID", "")
    for figure in ("table1", "fig4", "hu_fidelity"):
        assert (results / "figures" / f"{figure}.png").stat().st_size > 10_000


def test_texture_is_told_of_every_generator(results):
    table = pd.read_csv(results / "tables" / "organ_texture.csv")
    assert list(table.columns) == ORGAN_TEXTURE
    assert list(dict.fromkeys(table["method"])) == GENERATORS
    assert (table.loc[table["method"] == "prior", "inside"] == 0).all()
    assert (results / "tables" / "organ_texture.md").read_text().count("|") > 30


def test_hu_fidelity_holds_every_organ_of_the_test_slices(results):
    table = pd.read_csv(results / "tables" / "hu_fidelity.csv")
    assert list(table.columns) == HU_FIDELITY
    assert list(dict.fromkeys(table["method"])) == TABLES["table2"]
    assert (table.groupby("organ")["method"].count() == len(TABLES["table2"])).all()
    assert {"liver", "sacrum"} <= set(table["organ"])
    assert (table["wasserstein"] >= (table["mean"] - table["real_mean"]).abs() - 1e-9).all()
    # the prior map is even inside an organ: all that differs is the real spread
    assert (table.loc[table["method"] == "prior", "sd"] < 1).all()


def test_test_slices_come_from_the_label_maps_of_test_patients_alone(results):
    split = pd.read_csv(results / "cohort" / "split.csv").set_index("subject")["split"]
    store = SliceStore(results / "store")
    for generator in TABLES["table2"]:
        folder = results / "images" / generator / "seed_1"
        index = pd.read_csv(folder / "index.csv")
        assert (split[index["source_subject"]] == "test").all()
        assert sorted(index["source_row"]) == store.rows("test").tolist()
        np.testing.assert_array_equal(np.load(folder / "labels.npy"), store.labels[index["source_row"].to_numpy()])


def test_no_test_patient_reaches_training(results):
    split = pd.read_csv(results / "cohort" / "split.csv").set_index("subject")["split"]
    store = SliceStore(results / "store")
    for part in ("train", "val", "test"):
        assert (split[store.index["subject"][store.rows(part)]] == part).all()
    for generator in ("cddpm", "maisi", "pivm"):
        facts = json.loads((results / "generators" / generator / "seed_1" / "model.json").read_text())
        assert (split[facts["patients"]] == "train").all()
        provenance = pd.read_csv(results / "synthesis" / generator / "seed_1" / "slices" / "index.csv")
        assert (split[provenance["source_subject"]] == "train").all()
    tested = pd.read_csv(results / "tables" / "table3_cases.csv")["patient"].unique()
    assert (split[tested] == "test").all()


def test_organ_means_are_those_of_the_training_slices(results):
    store, prior = SliceStore(results / "store"), Prior.load(results / "prior.json")
    rows = store.rows("train")
    hu, labels = np.asarray(store.hu[rows]).astype(float), np.asarray(store.labels[rows])
    for k in (1, 6, 16):
        assert prior.means[k] == pytest.approx(np.clip(hu[labels == k], -200, 300).mean())
    assert prior.means[-1] == pytest.approx(hu[(labels == 0) & np.asarray(store.body[rows])].mean())


def test_synthetic_slices_carry_their_labels_and_provenance(results):
    store = SliceStore(results / "store")
    folder = results / "synthesis" / "pivm" / "seed_1" / "slices"
    provenance = pd.read_csv(folder / "index.csv")
    hu, labels = np.load(folder / "hu.npy"), np.load(folder / "labels.npy")
    assert hu.dtype == np.int16
    assert len(hu) == len(provenance) == 12
    np.testing.assert_array_equal(labels, store.labels[provenance["source_row"].to_numpy()])
    assert provenance["seed"].is_unique
    for column in ("model", "code"):
        assert provenance[column].str.fullmatch(r"[0-9a-f]{16}").all()


def test_synthetic_volumes_are_a_data_set_on_the_grid_of_their_source(finished, results):
    path = results / "synthesis" / "pivm" / "seed_1" / "volumes"
    listing = Dataset("volumes", {"layout": "totalsegmentator", "path": str(path)}).listing()
    (name,) = listing.subjects
    folder = path / name
    source = finished.folder / "data" / "phantom" / name.removesuffix("_pivm")
    synthetic, real = nib.load(folder / "ct.nii.gz"), nib.load(source / "ct.nii.gz")
    np.testing.assert_array_equal(synthetic.affine, real.affine)
    assert synthetic.shape == real.shape
    assert synthetic.get_data_dtype() == np.int16
    for organ in ("liver", "sacrum"):
        masks = [np.asarray(nib.load(f / "segmentations" / f"{organ}.nii.gz").dataobj) for f in (folder, source)]
        np.testing.assert_array_equal(*masks)


def test_synthetic_volumes_can_be_prepared_like_any_scan(finished, results):
    volumes = results / "synthesis" / "pivm" / "seed_1" / "volumes"
    paths = [str(volumes), str(finished.folder / "data" / "phantom")]
    own = {"dataset": "again", "datasets": {"again": {"layout": "totalsegmentator", "path": paths}}}
    done = finished.run(
        "results/again/cohort/selection.csv", configs=("configs/smoke.yaml", finished.overlay("again", own))
    )
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(finished.folder / "results/again/cohort/selection.csv")
    assert (table["subject"].str.endswith("_pivm")).sum() == 1
    assert table["status"].tolist() == ["selected"] * 6, table["reason"].tolist()


def test_the_manifest_says_what_made_the_results(results):
    manifest = json.loads((results / "manifest.json").read_text())
    assert manifest["config"]["image"]["size"] == 32
    assert manifest["versions_of_tables"]["torch"]
    assert set(manifest["models"]) == {
        *(f"generators/{name}/seed_1" for name in TABLES["table2"]),
        "generators/maisi/seed_1/autoencoder",
        "generators/maisi/seed_1/diffusion",
        *(f"segmentation/{name}/generator_seed_1/seed_1" for name in (*TABLES["table2"], "combined")),
        "segmentation/original/seed_1",
    }
    for name, made in manifest["models"].items():
        assert made == json.loads((results / name / "model.json").read_text())["made"]
        assert re.fullmatch(r"[0-9a-f]{16}", made["code"])
        assert set(made["versions"]) == {"python", "torch", "numpy", "pivm"}
    assert set(manifest["data"]["slices"]) == {"hu.npy", "labels.npy", "body.npy", "index.csv"}
    assert (manifest["seeds"]["generators"], manifest["seeds"]["segmentation"]) == ([1], [1])
    assert manifest["hardware"]["processor"]
    assert manifest["hardware"]["threads"] == 1
    assert manifest["commit"] is None, "the copy of the workflow has no history"
    assert manifest["duration_s"]["call"] > 0
    assert manifest["duration_s"]["trainings"]["generators/pivm/seed_1"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", manifest["date"])


def test_a_second_run_does_nothing(finished):
    done = finished.run()
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr


#: rules that make Tables 2 and 3 of the scores
TABLE_RULES = {"table", "figure_table", "figure_organs"}


def rules_of(jobs):
    return {rule for rule in jobs if rule != "all"}


def test_new_segmenter_settings_retrain_no_generator(finished):
    jobs = finished.dry_run(finished.overlay("o1", {"segmentation": {"steps": 13}}))
    assert len(jobs["train_segmenter"]) == 7
    untouched = {"train_generator", "maisi_controlnet"} | {
        "synthesise_slices",
        "prepare_subject",
        "organ_means",
        "synthesise_test",
        "table1",
    }
    assert rules_of(jobs).isdisjoint(untouched)


def test_one_changed_generator_touches_its_own_column_alone(finished):
    change = {"generators": {"cddpm": {"overrides": {"training": {"epochs": 7}}}}}
    jobs = finished.dry_run(finished.overlay("o2", change))
    assert jobs["train_generator"] == ["draw=, generator=cddpm, generator_seed=1"]
    assert jobs["synthesise_slices"] == ["draw=, generator=cddpm, generator_seed=1, recipe=slices"]
    assert jobs["synthesise_test"] == ["cohort=, generator=cddpm, generator_seed=1"]
    assert {w.split(", ")[1] for w in jobs["train_segmenter"]} == {"training_set=cddpm/generator_seed_1"}
    assert "cohort=, table=table2" in jobs["table"]
    assert jobs["synthesise_volumes"] == ["generator=cddpm, generator_seed=1"]


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({"diffusion": {"sampler": {"steps": 4}}}, {"cddpm", "pivm"}),
        ({"maisi": {"sampler": {"steps": 3}}}, {"maisi"}),
        ({"generators": {"cddpm": {"overrides": {"sampler": {"name": "ddim"}}}}}, {"cddpm"}),
    ],
    ids=["diffusion", "maisi", "one generator"],
)
def test_another_sampler_makes_new_slices_and_trains_no_generator(finished, change, changed):
    jobs = finished.dry_run(finished.overlay("o7", change))
    assert not [rule for rule in jobs if rule.startswith(("train_generator", "maisi_"))]
    for rule, before, after in (
        ("sampler_settings", "draw=, ", ""),
        ("synthesise_slices", "draw=, ", ", recipe=slices"),
        ("synthesise_test", "cohort=, ", ""),
    ):
        assert set(jobs[rule]) == {f"{before}generator={name}, generator_seed=1{after}" for name in changed}
    assert set(jobs["synthesise_volumes"]) == {f"generator={name}, generator_seed=1" for name in changed}


def test_a_model_says_how_it_samples(results):
    diffusion = {
        "name": "dpm++",
        "steps": 3,
        "spacing": 0.6,
        "organ_spread": 1.0,
        "guidance": 1.0,
        "reach": 0.1,
        "previous_from": 0.6,
        "prior_draw": "drawn",
    }
    for name, sampler in (("pivm", diffusion), ("maisi", {"batch": 4, "steps": 2}), ("prior", {})):
        folder = results / "generators" / name / "seed_1"
        assert json.loads((folder / "sampler.json").read_text()) == sampler
        assert "sampler" not in json.loads((folder / "model.json").read_text())["settings"]
    assert "steps 3" in (results / "generators/pivm/seed_1/README.md").read_text()
    assert "Sampler" not in (results / "generators/prior/seed_1/README.md").read_text()


def test_settings_that_change_no_number_rerun_nothing(finished):
    compute = {"tensorboard": False, "launcher": "torchrun", "devices": 2, "compile": False}
    change = {"compute": compute, "synthesis": {"batch": 3}, "segmentation": {"test_batch": 3}}
    assert rules_of(finished.dry_run(finished.overlay("o8", change))) == {"manifest", "page"}


def test_another_precision_trains_everything_again(finished):
    jobs = finished.dry_run(finished.overlay("o9", {"compute": {"precision": "bf16"}}))
    assert len(jobs["train_generator"]) == 4
    assert len(jobs["maisi_autoencoder"]) == 1
    assert len(jobs["train_segmenter"]) == 7


def test_another_level_of_confidence_scores_no_image_again(finished):
    jobs = finished.dry_run(finished.overlay("o10", {"tables": {"confidence": 0.9}}))
    others = {"table1", "hu_fidelity", "figure_hu_fidelity", "model_card", "manifest", "page"}
    assert rules_of(jobs) == TABLE_RULES | others


def test_real_slices_count_where_there_are_any(finished):
    jobs = finished.dry_run(finished.overlay("o11", {"segmentation": {"real_slices": 4}}))
    assert {w.split(", ")[1] for w in jobs["train_segmenter"]} == {
        "training_set=original",
        "training_set=combined/generator_seed_1",
    }


@pytest.mark.parametrize("changed", [{"synthetic_share": 0.25}, {"synthetic_share": None, "synthetic_first": 0.5}])
def test_how_two_kinds_are_mixed_counts_where_there_are_two(finished, changed):
    jobs = finished.dry_run(finished.overlay(f"o12_{len(changed)}", {"segmentation": changed}))
    assert {w.split(", ")[1] for w in jobs["train_segmenter"]} == {"training_set=combined/generator_seed_1"}


def test_a_later_stage_of_maisi_reruns_no_earlier_one(finished):
    jobs = finished.dry_run(finished.overlay("o5", {"maisi": {"controlnet": {"steps": 5}}}))
    assert jobs["maisi_controlnet"] == ["generator=maisi, generator_seed=1"]
    assert rules_of(jobs).isdisjoint({"maisi_autoencoder", "maisi_diffusion", "train_generator"})


def test_released_weights_are_put_together_and_nothing_is_trained(finished):
    folder = finished.folder / "released"
    folder.mkdir()
    for name in ("autoencoder_v1.pt", "diff_unet_3d_rflow-ct.pt", "controlnet_3d_rflow-ct.pt"):
        (folder / name).touch()
    jobs = finished.dry_run(finished.overlay("o6", {"generators": {"maisi": {"weights": "released"}}}))
    assert jobs["maisi_released"] == ["generator=maisi, generator_seed=1"]
    assert rules_of(jobs).isdisjoint({"maisi_autoencoder", "maisi_diffusion", "maisi_controlnet"})


def test_one_more_patient_is_read_alone(finished):
    jobs = finished.dry_run(finished.overlay("o3", {"datasets": {"phantom": {"patients": 6}}}))
    assert jobs["prepare_subject"] == ["subject=phantom_0005"]
    assert jobs["phantom_patient"] == ["subject=phantom_0005"]
    assert "slice_store" in jobs


def test_another_data_set_leaves_the_first_in_place(finished):
    other = {"dataset": "second", "datasets": {"second": {"layout": "phantom", "path": "data/second"}}}
    other["datasets"]["second"] |= {"patients": 5, "seed": 8, "matrix": 48, "slice_spacing": 12.0}
    jobs = finished.dry_run(finished.overlay("o4", other))
    assert len(jobs["prepare_subject"]) == 5
    assert finished.dry_run() == {}


@pytest.mark.parametrize(
    ("module", "edit", "expected"),
    [
        (
            "segmentation/segmenter.py",
            ("    return entropy + 1 - torch", "    return 1 + entropy - torch"),
            {"train_segmenter", "test_segmenter", *TABLE_RULES, "manifest", "model_card", "agreement", "page"},
        ),
        (
            "report/drawing.py",
            ('matplotlib.use("Agg")', 'matplotlib.use("Agg", force=True)'),
            {
                *("figure_table", "figure_organs", "figure_panel", "figure_zoom", "figure_volumes", "figure_cohort"),
                *("figure_hu_fidelity", "page"),
            },
        ),
    ],
)
def test_edited_library_code_reruns_the_stages_that_use_it(finished, module, edit, expected):
    path = finished.folder / "workflow_scripts" / "pivm" / module
    before = path.read_text()
    try:
        assert edit[0] in before
        path.write_text(before.replace(*edit))
        assert rules_of(finished.dry_run()) == expected
        path.write_text(before + "\n# a comment\nUNUSED = True\n")
        assert finished.dry_run() == {}
    finally:
        path.write_text(before)


def test_the_page_about_reruns_is_that_of_dry_runs(finished, warm, monkeypatch):
    for name, value in warm.items():
        monkeypatch.setenv(name, value)
    page = (ROOT / "docs" / "reruns.md").read_text()
    script = runpy.run_path(str(ROOT / "docs" / "make_reruns.py"))
    assert script["table"](finished.folder) in page


def test_the_report_holds_tables_and_figures(finished):
    done = finished._call(["snakemake", "--cores", "1", "--configfile", "configs/smoke.yaml", "--report", "report.zip"])
    assert done.returncode == 0, done.stderr
    shutil.unpack_archive(finished.folder / "report.zip", finished.folder / "unpacked")
    names = " ".join(p.name for p in (finished.folder / "unpacked").rglob("*"))
    for name in ("table1.html", "table2.csv", "table3.html", "panel.png", "table2.png", "fig4.png", "hu_fidelity.png"):
        assert name in names
    page = next((finished.folder / "unpacked").rglob("report.html")).read_text()
    assert re.search("held-out", page)


def test_two_fresh_runs_give_the_same_bytes(finished, tmp_path, warm):
    """One with a Python for Snakemake and for each job, one with forked processes."""
    again = Workflow(tmp_path / "again", warm=warm)
    assert again.run().returncode == 0
    for table in ("table1", *TABLES):
        for name in (f"{table}.csv", f"{table}_cases.csv", f"{table}_differences.csv"):
            first, second = (w.folder / "results/phantom/tables" / name for w in (finished, again))
            assert first.read_bytes() == second.read_bytes(), name
