"""Controls of the privacy audit, which must be found to copy: few patients for many steps, or one repeated.

An audit that finds nothing counts only where the same audit finds these (Carlini et al. 2023: images that are repeated
in the training set are the ones that diffusion models give back).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from pivm.cohort.prior import Prior
from pivm.cohort.split import draw_annotated
from pivm.cohort.store import SliceStore
from pivm.errors import CohortError
from pivm.generators.fitting import trained_on
from pivm.generators.kinds import kind_of
from pivm.generators.model_folder import save_generator
from pivm.generators.training_data import TrainingData
from pivm.learning.loop import Run
from pivm.seeds import derived_seed
from pivm.settings import read_settings


@dataclass(frozen=True)
class Overtraining:
    """What an over-trained generator learns from.

    Attributes:
        patients: training patients that it must be found to copy.
        repeats: times that their slices come; 1: they are all that it learns from, and the others are left out.
        steps: of the training, at least.
        channels: of the network per level; what is to be shown needs none as large as that of a generator that is used.
    """

    patients: int
    repeats: int
    steps: int
    channels: tuple[int, ...]


def overtrained_split(table: pd.DataFrame, plan: Overtraining, seed: int) -> pd.DataFrame:
    """The split that the audit of the control goes by: training patients are those that it must be found to copy.

    Args:
        table: of the run, as :func:`pivm.cohort.split.split_table`.
        plan: of the control.
        seed: of the draw.

    Raises:
        CohortError: there are fewer training patients, or none would be left beside one who is repeated.
    """
    train = table["split"] == "train"
    there = table.loc[train, "patient"].nunique()
    wanted = plan.patients + (plan.repeats > 1)
    if there < wanted:
        raise CohortError(
            f"privacy: found {there} training patient{'' if there == 1 else 's'}, and the over-trained controls need "
            f"{wanted}: add patients, lower privacy.controls.patients, split.val or split.test, or raise "
            "split.annotated"
        )
    # of those with a CT in this run alone: the others of a draw of annotated patients taught no generator anything
    drawn = table.copy()
    drawn.loc[train, "split"] = draw_annotated(table[train], plan.patients, seed)["split"]
    return drawn


def overtrained_rows(store: SliceStore, audited: set[str], repeats: int) -> np.ndarray:
    """Store rows that a control learns from, the repeated ones as often as they come.

    Args:
        store: under the split of the run.
        audited: scans of the patients that it must be found to copy.
        repeats: as :class:`Overtraining`.
    """
    rows = store.rows("train")
    mine = rows[np.isin(store.index["subject"].to_numpy()[rows], sorted(audited))]
    return mine if repeats == 1 else np.concatenate([rows, *[mine] * (repeats - 1)])


def fit_overtrained(
    settings: dict[str, Any],
    plan: Overtraining,
    seed: int,
    store: SliceStore,
    split: pd.DataFrame,
    files: tuple[Path, list[str]],
    prior: Prior,
    folder: Path,
    run: Run,
    made: dict[str, Any],
    device: torch.device,
) -> None:
    """Train a control and write its folder.

    Args:
        settings: resolved settings of the generator that it is one of, as plain values, without those of the sampler.
        plan: of the control.
        seed: of the config.
        store: under the split of the run.
        split: of :func:`overtrained_split`.
        files: the split of the run and the files of the store, for their hashes.
        prior: organ means of the run.
        folder: receives the model.
        run: of the training.
        made: code and versions (:func:`pivm.job.made`).
        device: where the network is trained.
    """
    kind = kind_of(settings, "settings")
    network = {**settings["network"], "channels": list(plan.channels)}
    resolved: Any = read_settings(kind.settings, {**settings, "network": network}, "settings")
    rows = overtrained_rows(store, set(split.loc[split["split"] == "train", "subject"]), plan.repeats)
    # as many epochs as the generator takes, so that the learning rate falls likewise, each of as many steps as it needs
    training = resolved.training
    per_epoch = training.batch * -(-plan.steps // training.epochs)
    data = TrainingData(store, prior, rows, store.index["previous"].to_numpy(), per_epoch)
    start = derived_seed(seed, "overtrained")
    torch.manual_seed(start)
    generator = kind.load_trainer()(resolved, prior, device)
    generator.fit(data, None, start, run)
    learnt_from = tuple(sorted(set(store.index["patient"].to_numpy()[rows])))
    facts = replace(trained_on(store, seed, *files), patients=learnt_from)
    save_generator(generator, folder, facts, made)
    run.resume.clear()
