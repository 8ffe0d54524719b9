"""Targets beside the tables, and runs that leave something out, on the finished miniature results."""

from __future__ import annotations

import itertools
import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from pivm.cohort.split import read_split
from pivm.datasets import Dataset, read_ct, read_labels
from pivm.labels import ORGANS_34, LabelSet
from pivm.scans.label_maps import Policy
from pivm.segmentation.nnunet import dataset_names, is_installed
from pivm.synthesis.export import FORMS

PARTS = ("original", "generated", "combined")
NNUNET = {part: f"nnUNet_raw/{name}" for part, name in dataset_names(501, "phantom").items()}
#: (part, form) -> where it is exported
EXPORTS = {
    (part, form): f"results/phantom/export/{NNUNET[part] if form == 'nnunet' else f'{part}_{form}'}"
    for part, form in itertools.product(PARTS, FORMS)
}


def listing(path, layout="totalsegmentator"):
    return Dataset("d", {"layout": layout, "path": str(path)}).listing()


def patients_of(workflow, name: str) -> set[str]:
    """The patients of a part of the split."""
    split = read_split(workflow.folder / "results/phantom/cohort/split.csv")
    return {subject for subject, part in split.items() if part == name}


def training_patients(workflow) -> set[str]:
    return patients_of(workflow, "train")


@pytest.fixture(scope="module")
def extended(finished, tmp_path_factory):
    """The finished run, with what is made on demand alone: exports, ablation, evidence and privacy audit."""
    workflow = finished.twin(tmp_path_factory.mktemp("extended") / "workflow")
    done = workflow.run(*EXPORTS.values(), "ablation", "evidence", "privacy")
    assert done.returncode == 0, done.stdout + done.stderr
    return workflow


@pytest.mark.parametrize(("part", "form"), itertools.product(PARTS, FORMS))
def test_an_export_reads_back_as_what_it_was_made_of(extended, part, form):
    scans = listing(extended.folder / "data/phantom").subjects
    sources = {name: scans[name] for name in training_patients(extended)} if part != "generated" else {}
    if part != "original":
        sources |= listing(extended.folder / "results/phantom/synthesis/pivm/seed_1/volumes").subjects
    if form == "nnunet":  # which validates and tests on real patients, whatever it learns from
        sources |= {name: scans[name] for part in ("val", "test") for name in patients_of(extended, part)}
    exported = listing(extended.folder / EXPORTS[part, form], form)
    assert set(exported.subjects) == set(sources)
    assert exported.refused == {}
    labels = LabelSet(ORGANS_34)
    for name, subject in exported.subjects.items():
        before, after = read_ct(sources[name]), read_ct(subject)
        np.testing.assert_array_equal(after.hu, before.hu)
        np.testing.assert_allclose(after.affine, before.affine)
        one, other = (read_labels(s, labels, after.grid, Policy()).array for s in (sources[name], subject))
        np.testing.assert_array_equal(one, other)
        assert one.any()


def test_nnunet_validates_on_real_patients_and_is_given_the_test_patients_apart(extended):
    validation, test = patients_of(extended, "val"), patients_of(extended, "test")
    for part in PARTS:
        folder = extended.folder / EXPORTS[part, "nnunet"]
        cases = {path.name.removesuffix(".nii.gz") for path in (folder / "labelsTr").iterdir()}
        (fold,) = json.loads((folder / "splits_final.json").read_text())
        assert set(fold["val"]) == validation
        assert set(fold["train"]) == cases - validation
        assert cases.isdisjoint(test)
        assert {path.name.removesuffix(".nii.gz") for path in (folder / "labelsTs").iterdir()} == test
        assert {path.name.removesuffix("_0000.nii.gz") for path in (folder / "imagesTs").iterdir()} == test


@pytest.mark.skipif(not is_installed(), reason="the extra `nnunet` is not installed")
def test_nnunet_is_scored_beside_our_segmenters(extended):
    """Its own check of the data sets, its plans, a training of one epoch on each, its predictions."""
    workflow = extended
    done = workflow.run("nnunet")
    assert done.returncode == 0, done.stdout + done.stderr
    results = workflow.folder / "results/phantom"
    table = pd.read_csv(results / "tables/nnunet.csv")
    assert list(dict.fromkeys(table["method"])) == [*PARTS, *(f"nnunet_{part}" for part in PARTS)]
    cases = pd.read_csv(results / "tables/nnunet_cases.csv")
    assert cases.groupby("method")["scan"].agg(set).map(lambda scans: scans == patients_of(workflow, "test")).all()
    assert workflow.dry_run(targets=["nnunet"]) == {}


@pytest.mark.skipif(is_installed(), reason="the extra `nnunet` is installed")
def test_nnunet_that_is_not_installed_is_named_with_its_extra_before_any_job(finished):
    done = finished.run("nnunet", "-n")
    assert done.returncode == 1
    assert "the package nnunetv2 is not installed; it is the extra `nnunet`" in done.stdout + done.stderr


