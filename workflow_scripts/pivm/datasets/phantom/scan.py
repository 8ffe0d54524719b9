"""One phantom patient from anatomy to NIfTI files in TotalSegmentator's layout."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from pivm.datasets.phantom.canvas import Canvas
from pivm.datasets.phantom.detail import paint_detail
from pivm.datasets.phantom.organs import paint_organs
from pivm.datasets.phantom.patient import Patient
from pivm.datasets.phantom.torso import paint_torso
from pivm.labels import ORGANS_34
from pivm.scans.nifti import write_volume


def paint_patient(
    seed: int, index: int, matrix: int, slice_spacing: float, detail: bool = False
) -> tuple[Canvas, Patient]:
    """Draw one patient's anatomy.

    Args:
        seed: of the cohort; index: of the patient, counted from 0; together they fix every voxel.
        matrix: voxels per side of a slice.
        slice_spacing: mm between slices.
        detail: also paint what :mod:`pivm.datasets.phantom.detail` has; the patient is the same without.
    """
    patient = Patient.draw(seed, index, matrix, slice_spacing)
    canvas = Canvas(
        (matrix, matrix, patient.slices),
        patient.spacing,
        patient.centre_z,
        patient.scale,
        patient.pose,
        patient.displacement,
    )
    ids = {name: k for k, name in enumerate(ORGANS_34, start=1)}
    cavity = paint_torso(canvas, patient, ids)
    paint_organs(canvas, patient, cavity, ids)
    if detail:
        paint_detail(canvas, replace(patient, rng=np.random.default_rng([seed, index, 1])), cavity, ids)
    return canvas, patient


def scan_patient(seed: int, index: int, matrix: int, slice_spacing: float, detail: bool = False):
    """Paint and "scan" one patient; arguments as of :func:`paint_patient`.

    Returns:
        (hu int16 [R, A, S], labels uint8 of the same shape with ids of the 34 organs, affine 4x4, patient)
    """
    canvas, patient = paint_patient(seed, index, matrix, slice_spacing, detail)
    return _acquire(canvas.hu, patient), canvas.label, _affine(canvas, patient), patient


def _affine(canvas: Canvas, patient: Patient) -> np.ndarray:
    affine = np.diag([*patient.spacing, 1.0])
    affine[:3, 3] = -0.5 * patient.spacing * (np.array(canvas.label.shape) - 1)
    return affine


def _acquire(hu: np.ndarray, patient: Patient) -> np.ndarray:
    """Blur of the scanner, parenchymal mottle, correlated noise; int16 HU, not below -1024."""
    rng = patient.rng
    hu = ndimage.gaussian_filter(hu, (0.45, 0.45, 0.3))
    mottle = ndimage.gaussian_filter(rng.normal(0, 1, hu.shape).astype(np.float32), (3, 3, 1.5))
    noise = ndimage.gaussian_filter(rng.normal(0, 1, hu.shape).astype(np.float32), (0.8, 0.8, 0.35))
    tissue = hu > -300
    hu = hu + np.where(tissue, 5.0 / mottle.std() * mottle, 0) + patient.noise / noise.std() * noise
    return np.clip(np.rint(hu), -1024, 3071).astype(np.int16)


def write_patient(
    folder: Path, seed: int, index: int, matrix: int, slice_spacing: float, detail: bool = False
) -> Patient:
    """Write ``ct.nii.gz`` and ``segmentations/<organ>.nii.gz`` for all 34 organs into ``folder``."""
    hu, labels, affine, patient = scan_patient(seed, index, matrix, slice_spacing, detail)
    write_volume(hu, affine, Path(folder) / "ct.nii.gz")
    _write_masks(labels, affine, folder)
    return patient


def write_labels(folder: Path, seed: int, index: int, matrix: int, slice_spacing: float, detail: bool = False) -> None:
    """The masks of :func:`write_patient` without a CT."""
    canvas, patient = paint_patient(seed, index, matrix, slice_spacing, detail)
    _write_masks(canvas.label, _affine(canvas, patient), folder)


def _write_masks(labels: np.ndarray, affine: np.ndarray, folder: Path) -> None:
    for k, name in enumerate(ORGANS_34, start=1):
        write_volume((labels == k).astype(np.uint8), affine, Path(folder) / "segmentations" / f"{name}.nii.gz")


def write_meta(path: Path, seed: int, patients: int, matrix: int, slice_spacing: float) -> None:
    """Write ``meta.csv`` as TotalSegmentator has it: semicolons, one row per patient."""
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter=";", lineterminator="\n")
        writer.writerow(["image_id", "phase", "habitus", "noise_hu", "spacing_mm", "axial_slices"])
        for index in range(patients):
            p = Patient.draw(seed, index, matrix, slice_spacing)
            spacing = "x".join(f"{s:.2f}" for s in p.spacing)
            writer.writerow([f"phantom_{index:04d}", p.phase, f"{p.habitus:.2f}", f"{p.noise:.1f}", spacing, p.slices])
