"""The privacy audit: planted copies are found, fresh patients are not, and the attack tells members where it can."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from pivm.cohort.prior import Prior
from pivm.cohort.split import draw_annotated
from pivm.cohort.store import SliceStore
from pivm.config import validate
from pivm.config.privacy import require_audit
from pivm.errors import CohortError, ConfigError
from pivm.evaluation.privacy.audit import Audit, _against, audit_table, caught, controls_fire, findings
from pivm.evaluation.privacy.membership import LOSSES, attack, membership_losses
from pivm.evaluation.privacy.sentence import controls_sentence, sentence
from pivm.generators.controls.prior_map import PriorMap
from pivm.generators.diffusion.generator import DiffusionGenerator
from pivm.generators.diffusion.settings import DiffusionSettings, NetworkSettings, TrainingSettings
from pivm.generators.kinds import GeneratorSettings
from pivm.generators.overtrained import Overtraining, overtrained_rows, overtrained_split
from pivm.generators.protocol import LossTeller
from pivm.generators.training_data import TrainingData
from pivm.learning.loop import Run
from pivm.report.privacy_figure import plot_privacy
from pivm.report.privacy_table import audit_sentences, audit_title, write_privacy
from pivm.report.words import REAL as REAL_WORDS
from pivm.segmentation.gate import drop_copies, require_some, score
from pivm.synthesis.copies import (
    Reference,
    VariationSpace,
    measure_all,
    measure_real,
    nearest,
    read_distances,
    require_validation,
)
from pivm.synthesis.settings import GateSettings

ROOT = Path(__file__).parents[2]
SIZE, SLICES, STEPS = 16, 6, 500
PERCENTILES = {"copies": 1.0, "near": 5.0}
TRAIN, VAL, TEST = (tuple(f"{part}{i}" for i in range(n)) for part, n in (("train", 6), ("val", 4), ("test", 40)))
ORGANS = ("liver", "spleen")
PRIOR = Prior(
    "body", ORGANS, ORGANS, (-1000.0, 100.0, 50.0, 0.0), (9, 9, 9, 9), 60.0, (60.0, 20.0, 30.0, 60.0), 0.0, 300.0,
    (-1024, 3000),
)  # fmt: skip


def label_maps(rng, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Label maps and outlines of a body with two organs whose place differs."""
    labels, body = np.zeros((n, SIZE, SIZE), np.uint8), np.zeros((n, SIZE, SIZE), bool)
    body[:, 1:-1, 1:-1] = True
    for one in labels:
        x, y = rng.integers(2, 6, 2)
        one[x : x + 5, 2:8], one[y : y + 5, 9:14] = 1, 2
    return labels, body


def images(rng, labels, body, shared: float = 0.0, other: np.ndarray | None = None) -> np.ndarray:
    """HU of the label maps: their prior map and noise, of which a share is that of other images."""
    label_map = PRIOR.label_map(labels, body)
    noise = rng.normal(size=labels.shape)
    if other is not None:
        theirs = PRIOR.variation(other, label_map) / np.asarray(PRIOR.organ_sd)[label_map]
        noise = shared * theirs + np.sqrt(1 - shared**2) * noise
    return PRIOR.restore((noise * np.asarray(PRIOR.organ_sd)[label_map]).astype(np.float32), label_map)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> SimpleNamespace:
    """A store of training, validation and test patients whose variation is noise, with its split and prior as files."""
    folder, rng, parts = tmp_path_factory.mktemp("cohort"), np.random.default_rng(1), []
    names = {"train": TRAIN, "val": VAL, "test": TEST}
    for split, patients in names.items():
        for patient in patients:
            labels, body = label_maps(rng, SLICES)
            index = pd.DataFrame({"subject": patient, "patient": patient, "split": split, "z": range(SLICES)})
            index = index.assign(role="target", previous=-1, pixel_mm=5.0, step_mm=20.0, below_mm=5.0)
            parts.append((index, {"hu": images(rng, labels, body), "labels": labels, "body": body}))
    SliceStore.write(folder / "store", parts, SIZE)
    rows = [(p, p, split, "random") for split, patients in names.items() for p in patients]
    table = pd.DataFrame(rows, columns=["subject", "patient", "split", "source"])
    table.to_csv(folder / "split.csv", index=False)
    PRIOR.save(folder / "prior.json")
    return SimpleNamespace(store=SliceStore(folder / "store"), split=folder / "split.csv", prior=folder / "prior.json")