def test_the_ablation_compares_all_labels_with_13(extended):
    tables = extended.folder / "results/phantom/tables"
    tidy, cases = pd.read_csv(tables / "ablation.csv"), pd.read_csv(tables / "ablation_cases.csv")
    assert list(dict.fromkeys(tidy["method"])) == ["labels_34", "labels_13"]
    assert tidy["mean"].notna().all()
    assert cases.groupby("method")["patient"].nunique().to_dict() == {"labels_34": 2, "labels_13": 2}
    for form in ("md", "tex", "html"):
        assert (tables / f"ablation.{form}").stat().st_size > 300
    assert (extended.folder / "results/phantom/figures/fig6.png").stat().st_size > 10_000


def test_the_evidence_compares_arms_in_nested_draws(extended):
    results = extended.folder / "results/phantom"
    table, cases = (pd.read_csv(results / f"tables/evidence{kind}.csv") for kind in ("", "_cases"))
    # where all training patients keep their CT there are no label maps without
    everywhere = {"real", "augmented", "deformed", "rare_real"}
    expected = {1: everywhere | {"labels_only", "pretrained"}, 2: everywhere}
    for test in ("same", "shifted"):
        shown = table[(table["organs"] == "all") & (table["test"] == test)]
        assert shown.groupby("annotated")["arm"].agg(set).to_dict() == expected
    assert cases["patient"].nunique() == 2
    same, shifted = (cases[cases["test"] == test].reset_index(drop=True) for test in ("same", "shifted"))
    assert shifted["truth_voxels"].tolist() == same["truth_voxels"].tolist()
    assert shifted["predicted_voxels"].tolist() != same["predicted_voxels"].tolist()
    assert "add nothing that 2 test patients can show" in (results / "tables/evidence.md").read_text()
    assert (results / "figures/evidence.png").stat().st_size > 10_000


def test_another_scanner_reruns_no_training_and_no_score_of_the_tables(extended, tmp_path):
    (tmp_path / "noisier.yaml").write_text("evidence: {shifted: {noise_hu: 20.0}}\n")
    jobs = extended.dry_run(str(tmp_path / "noisier.yaml"), targets=("evidence",))
    assert set(jobs) == {"test_segmenter", "evidence_table", "evidence"}
    assert len(jobs["test_segmenter"]) == 10  # six arms of one draw, four of the other
    assert all("test=_shifted" in wildcards for wildcards in jobs["test_segmenter"])


def test_another_list_of_draws_redoes_none_that_is_there(extended, tmp_path):
    """A smaller experiment is part of a larger one: another choice of draws trains for those alone that are new."""
    (tmp_path / "one.yaml").write_text("evidence: {patients: [1]}\n")
    assert set(extended.dry_run(str(tmp_path / "one.yaml"), targets=("evidence",))) == {"evidence_table", "evidence"}


def test_the_page_shows_an_evidence_that_is_there_and_makes_none_anew(extended, tmp_path):
    (tmp_path / "more.yaml").write_text("evidence: {patients: [1, 2], steps: [1.0, 2.0], shifted: {noise_hu: 20.0}}\n")
    alone = extended.dry_run(str(tmp_path / "more.yaml"), targets=("all",))
    assert set(alone) == {"manifest", "page", "all"}
    together = extended.dry_run(str(tmp_path / "more.yaml"), targets=("all", "evidence"))
    assert {"train_segmenter", "evidence_table", "page"} <= set(together)


def test_the_evidence_learns_from_its_own_draw_alone(extended):
    results = extended.folder / "results/phantom"
    whole, drawn = (read_split(results / f"{d}cohort/split.csv") for d in ("", "evidence/annotated_1/"))
    train = {subject for subject, part in drawn.items() if part == "train"}
    others = training_patients(extended) - train
    assert len(train) == len(others) == 1
    assert {s for s, part in drawn.items() if part == "test"} == {s for s, part in whole.items() if part == "test"}
    folder = results / "evidence/annotated_1"
    model = json.loads((folder / "generators/pivm/seed_1/model.json").read_text())
    assert set(model["patients"]) == train
    for recipe, sources in (("from_augmented", train), ("from_labels_only", others)):
        index = pd.read_csv(folder / f"synthesis/pivm/seed_1/{recipe}/index.csv", keep_default_na=False)
        assert set(index["source_subject"]) == sources
        assert set(index["source"]) == {recipe.removeprefix("from_")}
        assert index["transform"].str.startswith("phantom").all() == (recipe == "from_augmented")
    losses = [pd.read_csv(f / "generators/pivm/seed_1/losses.csv")["step"].max() for f in (results, folder)]
    assert losses[0] == losses[1]  # as many steps on fewer patients
    virtual = pd.read_csv(folder / "sources/augmented/index.csv")
    assert set(virtual["source_subject"]) == train


