"""The page of a run: data that stay data, runs that are not finished, a thousand patients, and a real browser."""

from __future__ import annotations

import base64
import gzip
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pivm.cohort.prior import Prior
from pivm.cohort.store import SliceStore
from pivm.datasets.listing import Subject
from pivm.errors import PivmError
from pivm.evaluation.agreement import agreement
from pivm.evaluation.organ_shares import organ_shares
from pivm.evaluation.paired import PairedSlices, SyntheticRun
from pivm.evaluation.statistics import summarise, summarise_organs
from pivm.report.drawing import WINDOW
from pivm.report.method_table import agreement_note, write_table
from pivm.report.page import niivue
from pivm.report.page.build import write_page
from pivm.report.page.data_file import write_data
from pivm.report.page.facts import PageRun
from pivm.report.page.gallery import choose
from pivm.report.page.verdict import verdict
from pivm.report.page.volumes import VOXELS, block, bounding_box, mean_of_blocks
from pivm.report.words import PHANTOM, TableFacts

from tests.conftest import ORGANS, make_scan, save_nifti

HOSTILE = "<script>window.broken=1</script>\"'é"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
COLUMNS = {"table2": ("cddpm", "pivm"), "table3": ("original", "generated", "combined")}


def value_of(path: Path):
    """What a data file hands to the page."""
    name, value = re.fullmatch(r"pivm\.put\((\".*?\"), (.*)\);\n", path.read_text(encoding="ascii")).groups()
    return json.loads(name), json.loads(value)


def write_cases(folder: Path, patients, shift: float = 0.0) -> None:
    """Tables 2 and 3 with what stands beside them; combined is `shift` better than original."""
    rng = np.random.default_rng(1)
    base = {patient: rng.uniform(0.6, 0.8) for patient in patients}
    gains = {"original": 0, "combined": shift, "generated": -0.05, "pivm": -0.05, "cddpm": -0.1}
    (folder / "tables").mkdir(parents=True)
    for table, methods in COLUMNS.items():
        rows = [
            {
                **{"method": method, "generator_seed": None if method == "original" else 1, "segmenter_seed": 1},
                **{"patient": patient, "scan": patient, "label": label, "truth_voxels": 50, "predicted_voxels": 50},
                "dice": base[patient] + gains[method] + rng.normal(0, 0.003),
            }
            for method in methods
            for patient in patients
            for label in ("liver", "spleen")
        ]
        cases, place = pd.DataFrame(rows), folder / "tables"
        summary = summarise(cases, ["dice"], methods, 0.95)
        summary.differences.to_csv(place / f"{table}_differences.csv", index=False)
        summarise_organs(cases, ["dice"], methods, 0.95).to_csv(place / f"{table}_organs.csv", index=False)
        cases.to_csv(place / f"{table}_cases.csv", index=False)
        forms = SimpleNamespace(**{form: place / f"{table}.{form}" for form in ("csv", "md", "tex", "html")})
        forms.differences = place / f"{table}_differences.csv"
        write_table(summary, table, TableFacts(0.95, "original" if "original" in methods else methods[-1]), forms)


def write_slices(folder: Path, patient: str) -> None:
    """A store of four slices of a test patient, organ means, and slices of two generators."""
    rows = pd.DataFrame({"subject": patient, "patient": patient, "split": "test", "z": range(4), "role": "target"})
    rows = rows.assign(previous=-1, pixel_mm=4.0, step_mm=5.0, below_mm=5.0)
    labels = np.zeros((4, 16, 16), np.uint8)
    labels[:, 4:8, 4:8], labels[:, 9:12, 9:12] = 1, 2
    hu = np.where(labels > 0, 100, -50).astype(np.int16)
    SliceStore.write(folder / "store", [(rows, {"hu": hu, "labels": labels, "body": np.ones_like(labels, bool)})], 16)
    means = (-1000.0, 40.0, 120.0, *(0.0,) * (len(ORGANS) - 2), -50.0)
    same = tuple(10.0 for _ in means)
    Prior("body", ORGANS, ORGANS, means, (9,) * len(means), 10.0, same, 0.0, 1.0, (-1024, 3000)).save(
        folder / "prior.json"
    )
    (folder / "cohort").mkdir()
    pd.DataFrame([[patient, patient, "test", "random"]], columns=["subject", "patient", "split", "source"]).to_csv(
        folder / "cohort/split.csv", index=False
    )
    for name, shift in (("cddpm", 30), ("pivm", 5)):
        place = folder / f"images/{name}/seed_1"
        place.mkdir(parents=True)
        np.save(place / "hu.npy", hu + np.int16(shift))
        index = pd.DataFrame({"row": range(4), "source_subject": patient, "source_row": range(4)})
        index.to_csv(place / "index.csv", index=False)