def synthetic(cohort, folder: Path, part: str, hu: np.ndarray, rows=None) -> Path:
    """Slices made from label maps of a split, all or some, as a generator would write them."""
    folder.mkdir(exist_ok=True)
    rows = cohort.store.rows(part) if rows is None else rows
    subjects = cohort.store.index["subject"].to_numpy()[rows]
    index = pd.DataFrame({"source": part, "source_subject": subjects, "transform": "", "source_row": rows})
    np.save(folder / "hu.npy", hu)
    index.to_csv(folder / "index.csv", index=False)
    return folder


def from_labels(cohort, folder: Path, part: str, shared: float, patients=None) -> Path:
    """Slices that share so much of their variation with the real slices of their label maps, of some patients."""
    store, rows = cohort.store, cohort.store.rows(part)
    rng = np.random.default_rng(len(part))
    hu = images(rng, store.labels[rows], store.body[rows])
    mine = np.flatnonzero(np.isin(store.index["patient"].to_numpy()[rows], list(patients or names_of(part))))
    hu[mine] = images(rng, store.labels[rows[mine]], store.body[rows[mine]], shared, store.hu[rows[mine]])
    return synthetic(cohort, folder, part, hu)


def names_of(part: str) -> tuple[str, ...]:
    return {"train": TRAIN, "val": VAL, "test": TEST}[part]


def audited(cohort, tmp_path, train: float, held_out: float = 0.3, patients=None, method="pivm", losses=None) -> Audit:
    """An audit of slices that share what is given with the real slices of their label maps."""
    folders = [from_labels(cohort, tmp_path / "train", "train", train, patients)]
    folders += [from_labels(cohort, tmp_path / part, part, held_out) for part in ("val", "test")]
    distances = pd.concat(measure_all(cohort.store, cohort.split, cohort.prior, folders, {}), ignore_index=True)
    return Audit(method, 1, distances, pd.DataFrame(columns=LOSSES) if losses is None else losses, TRAIN)


def rows_of(table, **names) -> pd.DataFrame:
    for column, value in names.items():
        table = table[table[column] == value]
    return table


def test_a_copy_is_found_whatever_its_label_map_and_noise(cohort):
    space, store = VariationSpace(PRIOR), cohort.store
    reference = Reference.of(space, store)
    rows = store.rows("train")
    rng = np.random.default_rng(5)
    planted = images(rng, store.labels[rows], store.body[rows], 0.9, store.hu[rows])
    found = nearest(space.vectors(planted, store, rows), reference.vectors)
    assert (found.row == np.arange(len(rows))).all()
    np.testing.assert_allclose(found.distance, 0.1, atol=0.06)
    exact = nearest(space.real(store, rows), reference.vectors)
    np.testing.assert_allclose(exact.distance, 0, atol=1e-5)


def test_the_prior_map_copies_nobody(cohort):
    """A Euclidean distance would call it nearest to everything."""
    space, store = VariationSpace(PRIOR), cohort.store
    rows = store.rows("train")
    flat = PRIOR.restore(
        np.zeros_like(store.hu[rows], np.float32), PRIOR.label_map(store.labels[rows], store.body[rows])
    )
    distances = nearest(space.vectors(flat, store, rows), Reference.of(space, store).vectors).distance
    assert distances.min() > 0.4