def test_the_privacy_audit_speaks_of_every_generator_and_of_its_controls(extended):
    results = extended.folder / "results/phantom"
    table = pd.read_csv(results / "tables/privacy.csv", keep_default_na=False, na_values="")
    synthetic = {"cddpm", "maisi", "pivm", "prior", "gaussian", "few_patients", "repeated_patient"}
    assert set(table["method"]) == {"real", *synthetic}
    attacked = table[table["metric"] == "membership_auc"].set_index("method")
    assert set(attacked.index) == {"cddpm", "pivm", "few_patients", "repeated_patient"}
    assert attacked["patients"].to_dict() == {"cddpm": 2, "pivm": 2, "few_patients": 2, "repeated_patient": 1}
    assert (attacked["compared"] == 3).all()  # one validation and two test patients
    for method in synthetic:
        assert set(table.loc[table["method"] == method, "label_maps"].dropna()) == {"train", "test"}
    assert "The audit proves nothing" in (results / "tables/privacy.md").read_text()  # of five patients
    assert (results / "figures/privacy.png").stat().st_size > 20_000


def test_the_privacy_audit_goes_into_the_model_cards_and_stays(extended):
    results = extended.folder / "results/phantom"
    for name, said in (("pivm", "are too few to tell"), ("prior", "it has no denoising loss to attack")):
        card = (results / f"generators/{name}/seed_1/README.md").read_text()
        assert said in card.split("## Privacy")[1].split("## Limits")[0]
    assert set(extended.dry_run()) == {"page", "all"}  # the page alone, which now has an evidence and an audit to show


def test_the_audited_controls_learnt_from_whom_they_must_copy(extended):
    folder = extended.folder / "results/phantom/privacy/controls"
    for name, patients in (("few_patients", 2), ("repeated_patient", 1)):
        split = read_split(folder / name / "split.csv")
        audited = {subject for subject, part in split.items() if part == "train"}
        assert len(audited) == patients
        distances = pd.read_csv(folder / name / "distances.csv")
        assert set(distances.loc[distances["set"] == "train", "patient"]) == audited
        assert set(distances["nearest_patient"]) == audited
        model = json.loads((folder / name / "model.json").read_text())
        assert set(model["patients"]) == training_patients(
            extended
        )  # two there are, and the others of one who is repeated


def test_the_gate_drops_copies_where_it_is_asked_to(extended, tmp_path):
    keep = dict.fromkeys(("organs_missing", "hu_outside"), 1.0) | {"organ_found": 0.0, "hu_percentile": 0.0}
    keep |= {"min_pixels": 1, "at_random": False, "copy_percentile": 1.0}
    workflow = extended.twin(tmp_path / "workflow")
    own = workflow.overlay("keep", {"synthesis": {"keep": keep}})
    scores = "results/phantom/synthesis/pivm/seed_1/slices/gate.csv"
    done = workflow.run(scores, configs=("configs/smoke.yaml", own))
    assert done.returncode == 0, done.stdout + done.stderr
    table = pd.read_csv(workflow.folder / scores)
    assert (table["keep"] == ~table["copy"]).all()
    log = done.stdout + done.stderr
    assert "rule privacy_slices" not in log  # those of the audit serve


def test_a_changed_scan_redoes_what_reads_it(extended, tmp_path):
    """Even where preparation alone ran first and finds all the same facts: HU that differ by 1."""
    workflow, subject = extended.twin(tmp_path / "workflow"), min(training_patients(extended))
    targets = (*EXPORTS.values(), "results/phantom/synthesis/pivm/seed_1/volumes", "results/phantom/figures/fig5.png")
    targets += ("results/phantom/store/index.csv",)
    assert workflow.dry_run(targets=targets) == {}
    path = workflow.folder / "data/phantom" / subject / "ct.nii.gz"
    image = nib.load(path)
    changed = np.asarray(image.dataobj) + np.int16(1)
    nib.save(nib.Nifti1Image(changed, image.affine, image.header), path)
    assert workflow.run("results/phantom/cohort/split.csv").returncode == 0
    jobs = workflow.dry_run(targets=targets)
    assert len(jobs["export"]) == len(EXPORTS)
    assert {"slice_store", "synthesise_volumes", "figure_volumes"} <= set(jobs)


def test_controls_and_volumes_can_be_left_out(finished, tmp_path):
    workflow = finished.twin(tmp_path / "workflow")
    own = workflow.overlay("slim", {"tables": {"controls": []}, "synthesis": {"volumes": 0}})
    jobs = workflow.dry_run(own, "--forceall")
    assert set(jobs).isdisjoint({"synthesise_volumes", "figure_volumes"})
    tables = [f"results/phantom/tables/{table}.csv" for table in ("table1", "table2")]
    done = workflow.run(*tables, configs=("configs/smoke.yaml", own))
    assert done.returncode == 0, done.stdout + done.stderr
    for table in tables:
        tidy = pd.read_csv(workflow.folder / table)
        assert list(dict.fromkeys(tidy["method"])) == ["cddpm", "maisi", "pivm"]
        assert tidy["mean"].notna().all()
    log = done.stdout + done.stderr
    assert "rule train_generator" not in log
    assert "rule train_segmenter" not in log