def write_volume_folders(results: Path, scan: Path, name: str) -> None:
    """Synthetic volumes of two generators of one scan."""
    image = nib.load(scan / "ct.nii.gz")
    for generator, shift in (("cddpm", 300), ("pivm", 60)):
        place = results / f"synthesis/{generator}/seed_1/volumes"
        shutil.copytree(scan / "segmentations", place / f"s_{generator}/segmentations")
        save_nifti(np.asarray(image.dataobj) + np.int16(shift), place / f"s_{generator}/ct.nii.gz", image.affine)
        (place / "meta.csv").write_text(
            f"image_id;source;generator;seed;model;code\ns_{generator};{name};{generator};1;m;c\n"
        )


@pytest.fixture
def results(tmp_path):
    """A small run with one hostile name, without selection and manifest."""
    folder = tmp_path / "results" / "mine"
    write_cases(folder, [HOSTILE, "p2", "p3", "p4"])
    write_slices(folder, HOSTILE)
    scan = make_scan(tmp_path / "data" / "p1")
    write_volume_folders(folder, scan, "p1")
    return folder


def run_of(results: Path, subjects: dict[str, Subject] | None = None) -> PageRun:
    references = {"table1": "pivm", "table2": "pivm", "table3": "original", "label_agreement": "original"}
    return PageRun(results, "mine", False, ("cddpm", "pivm"), "pivm", references, 1, ORGANS, 0.95, subjects or {})


def a_run(results: Path) -> PageRun:
    scan = results.parents[1] / "data/p1"
    subject = Subject("totalsegmentator", ct=str(scan / "ct.nii.gz"), labels=str(scan / "segmentations"))
    return run_of(results, {"p1": subject})


def test_data_can_neither_end_a_script_nor_be_anything_but_ascii(tmp_path):
    write_data("a/b", {"name": HOSTILE, "bad": float("nan"), "good": np.float32(0.5)}, tmp_path)
    text = (tmp_path / "data/a/b.js").read_text(encoding="ascii")
    assert not set("<>&") & set(text)
    assert value_of(tmp_path / "data/a/b.js") == ("a/b", {"name": HOSTILE, "bad": None, "good": 0.5})


def test_a_run_that_has_only_begun_says_what_is_missing(tmp_path):
    results = tmp_path / "results" / "mine"
    results.mkdir(parents=True)
    write_page(run_of(results), tmp_path / "page")
    _, page = value_of(tmp_path / "page/data/page.js")
    said = {
        name: page[name]["missing"] for name in ("verdict", "table1", "patients", "gallery", "volumes", "provenance")
    }
    assert said["verdict"].startswith("tables/table3.csv is not there")
    assert "store" in said["gallery"]
    assert said["provenance"].startswith("manifest.json")
    assert page["evidence"] is None
    assert page["privacy"] is None
    assert (tmp_path / "page/index.html").is_file()


def test_an_audit_that_was_made_is_shown(results, tmp_path):
    (results / "figures").mkdir(exist_ok=True)
    Image.new("L", (8, 8)).save(results / "figures/privacy.png")
    (results / "tables/privacy.csv").touch()
    (results / "tables/privacy.md").write_text(
        "| a | b |\n|:--|:--|\n| 1 | 2 |\n\nCaption.\n\nThe controls fired.\n\nPIVM passes.\n"
    )
    write_page(a_run(results), tmp_path / "page")
    _, page = value_of(tmp_path / "page/data/page.js")
    assert page["privacy"] == {"caption": "Caption.", "notes": ["The controls fired.", "PIVM passes."]}
    assert "privacy" in page["figures"]
    assert (tmp_path / "page/figures/privacy.png").is_file()