def test_large_slices_are_compared_at_a_smaller_size(tmp_path):
    labels, body = (np.zeros((2, 128, 128), kind) for kind in (np.uint8, bool))
    body[:, 8:-8, 8:-8] = True
    index = pd.DataFrame({"subject": ["a", "b"], "patient": ["a", "b"], "split": "train", "z": 0, "role": "target"})
    index = index.assign(previous=-1, pixel_mm=1.0, step_mm=5.0, below_mm=5.0)
    hu = images(np.random.default_rng(0), labels, body)
    SliceStore.write(tmp_path, [(index, {"hu": hu, "labels": labels, "body": body})], 128)
    store = SliceStore(tmp_path)
    vectors = VariationSpace(PRIOR).real(store, np.arange(2))
    assert vectors.shape == (2, 64 * 64)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_real_patients_are_measured_against_training_patients_alone(cohort):
    table = measure_real(VariationSpace(PRIOR), cohort.store, Reference.of(VariationSpace(PRIOR), cohort.store))
    assert table.groupby("set")["patient"].nunique().to_dict() == {"real_val": len(VAL), "real_test": len(TEST)}
    assert set(table["nearest_patient"]) <= set(TRAIN)


def test_no_copies_where_label_maps_say_as_much_of_held_out_patients(cohort, tmp_path):
    """What a label map says of its real slice is shared with training and held-out slices alike: no copy."""
    table = audit_table([audited(cohort, tmp_path, 0.3)], PERCENTILES, 0.95)
    assert findings(table, "pivm", 0.95) == {"copies": False}
    for maps in ("train", "test"):
        assert rows_of(table, method="pivm", label_maps=maps, metric="copies")["mean"].item() < 0.06
    assert "no copies beyond what fresh patients show" in sentence(table, "pivm", 0.95, str)


def test_planted_copies_of_all_training_patients_are_found(cohort, tmp_path):
    table = audit_table([audited(cohort, tmp_path, 0.97)], PERCENTILES, 0.95)
    assert findings(table, "pivm", 0.95) == {"copies": True}
    row = rows_of(table, method="pivm", label_maps="train", metric="copies").iloc[0]
    assert row["mean"] == 1
    assert row["patients"] == len(TRAIN)
    assert row["p"] < 0.001
    assert rows_of(table, method="pivm", metric="copied_patients", label_maps="train")["mean"].item() == 1
    assert "it copies training patients" in sentence(table, "pivm", 0.95, str)


def test_copies_of_one_patient_count_for_one_patient(cohort, tmp_path):
    table = audit_table([audited(cohort, tmp_path, 0.97, patients={"train3"})], PERCENTILES, 0.95)
    row = rows_of(table, method="pivm", label_maps="train", metric="copied_patients").iloc[0]
    assert row["mean"] == pytest.approx(1 / len(TRAIN), abs=0.18)  # the others have a slice in a hundred at random
    assert row["ci_low"] < row["mean"] < row["ci_high"]


def test_training_slices_given_for_other_label_maps_are_found(cohort, tmp_path):
    """The pattern of a training slice in slices of held-out label maps: the nearest training slice tells."""
    store, rng = cohort.store, np.random.default_rng(2)
    audit = audited(cohort, tmp_path, 0.3)
    rows, train = store.rows("test"), store.rows("train")
    given = np.resize(train, len(rows))
    label_map, theirs = (PRIOR.label_map(store.labels[r], store.body[r]) for r in (rows, given))
    scaled = PRIOR.variation(store.hu[given], theirs) / np.asarray(PRIOR.organ_sd)[theirs]
    hu = PRIOR.restore((scaled * np.asarray(PRIOR.organ_sd)[label_map]).astype(np.float32), label_map)
    hu = (hu + rng.normal(0, 2, hu.shape)).astype(np.int16)
    folder = synthetic(cohort, tmp_path / "copied", "test", hu)
    _, copied = measure_all(store, cohort.split, cohort.prior, [folder], {})
    distances = pd.concat([audit.distances[audit.distances["set"] != "test"], copied], ignore_index=True)
    table = audit_table([audit._replace(distances=distances)], PERCENTILES, 0.95)
    row = rows_of(table, method="pivm", label_maps="test", metric="copies").iloc[0]
    assert row["mean"] > 0.9
    assert caught(row, 0.95)


