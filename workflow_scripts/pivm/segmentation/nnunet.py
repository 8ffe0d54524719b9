"""nnU-Net, the segmenter that readers know, on the same training sets (Isensee et al., Nature Methods 2021).

An optional dependency: its modules are imported where they are used. Its folders are named by environment variables.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np

from pivm.errors import PivmError
from pivm.settings import setting

if TYPE_CHECKING:
    import torch

FOLD = 0
CONFIGURATION = "2d"
CHECKPOINT = "checkpoint_final.pth"
#: the state of a training that has not ended
_LATEST = "checkpoint_latest.pth"


@dataclass(frozen=True)
class NnunetSettings:
    """Config section ``nnunet``: target ``nnunet`` alone."""

    dataset_id: int = setting("number of the first of its three data sets, Dataset<NNN>_…", 501, minimum=1, maximum=997)
    trainer: str = setting(
        "class of nnU-Net; this one does not mirror left and right",
        "nnUNetTrainerNoMirroring",
        pattern="^nnUNetTrainer",
    )
    epochs: int = setting("of nnU-Net, which takes 1000 itself", 100, minimum=1)
    iterations: int = setting("optimiser steps of an epoch", 250, minimum=1)
    seeds: tuple[int, ...] = setting("one training each", (1,), minimum=0, min_items=1, unique=True)
    processes: int = setting("that augment; 0: the training's own, which can be repeated", 0, minimum=0, maximum=64)


def is_installed() -> bool:
    """Whether the package can be imported, without importing it."""
    return importlib.util.find_spec("nnunetv2") is not None


def require_installed() -> None:
    """Raises PivmError where the package is not installed."""
    if not is_installed():
        raise PivmError(
            "nnunet: the package nnunetv2 is not installed; it is the extra `nnunet` of this project: "
            "`.venv/bin/python -m pip install --requirement envs/nnunet.lock`"
        )


def dataset_names(first_id: int, dataset: str) -> dict[str, str]:
    """Training set -> name of its data set in nnU-Net's folders.

    >>> dataset_names(501, "phantom")["combined"]
    'Dataset503_phantom_combined'
    """
    parts = ("original", "generated", "combined")
    return {part: f"Dataset{first_id + k:03d}_{dataset}_{part}" for k, part in enumerate(parts)}


def model_folder(results: Path, dataset: str, trainer: str) -> Path:
    """Where nnU-Net keeps a trained model below its folder of results; the folds are in it."""
    return results / dataset / f"{trainer}__nnUNetPlans__{CONFIGURATION}"


@contextmanager
def folders(places: Mapping[str, Path], log: Path) -> Iterator[TextIO]:
    """Tell nnU-Net its folders (``raw``, ``preprocessed``, ``results``); what it prints goes into a log, the stream."""
    for kind in ("raw", "preprocessed", "results"):
        # nnU-Net warns about each that it was not told
        os.environ[f"nnUNet_{kind}"] = str(places.get(kind, places["preprocessed"]).absolute())
    with open(log, "a", encoding="utf-8", buffering=1) as stream, redirect_stdout(stream):
        yield stream


def preprocess(raw: Path, preprocessed: Path, log: Path) -> None:
    """Check a data set, plan and preprocess it for 2D, and put its folds beside the plans.

    Args:
        raw: ``nnUNet_raw/Dataset<NNN>_<name>``, with ``splits_final.json``.
        preprocessed: ``nnUNet_preprocessed/Dataset<NNN>_<name>``.
        log: file for what nnU-Net prints.

    Raises:
        PivmError: nnU-Net is not there, there is no fold, or its own check refuses the data set.
    """
    require_installed()
    if not (raw / "splits_final.json").exists():
        raise PivmError(
            f"{raw}: without splits_final.json, as no real patient is left to validate on; set split.val above 0"
        )
    number = raw.name.removeprefix("Dataset").split("_")[0]
    # a process of its own: nnU-Net starts others by spawning, which would run the script of the job again
    command = [sys.executable, "-m", "nnunetv2.experiment_planning.plan_and_preprocess_entrypoints"]
    command += ["-d", number, "--verify_dataset_integrity", "-c", CONFIGURATION, "-np", "1", "-npfp", "1"]
    with folders({"raw": raw.parent, "preprocessed": preprocessed.parent}, log) as stream:
        done = subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT)
    if done.returncode:
        raise PivmError(f"{raw}: nnU-Net cannot plan or preprocess it (exit status {done.returncode}); see {log}")
    shutil.copyfile(raw / "splits_final.json", preprocessed / "splits_final.json")


def train(
    preprocessed: Path,
    results: Path,
    settings: NnunetSettings,
    seed: int,
    device: torch.device,
    marker: Path,
    log: Path,
) -> None:
    """Train the 2D U-Net on fold 0, which validates on real patients alone.

    A training that was killed goes on from its last epoch, where ``marker`` says that it was the same one.

    Args:
        preprocessed: ``nnUNet_preprocessed/Dataset<NNN>_<name>``.
        results: ``nnUNet_results`` of this seed.
        settings: of the training.
        seed: of weights, batches and augmentation; the numbers can be repeated where ``processes`` is 0.
        device: where it trains.
        marker: named after all that the training depends on.
        log: file for what nnU-Net prints.

    Raises:
        PivmError: nnU-Net is not there or has no such trainer.
    """
    require_installed()
    os.environ["nnUNet_n_proc_DA"] = str(settings.processes)  # noqa: SIM112 - its name
    with folders({"preprocessed": preprocessed.parent, "results": results}, log):
        trainer = _trainer(preprocessed, settings, device)
        fold = Path(trainer.output_folder)
        if not marker.exists():
            (fold / _LATEST).unlink(missing_ok=True)
            marker.touch()
        _seed(seed)
        if (fold / _LATEST).exists():
            trainer.load_checkpoint(str(fold / _LATEST))
        trainer.run_training()
    marker.unlink()


def _trainer(preprocessed: Path, settings: NnunetSettings, device: torch.device):
    from pivm.learning.torchvision_import import allow_torchvision_import

    allow_torchvision_import()
    from nnunetv2.run.run_training import get_trainer_from_args  # pyright: ignore[reportMissingImports] - an extra

    try:
        trainer = get_trainer_from_args(preprocessed.name, CONFIGURATION, FOLD, settings.trainer, device=device)
    except RuntimeError as error:
        raise PivmError(f"config: nnunet.trainer: {settings.trainer!r}: {error}") from error
    trainer.num_epochs, trainer.num_iterations_per_epoch = settings.epochs, settings.iterations
    trainer.num_val_iterations_per_epoch = max(1, settings.iterations // 5)  # nnU-Net's own proportion
    trainer.save_every = 1
    return trainer


def _seed(seed: int) -> None:
    """nnU-Net and its augmentation draw from all global generators."""
    import random

    import torch

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the library's own
    torch.manual_seed(seed)


def predict(images: Path, model: Path, out: Path, device: torch.device, log: Path) -> None:
    """Segment ``imagesTs``.

    Args:
        images: ``<case>_0000.nii.gz`` of held-out patients.
        model: as :func:`model_folder`; written by :func:`train`, not by others: nnU-Net unpickles it.
        out: for ``<case>.nii.gz``.
        device: where it runs.
        log: file for what nnU-Net prints.

    Raises:
        PivmError: nnU-Net is not there.
    """
    from pivm.learning.torchvision_import import allow_torchvision_import

    require_installed()
    allow_torchvision_import()
    from nnunetv2.inference.predict_from_raw_data import (  # pyright: ignore[reportMissingImports] - an extra
        nnUNetPredictor,
    )

    with folders({"preprocessed": model.parent, "results": model.parent}, log):
        predictor = nnUNetPredictor(perform_everything_on_device=device.type == "cuda", device=device, allow_tqdm=False)
        predictor.initialize_from_trained_model_folder(str(model), (FOLD,), CHECKPOINT)
        out.mkdir(parents=True, exist_ok=True)
        predictor.predict_from_files_sequential(str(images), str(out))


def read_segmentation(path: Path) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Labels as they were exported, or predicted for an exported scan: RAS+ in the file.

    Returns:
        uint8 [S, A, R], slices first, and its spacing in mm in that order.
    """
    import nibabel as nib

    image = nib.Nifti1Image.from_filename(path)
    right, anterior, superior = (float(side) for side in image.header.get_zooms()[:3])
    return np.asarray(image.dataobj, np.uint8).transpose(2, 1, 0), (superior, anterior, right)