def test_tables_are_those_of_the_run(results, tmp_path):
    write_page(a_run(results), tmp_path / "page")
    _, page = value_of(tmp_path / "page/data/page.js")
    assert page["table3"]["columns"] == ["Original", "Generated", "Combined"]
    (row,) = page["table3"]["rows"]
    tidy = pd.read_csv(results / "tables/table3.csv").set_index("method")
    low, high = tidy.loc["original", ["ci_low", "ci_high"]]
    assert [cell["mean"] for cell in row["cells"]] == [f"{tidy.loc[m, 'mean']:.3f}" for m in COLUMNS["table3"]]
    assert row["cells"][0]["interval"] == f"[{low:.3f}, {high:.3f}]"
    markdown = (results / "tables/table3.md").read_text()
    assert [cell["best"] for cell in row["cells"]] == [f"**{cell['mean']}**" in markdown for cell in row["cells"]]
    (shown,) = (line for line in markdown.splitlines() if line.startswith("| difference to Original"))
    assert row["differences"]["title"] == "difference to Original"
    assert row["differences"]["cells"] == [text.strip() for text in shown.strip("|").split("|")][1:]
    assert page["table3"]["notes"]
    assert all(note in markdown for note in page["table3"]["notes"])


@pytest.mark.parametrize(
    ("shift", "says", "word"),
    [(0.05, "better", "are better"), (-0.05, "worse", "are worse"), (0, "same", "not told apart")],
)
def test_the_verdict_is_what_the_numbers_say(tmp_path, shift, says, word):
    write_cases(tmp_path, [f"p{i}" for i in range(12)], shift)
    run = run_of(tmp_path)
    said = verdict(run)
    assert said["says"] == says
    assert word in said["text"]
    assert "better than CDDPM" in said["alone"]
    assert "phantom" not in said["text"]


def test_a_thousand_patients_are_read_a_few_at_a_time(tmp_path):
    write_cases(tmp_path / "r", [f"p{i:04d}" for i in range(1000)])
    write_page(run_of(tmp_path / "r"), tmp_path / "page")
    _, page = value_of(tmp_path / "page/data/page.js")
    part, files = page["patients"], sorted((tmp_path / "page/data/patients").iterdir())
    assert len(part["rows"]) == 1000
    assert len(files) == 40
    assert max(path.stat().st_size for path in files) < 20_000
    assert (tmp_path / "page/data/page.js").stat().st_size < 120_000
    cases = pd.read_csv(tmp_path / "r/tables/table3_cases.csv")
    name = part["rows"][30][0]
    (_, details), own = value_of(tmp_path / "page/data/patients/1.js"), cases[cases["patient"] == name]
    dice = own[(own["label"] == "liver") & (own["method"] == "combined")]["dice"].item()
    assert details[5][0][0] == "liver"
    assert details[5][0][1][part["columns"].index("Combined")] == pytest.approx(dice, rel=1e-5)


def test_pictures_show_hu_in_the_window(results, tmp_path):
    write_page(a_run(results), tmp_path / "page")
    _, page = value_of(tmp_path / "page/data/page.js")
    strip = np.asarray(Image.open(tmp_path / "page/slices/0.png"))
    size, tiles = page["gallery"]["size"], page["gallery"]["tiles"]
    shade = lambda hu: round(255 * (hu - WINDOW[0]) / (WINDOW[1] - WINDOW[0]))  # noqa: E731
    for title, hu in (("Real CT", 100), ("CDDPM", 130), ("PIVM (ours)", 105), ("Prior map", 40)):
        assert strip[5, tiles.index(title) * size + 5].tolist() == [shade(hu)] * 3, title
    assert "#{:02x}{:02x}{:02x}".format(*strip[5, 5]) == page["colours"]["liver"]


def test_slices_stand_from_the_worst_to_the_best():
    scores = np.r_[np.nan, np.linspace(1, 0, 100)]
    chosen = choose(scores)
    assert len(chosen) == 16
    assert scores[chosen].tolist() == sorted(scores[chosen])
    assert (scores[chosen[0]], scores[chosen[-1]]) == (0, 1)


def test_agreement_is_dice_over_the_organs_of_the_label_map(results):
    folders = {SyntheticRun(name, 1): results / f"images/{name}/seed_1" for name in ("cddpm", "pivm")}
    pairs = PairedSlices.load(SliceStore(results / "store"), {HOSTILE: "test"}, folders, "test")

    def judge(seen):
        return SimpleNamespace(predict=lambda hu, batch: np.stack([seen] * len(hu)))

    truth = np.asarray(pairs.store.labels[0])
    judges = {1: judge(truth), 2: judge(np.where(truth == 1, 1, 0))}
    for run in (None, *pairs.synthetic):
        found = agreement(pairs, run, judges, ORGANS, 2)
        assert found.slices.tolist() == [0.75] * 4
        assert set(found.cases["generator_seed"].dropna()) == (set() if run is None else {1})
        dice = found.cases[found.cases["truth_voxels"] > 0].set_index(["segmenter_seed", "label"])["dice"]
        assert dice.to_dict() == {(seed, organ): float(seed == 1 or organ == ORGANS[0]) for seed, organ in dice.index}
        per_slice = [(np.asarray(pairs.store.labels) == k).any((1, 2)).sum() for k in range(1, len(ORGANS) + 1)]
        assert found.cases["truth_slices"].tolist() == per_slice * 2