def test_real_patients_pass_and_leave_one_out_is_used(cohort, tmp_path):
    table = audit_table([audited(cohort, tmp_path, 0.3)], PERCENTILES, 0.95)
    assert findings(table, "real", 0.95) == {"copies": False}
    assert set(rows_of(table, method="real")["label_maps"]) == {"val", "test"}
    one = audited(cohort, tmp_path, 0.3)
    alone = one.distances[~one.distances["patient"].isin(VAL[1:])]
    table = audit_table([one._replace(distances=alone)], PERCENTILES, 0.95)
    assert set(rows_of(table, method="real")["label_maps"]) == {"test"}
    assert controls_fire(table, 0.95) == {"real": None}
    assert "too few validation patients" in controls_sentence(table, 0.95, str)


def test_too_few_patients_are_no_verdict(cohort, tmp_path):
    """Where even a perfect attack could be chance nothing is claimed."""
    audit = audited(cohort, tmp_path, 0.97)
    few = audit.distances[~audit.distances["patient"].isin([*TRAIN[2:], *TEST[2:]])]
    losses = pd.DataFrame({"patient": list("abcd"), "member": [True, True, False, False], "level": 0.5, "loss": 1.0})
    table = audit_table([audit._replace(distances=few, losses=losses, members=TRAIN[:2])], PERCENTILES, 0.95)
    assert findings(table, "pivm", 0.95) == {"copies": None, "membership": None}
    assert sentence(table, "pivm", 0.95, str).count("too few to tell") == 2


def losses_of(members: np.ndarray, others: np.ndarray, level: float = 0.5) -> pd.DataFrame:
    values = np.concatenate([members, others])
    member = np.arange(len(values)) < len(members)
    return pd.DataFrame(
        {"patient": [f"p{i}" for i in range(len(values))], "member": member, "level": level, "loss": values}
    )


def test_the_attack_counts_pairs():
    found = attack(losses_of(np.array([1.0, 3.0]), np.array([2.0, 4.0])), 0.95)
    assert found.auc == 0.75  # 1 < 2, 1 < 4, 3 < 4
    assert found.low is not None
    assert found.low < 0.75 < found.high
    assert found.tpr == 0.5  # one member below every other
    assert not found.resolved


def test_the_interval_of_the_attack_covers_what_it_claims():
    """Members and others from shifted normal distributions, whose AUC is known."""
    rng, true, held = np.random.default_rng(3), 0.76025, 0  # P(N(0, 1) < N(1, 1))
    for _ in range(300):
        found = attack(losses_of(np.exp(rng.normal(0, 1, 24)), np.exp(rng.normal(1, 1, 44))), 0.95)
        held += found.low <= true <= found.high
    assert 0.92 <= held / 300 <= 0.985


def test_losses_without_overlap_leave_room_for_what_was_not_seen():
    found = attack(losses_of(np.full(6, 0.1), np.linspace(1, 2, 9)), 0.95)
    assert (found.auc, found.high) == (1, 1)
    assert found.low == pytest.approx(0.05 ** (1 / 6))
    assert found.p < 0.001
    one = attack(losses_of(np.array([0.1]), np.linspace(1, 2, 9)), 0.95)
    assert (one.low, one.high) == (None, None)


def test_one_false_positive_in_a_hundred_is_allowed():
    others = np.arange(1.0, 201)
    found = attack(losses_of(np.array([0.5, 2.5, 3.5]), others), 0.95)
    assert found.resolved
    assert found.chance_tpr == pytest.approx(3 / 201)
    assert found.tpr == pytest.approx(2 / 3)  # below the third smallest, two of 200 lie below


def test_levels_count_alike():
    """Ten times the loss at one level is ten times for all; it must not drown the other level."""
    quiet = losses_of(np.linspace(1, 2, 5), np.linspace(3, 4, 5), 0.1)
    loud = losses_of(np.array([100.0, 90, 80, 95, 85]), np.array([90.0, 85, 80, 95, 100]), 0.9)
    assert attack(pd.concat([quiet, loud]), 0.95).auc == 1


def test_an_attack_needs_both_sides():
    with pytest.raises(ValueError, match="0 members and 3 others"):
        attack(losses_of(np.array([]), np.ones(3)), 0.95)


def test_the_gate_drops_copies(cohort, tmp_path):
    audit, rows = audited(cohort, tmp_path, 0.97, patients={"train3"}), cohort.store.rows("train")
    settings = GateSettings(copy_percentile=1.0)
    real, mine = (audit.distances[audit.distances["set"].str.startswith(s)] for s in ("real", "train"))
    held_out = audit.distances[audit.distances["set"] == "val"]
    labels, hu = cohort.store.labels[rows], cohort.store.hu[rows]
    limits = (np.full(3, -2000.0), np.full(3, 2000.0))
    table = drop_copies(score(hu, labels, labels, limits, settings), [real, mine, held_out], settings)
    of_patient = cohort.store.index["patient"].to_numpy()[rows] == "train3"
    assert table.loc[of_patient, "copy"].all()
    assert not table.loc[of_patient, "keep"].any()
    assert table.loc[~of_patient, "keep"].mean() > 0.9
    with pytest.raises(CohortError, match="copy 6; raise"):
        require_some(table[of_patient], settings, "pivm, slices")


def test_distances_are_read_as_they_were_written(cohort, tmp_path):
    table = measure_real(VariationSpace(PRIOR), cohort.store, Reference.of(VariationSpace(PRIOR), cohort.store))
    table["patient"] = "007"
    table.to_csv(tmp_path / "distances.csv", index=False)
    again = read_distances(tmp_path / "distances.csv")
    assert set(again["patient"]) == {"007"}
    assert again["own"].isna().all()


def test_no_validation_patient_is_an_error(cohort):
    store = SliceStore(Path(cohort.split).parent / "store", dict.fromkeys(TRAIN, "train"))
    with pytest.raises(CohortError, match=r"no validation patient: set split\.val to 1 or more"):
        require_validation(store)


def test_controls_learn_from_whom_they_must_copy(cohort):
    table = pd.read_csv(cohort.split)
    split = overtrained_split(table, Overtraining(2, 1, 10, (8, 8)), 1)
    assert set(split.loc[split["split"] == "val", "patient"]) == set(VAL)
    audited = set(split.loc[split["split"] == "train", "subject"])
    assert len(audited) == 2
    rows = overtrained_rows(cohort.store, audited, 1)
    assert set(cohort.store.index["subject"][rows]) == audited
    assert len(rows) == 2 * SLICES
    repeated = overtrained_rows(cohort.store, {"train0"}, 20)
    counts = cohort.store.index["subject"].iloc[repeated].value_counts()
    assert counts["train0"] == 20 * SLICES
    assert (counts.drop("train0") == SLICES).all()
    assert len(counts) == len(TRAIN)


@pytest.mark.parametrize("seed", range(6))
def test_controls_copy_nobody_whose_ct_is_not_used(cohort, seed):
    whole = pd.read_csv(cohort.split)
    run = draw_annotated(whole, 3, 1)
    learnt_from = set(run.loc[run["split"] == "train", "subject"])
    split = overtrained_split(run, Overtraining(2, 1, 10, (8, 8)), seed)
    audited = set(split.loc[split["split"] == "train", "subject"])
    assert len(audited) == 2
    assert audited < learnt_from
    others = split["subject"].isin(set(run["subject"]) - learnt_from)
    pd.testing.assert_frame_equal(split[others], run[others])


def test_one_training_patient_is_an_error(cohort):
    table = pd.read_csv(cohort.split)
    table = table[~table["patient"].isin(TRAIN[1:])]
    for plan in (Overtraining(2, 1, 10, (8, 8)), Overtraining(1, 20, 10, (8, 8))):
        with pytest.raises(CohortError, match="found 1 training patient, and the over-trained controls need 2"):
            overtrained_split(table, plan, 1)