def test_the_share_of_an_organ_is_that_of_its_dice_in_original_slices():
    rows = [
        {"method": method, "label": organ, "truth_voxels": voxels, "truth_slices": slices, "dice": dice}
        for method, liver, spleen in (("original", 0.8, 0.5), ("pivm", 0.6, 0.5), ("cddpm", 0.8, 0.1))
        for organ, dice, voxels, slices in (
            *(("liver", liver - 0.1, 600, 5), ("liver", liver + 0.1, 200, 3)),
            *(("spleen", spleen, 250, 5), ("colon", 0.0, 40, 2), ("aorta", np.nan, 0, 0)),
        )
    ]
    cases = pd.DataFrame(rows)
    shares = organ_shares(cases)
    assert shares["pixels"].to_dict() == {"liver": 100.0, "spleen": 50.0}  # colon is not found at all, aorta not there
    assert shares["pivm"].to_dict() == pytest.approx({"liver": 0.75, "spleen": 1.0})
    note = agreement_note(cases, PHANTOM)
    assert "as a share of that in phantom slices, mean over 2 organs" in note
    assert "below 0.85 among the 1 organs of 100 pixels" in note
    assert "PIVM (ours) 0.875 (liver 0.75); CDDPM 0.600 (none)" in note
    assert agreement_note(cases.assign(dice=0.0), PHANTOM).startswith("The segmenters find no organ in phantom slices")


def test_volumes_are_cropped_small_and_lie_where_they_lay(results, tmp_path):
    write_page(a_run(results), tmp_path / "page")
    _, page = value_of(tmp_path / "page/data/page.js")
    (one,) = page["volumes"]["subjects"]
    assert [volume["title"] for volume in one["volumes"]] == ["Real CT", "CDDPM", "PIVM (ours)"]
    arrays = {}
    for name in (*(volume["file"] for volume in one["volumes"]), one["labels"]):
        _, packed = value_of(tmp_path / f"page/data/{name}.js")
        arrays[name] = nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(packed)))
    real, cddpm, _, labels = arrays.values()
    assert np.array_equal(np.asarray(cddpm.dataobj) - np.asarray(real.dataobj), np.full(real.shape, 300))
    assert cddpm.header["descrip"].item().startswith(b"synthetic")
    assert not real.header["descrip"].item().startswith(b"synthetic")
    source = nib.load(results.parents[1] / "data/p1/segmentations/liver.nii.gz")
    for image, values in ((labels, np.asarray(labels.dataobj) == 1), (source, np.asarray(source.dataobj) > 0)):
        centre = image.affine @ [*np.argwhere(values).mean(0), 1]
        assert centre[:3] == pytest.approx([122, 58, 72.5], abs=0.1)
    assert real.shape < source.shape


def test_a_large_volume_is_averaged():
    assert np.prod([n // f for n, f in zip((512, 512, 600), block((512, 512, 600), (0.8, 0.8, 1.0)))]) <= VOXELS
    array = np.arange(4 * 5 * 2).reshape(4, 5, 2)
    small = mean_of_blocks(array, (2, 2, 1))
    assert small.shape == (2, 2, 2)
    assert small[0, 0, 0] == array[:2, :2, 0].mean()
    hu = np.full((20, 20, 20), -1000, np.int16)
    hu[8:12, 8:12, 8:12] = 0
    assert bounding_box(hu, np.zeros_like(hu)) == (slice(5, 15),) * 3


def test_a_volume_that_is_gone_is_said_and_the_page_is_made(results, tmp_path):
    (results.parents[1] / "data/p1/ct.nii.gz").unlink()
    write_page(a_run(results), tmp_path / "page")
    _, page = value_of(tmp_path / "page/data/page.js")
    assert "ct.nii.gz" in page["volumes"]["missing"]
    assert page["table3"]["rows"]


def test_another_file_than_the_pinned_viewer_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(niivue, "viewer_path", lambda: tmp_path / "niivue.js")
    assert niivue.find_viewer() is None
    (tmp_path / "niivue.js").write_text("alert(1)")
    assert niivue.find_viewer() is None
    with pytest.raises(PivmError, match="no package of NiiVue"):
        niivue.install(tmp_path / "niivue.js")