@pytest.fixture(scope="module")
def overtrained(cohort) -> DiffusionGenerator:
    """A tiny PIVM that saw two patients for much too long, trained in seconds."""
    torch.manual_seed(0)
    settings = DiffusionSettings(
        name="pivm",
        kind="diffusion",
        target="variation",
        condition=("labels", "prior"),
        network=NetworkSettings(label_channels=4, channels=(16, 32), attention=False, detail_channels=16),
        training=TrainingSettings(batch=12, epochs=1, halve_every_epochs=10, learning_rate=3e-3, ema_decay=0.95),
    )
    generator = DiffusionGenerator(settings, PRIOR, torch.device("cpu"))
    rows = overtrained_rows(cohort.store, set(TRAIN[:2]), 1)
    data = TrainingData(cohort.store, PRIOR, rows, cohort.store.index["previous"].to_numpy(), 12 * STEPS)
    generator.fit(data, None, 1, Run(Path(cohort.split).parent / "losses.csv"))
    return generator


def test_an_overtrained_generator_is_caught(cohort, overtrained, tmp_path):
    """By its slices and by its loss; the validation patients, whom it never saw, are not."""
    split = pd.read_csv(cohort.split)
    split.loc[split["patient"].isin(TRAIN[2:]), "split"] = "labels_only"
    split.to_csv(tmp_path / "split.csv", index=False)
    store = SliceStore(Path(cohort.split).parent / "store", dict(zip(split["subject"], split["split"], strict=True)))
    folders = []
    for part in ("train", "val", "test"):
        rows = store.rows(part)
        label_map = PRIOR.label_map(store.labels[rows], store.body[rows])
        folders.append(
            synthetic(cohort, tmp_path / part, part, overtrained.generate(label_map, list(map(int, rows))), rows)
        )
    distances = pd.concat(measure_all(store, tmp_path / "split.csv", cohort.prior, folders, {}), ignore_index=True)
    losses = membership_losses(overtrained, PRIOR, store, (0.3, 0.7), 1, 64)
    assert losses.groupby("member")["patient"].nunique().to_dict() == {True: 2, False: len(VAL) + len(TEST)}
    audit = Audit("few_patients", 1, distances, losses, TRAIN[:2])
    table = audit_table([audit], PERCENTILES, 0.95)
    assert findings(table, "few_patients", 0.95) == {"copies": True, "membership": True}
    assert controls_fire(table, 0.95) == {"few_patients": True, "real": True}
    assert "few_patients is caught" in controls_sentence(table, 0.95, str)
    assert controls_sentence(table, 0.95, str).startswith("The audit counts")


def test_only_a_generator_with_a_denoising_loss_is_attacked(overtrained):
    assert isinstance(overtrained, LossTeller)
    assert not isinstance(
        PriorMap(GeneratorSettings(name="prior", kind="prior_map"), PRIOR, torch.device("cpu")), LossTeller
    )


def test_the_loss_of_a_slice_does_not_depend_on_its_batch(cohort, overtrained):
    rows = cohort.store.rows("test")[:5]
    hu, label_map = cohort.store.hu[rows], PRIOR.label_map(cohort.store.labels[rows], cohort.store.body[rows])
    whole = overtrained.denoising_losses(hu, label_map, 0.5, 3)
    assert whole.shape == (5,)
    alone = np.concatenate(
        [overtrained.denoising_losses(hu[i : i + 1], label_map[i : i + 1], 0.5, 3) for i in range(5)]
    )
    np.testing.assert_allclose(alone, whole, rtol=1e-4)
    assert not np.allclose(whole, overtrained.denoising_losses(hu, label_map, 0.5, 4))


def test_the_table_says_it_in_four_forms_and_a_figure(cohort, tmp_path):
    rng = np.random.default_rng(0)
    by_level = [losses_of(rng.uniform(1, 2, 6), rng.uniform(1, 2, 44), level) for level in (0.1, 0.5)]
    audits = [
        audited(cohort, tmp_path, 0.3, losses=pd.concat(by_level)),
        audited(cohort, tmp_path, 0.3, method="maisi"),
        audited(cohort, tmp_path, 0.97, method="few_patients"),
    ]
    table = audit_table(audits, PERCENTILES, 0.95)
    outputs = SimpleNamespace(**{form: tmp_path / f"privacy.{form}" for form in ("csv", "md", "tex", "html")})
    write_privacy(table, PERCENTILES, 0.95, REAL_WORDS, outputs)
    page = outputs.md.read_text()
    assert "MAISI, Over-trained on few patients: no denoising loss, hence distances alone" in page
    assert "44 others cannot resolve a false-positive rate of 1 %" in page
    assert "PIVM (ours), training patients" in page
    assert "Over-trained on few patients is caught (100.0 %" in page
    assert all(path.stat().st_size > 500 for path in vars(outputs).values())
    assert "NaN" not in page
    assert len(audit_sentences(table, "pivm", 0.95)) == 2
    assert audit_sentences(table, "cddpm", 0.95) == []
    assert audit_title("repeated_patient") == "One patient repeated"
    plot_privacy(audits, table, 1.0, tmp_path / "privacy.png")
    assert (tmp_path / "privacy.png").stat().st_size > 20_000


def test_several_trainings_of_a_generator_are_one_method(cohort, tmp_path):
    first, second = (audited(cohort, tmp_path, shared)._replace(seed=i) for i, shared in enumerate((0.3, 0.97)))
    table = audit_table([first, second], PERCENTILES, 0.95)
    row = rows_of(table, method="pivm", label_maps="train", metric="copies").iloc[0]
    assert row["generator_seeds"] == 2
    assert 0.5 <= row["mean"] <= 0.53
    assert caught(row, 0.95)


def test_one_patient_is_held_against_all_others():
    """A control may have a single patient: it is told from others as one of them at random would be."""
    fresh = np.zeros((39, 1))
    assert _against(np.ones((1, 1)), fresh)["p"] == pytest.approx(1 / 40)
    assert _against(np.zeros((1, 1)), fresh)["p"] == 1
    assert _against(np.ones((39, 1)), np.zeros((1, 1)))["p"] == pytest.approx(1 / 40)
    assert _against(np.ones((2, 1)), fresh)["p"] == pytest.approx(2 / (41 * 40))


def test_a_p_that_cannot_be_small_is_no_verdict():
    assert caught(SimpleNamespace(p=0.1, patients=2, compared=3), 0.95) is None
    assert caught(SimpleNamespace(p=0.04, patients=1, compared=40), 0.95) is True
    assert caught(SimpleNamespace(p=0.06, patients=1, compared=40), 0.95) is False


@pytest.fixture
def config() -> dict:
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def test_the_config_as_it_is_can_be_audited(config):
    require_audit(config)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("generator", "pivn", r"controls\.generator: unknown 'pivn' \(did you mean 'pivm'\?\), expected .*cddpm, pivm"),
        ("generator", "gaussian", r"'gaussian' is of kind gaussian, expected one of kind diffusion: cddpm, pivm"),
        ("channels", [8] * 7, r"7 levels need an image\.size that is a multiple of 128, found 64"),
    ],
)
def test_controls_that_cannot_be_made_are_refused(config, key, value, message):
    config["privacy"]["controls"][key] = value
    validate(config)  # a run that does not ask for the audit does not mind
    with pytest.raises(ConfigError, match=message):
        require_audit(config)


def test_percentiles_the_wrong_way_round_and_no_validation_patient_are_refused(config):
    config["privacy"]["near_percentile"] = 0.5
    with pytest.raises(ConfigError, match=r"privacy\.near_percentile: found 0\.5, expected more than copy_percentile"):
        require_audit(config)
    config["privacy"]["near_percentile"] = 5.0
    config["split"] |= {"val": 0, "source": "random"}
    with pytest.raises(ConfigError, match=r"split\.val: found 0, but copies are told by validation patients"):
        require_audit(config)
