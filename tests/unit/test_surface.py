"""Surface distances and overlap: by hand, by property, and against packages that define the same."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import time
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pivm.evaluation.overlap import ClassScore, score_patient
from pivm.evaluation.surface import _contours, surface_distances
from pivm.labels import LabelSet
from scipy import ndimage
from scipy.spatial.distance import cdist

#: 15 slices 22 mm apart, pixels of 6 mm
STACK_MM = (22.0, 6.0, 6.0)
DISTANCES = ("hausdorff_distance", "hausdorff_distance_95", "average_surface_distance")


def disc(row: int, column: int, radius: int, side: int = 40) -> np.ndarray:
    """One slice with a disc: bool [1, side, side]."""
    rows, columns = np.mgrid[:side, :side]
    return ((rows - row) ** 2 + (columns - column) ** 2 <= radius**2)[None]


def box(shape: tuple[int, ...], *spans: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*span) for span in spans)] = True
    return mask


def random_pairs(count: int, shape: tuple[int, int, int]) -> list[tuple[np.ndarray, np.ndarray, tuple[float, ...]]]:
    """Blobs that overlap in part, some of them at the border, with random spacing."""
    rng, pairs = np.random.default_rng(5), []
    for _ in range(count):
        fields = ndimage.gaussian_filter(rng.standard_normal((2, *shape)), (0, 0.7, 1.5, 1.5))
        fields[1] += rng.uniform(0, 1.5) * fields[0]
        masks = [field > np.quantile(field, rng.uniform(0.6, 0.97)) for field in fields]
        pairs.append((*masks, tuple(rng.uniform(0.7, 8, 3))))
    return pairs


def names(count: int) -> tuple[str, ...]:
    return tuple(f"organ_{label}" for label in range(1, count + 1))


def score(truth: np.ndarray, predicted: np.ndarray, spacing_mm=STACK_MM) -> ClassScore:
    (row,) = score_patient(truth.astype(np.uint8), predicted.astype(np.uint8), names(1), spacing_mm)
    return row


# --- by hand ---------------------------------------------------------------------------------------------------------


def test_disc_in_one_slice_is_measured_on_its_outline():
    """Radius 48 mm, shifted by 18 mm: 11.4 mm for true circles, 10.5 on pixels, whatever the distance of slices."""
    found = surface_distances(disc(20, 17, 8), disc(20, 20, 8), STACK_MM)
    assert found.average == pytest.approx(10.5, abs=0.05)
    assert found.hausdorff == pytest.approx(18)
    assert found == surface_distances(disc(20, 17, 8), disc(20, 20, 8), (1.0, 6.0, 6.0))
    # the tops and bottoms of a disc that is taken for a prism hide three quarters of it
    assert surface_distances(disc(20, 17, 8), disc(20, 20, 8), STACK_MM, "surfels").average < 3


def test_two_parallel_plates():
    """Plates of 9 rows in columns 2 and 7: their far sides are 5 columns from the other plate, their near ones 4."""
    a, b = box((4, 9, 12), (0, 4), (0, 9), (2, 3)), box((4, 9, 12), (0, 4), (0, 9), (7, 8))
    found = surface_distances(a, b, (5.0, 2.0, 3.0))
    # a side joins 9 corners; at its ends the outline turns to the middle of the plate's narrow side
    turn = math.hypot(1, 1.5)
    side, narrow_side = 8 * 2 + turn, math.hypot(1, 4.5 * 3)
    assert found.average == pytest.approx(((15 + 12) * side + 2 * narrow_side * turn) / (2 * side + 2 * turn))
    assert found.hausdorff == found.hausdorff_95 == pytest.approx(15)


def test_plates_in_two_slices_are_slices_apart():
    a, b = box((6, 9, 9), (1, 2), (2, 7), (2, 7)), box((6, 9, 9), (4, 5), (2, 7), (2, 7))
    found = surface_distances(a, b, (20.0, 6.0, 6.0))
    assert (found.average, found.hausdorff, found.hausdorff_95) == pytest.approx((60, 60, 60))


def test_single_voxels():
    """Pixels three columns apart: four corners each, at (±1/2, 0) and (0, ±1/2), all of equal weight."""
    a, b = box((1, 5, 9), (0, 1), (2, 3), (2, 3)), box((1, 5, 9), (0, 1), (2, 3), (5, 6))
    found = surface_distances(a, b, (20.0, 1.0, 1.0))
    near, side, far = 2.0, math.hypot(2.5, 0.5), 3.0
    assert found.average == pytest.approx((near + 2 * side + far) / 4)
    assert found.hausdorff == found.hausdorff_95 == pytest.approx(far)


def test_length_of_an_outline():
    """A square of 4 pixels of 2 x 3 mm: sides of 3 pixels between cut corners."""
    _, lengths = _contours(box((1, 8, 8), (0, 1), (2, 6), (2, 6)), (9.0, 2.0, 3.0))
    assert lengths.sum() == pytest.approx(2 * 3 * 2 + 2 * 3 * 3 + 4 * math.hypot(1, 1.5))


@pytest.mark.parametrize("surface", ["contours", "surfels"])
def test_mask_at_the_border_equals_the_same_mask_inside(surface):
    a, b = box((3, 8, 8), (0, 3), (0, 5), (0, 4)), box((3, 8, 8), (0, 2), (1, 8), (0, 8))
    inside = [np.pad(mask, 3) for mask in (a, b)]
    assert dataclasses.astuple(surface_distances(a, b, STACK_MM, surface)) == pytest.approx(
        dataclasses.astuple(surface_distances(*inside, STACK_MM, surface))
    )


def test_empty_masks_and_wrong_shapes_are_refused():
    full, empty = box((2, 4, 4), (0, 1), (1, 3), (1, 3)), np.zeros((2, 4, 4), bool)
    for pair in ((full, empty), (empty, full), (empty, empty)):
        with pytest.raises(ValueError, match="no surface"):
            surface_distances(*pair, STACK_MM)
    with pytest.raises(ValueError, match="one shape"):
        score_patient(np.zeros((2, 4, 4), np.uint8), np.zeros((3, 4, 4), np.uint8), names(1), STACK_MM)
    with pytest.raises(ValueError, match="positive"):
        surface_distances(full, full, (22.0, 0.0, 6.0))


# --- which cases count -----------------------------------------------------------------------------------------------


def test_missed_invented_absent_and_found():
    a, b = box((2, 10, 10), (0, 1), (2, 6), (2, 6)), box((2, 10, 10), (0, 1), (2, 6), (3, 7))
    empty = np.zeros_like(a)
    rows = {"found": score(a, b), "missed": score(a, empty), "invented": score(empty, b), "absent": score(empty, empty)}
    overlap = {key: tuple(row.scores[m] for m in ("dice", "miou", "missed", "invented")) for key, row in rows.items()}
    assert overlap == {
        "found": (0.75, 0.6, 0, None),
        "missed": (0, 0, 1, None),
        "invented": (None, None, None, 1),
        "absent": (None, None, None, 0),
    }
    diagonal = pytest.approx(60 * math.sqrt(2))
    for name in DISTANCES:
        values = [row.scores[name] for row in rows.values()]
        assert values[0] > 0
        assert values[1:] == [None, None, None]
        if name != "hausdorff_distance_95":
            penalised = [row.scores[f"{name}_penalised"] for row in rows.values()]
            assert penalised == [values[0], diagonal, diagonal, None]
    assert [(row.truth_voxels, row.predicted_voxels) for row in rows.values()] == [(16, 16), (16, 0), (0, 16), (0, 0)]


def test_every_class_has_a_row_and_other_classes_do_not_disturb_it():
    truth, predicted = np.zeros((2, 3, 20, 20), np.uint8)
    truth[:, 2:8, 2:8], predicted[:, 3:8, 2:9] = 3, 3
    alone = score_patient(truth, predicted, names(3), STACK_MM)
    truth[:, 12:18, 12:18], predicted[:, 0:2, 0:2] = 1, 2
    together = score_patient(truth, predicted, names(4), STACK_MM)
    assert tuple(row.label for row in together) == names(4)
    assert together[2] == alone[2]
    assert [row.scores["missed"] for row in together] == [1, None, 0, None]
    assert [row.scores["invented"] for row in together] == [None, 1, None, 0]


# --- stray voxels ----------------------------------------------------------------------------------------------------


def patient_mean(truth: np.ndarray, predicted: np.ndarray, classes: int) -> float:
    rows = score_patient(truth, predicted, names(classes), STACK_MM)
    values = [row.scores["average_surface_distance"] for row in rows]
    return float(np.mean([value for value in values if value is not None]))


def test_stray_voxel_of_a_class_that_the_truth_lacks_moves_no_distance():
    truth, predicted = np.zeros((2, 15, 64, 64), np.uint8)
    truth[2:9, 20:40, 10:30], predicted[2:9, 21:40, 10:31] = 1, 1
    before = patient_mean(truth, predicted, 2)
    predicted[14, 63, 63] = 2
    assert patient_mean(truth, predicted, 2) == before
    assert score_patient(truth, predicted, names(2), STACK_MM)[1].scores["invented"] == 1


@pytest.mark.parametrize(("radius", "slices"), [(2, 2), (6, 5), (14, 8)])
def test_stray_voxel_moves_a_class_by_its_share_of_the_outline(radius, slices):
    """At most its outline of 2 √2 pixels times its distance, over the outlines of both sides."""
    truth = np.repeat(disc(30, 25, radius, 64), slices, axis=0)
    predicted = np.roll(truth, 1, axis=2)
    before = surface_distances(truth, predicted, STACK_MM).average
    stray = predicted.copy()
    stray[0, 63, 63] = True
    outline = sum(_contours(mask, STACK_MM)[1].sum() for mask in (truth, predicted))
    bound = 2 * math.hypot(6, 6) * 6 * (math.hypot(34, 39) - radius) / outline
    moved = surface_distances(truth, stray, STACK_MM).average - before
    assert 0.8 * bound < moved < bound
    # as far away as this, a millimetre is kept by organs of the size of the liver alone
    assert (moved < 1) == (radius == 14)


def trunk() -> np.ndarray:
    """Label stack uint8 [15, 64, 64] of a real trunk with all 34 classes."""
    folder = Path(os.environ.get("PIVM_REAL_CT", "")) / "labels_trunk/s0327/segmentations"
    if not os.environ.get("PIVM_REAL_CT") or not folder.is_dir():
        pytest.skip("PIVM_REAL_CT does not name a folder with labels_trunk/s0327")
    stack = np.zeros((15, 64, 64), np.uint8)
    for label, name in enumerate(LabelSet.from_config(34).names, start=1):
        image = nib.as_closest_canonical(nib.load(folder / f"{name}.nii.gz"))
        mask = np.asarray(image.dataobj).T > 0
        side, steps = max(mask.shape[1:]), np.linspace(5, len(mask) - 6, 15).round().astype(int)
        rows, columns = (np.minimum(np.arange(64) * side // 64, size) for size in mask.shape[1:])
        padded = np.pad(mask[steps], ((0, 0), (0, 1), (0, 1)))
        stack[padded[:, rows][:, :, columns]] = label
    return stack


def test_stray_voxel_in_a_real_trunk_moves_no_table_by_a_millimetre():
    truth = trunk()
    rows = score_patient(truth, truth, names(34), STACK_MM)
    held = [label for label, row in enumerate(rows, start=1) if row.truth_voxels]
    assert len(held) >= 30
    corners = list(itertools.product((0, 14), (0, 63), (0, 63)))
    moved = {}
    for label in held:
        mask = truth == label
        worst = 0.0
        for corner in corners:
            stray = mask.copy()
            stray[corner] = True
            worst = max(worst, surface_distances(mask, stray, STACK_MM).average)
        moved[label] = worst
    by_voxels = {label: rows[label - 1].truth_voxels for label in held}
    # a patient's mean: all but the classes with a handful of voxels; a table has five patients or more
    assert max(m / len(held) for k, m in moved.items() if by_voxels[k] >= 25) < 1
    assert max(moved.values()) / len(held) / 5 < 1


# --- properties ------------------------------------------------------------------------------------------------------

masks = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).random((3, 7, 8)) < 0.3)
surfaces = st.sampled_from(["contours", "surfels"])


@given(masks, masks, surfaces)
def test_symmetric(a, b, surface):
    forth, back = surface_distances(a, b, STACK_MM, surface), surface_distances(b, a, STACK_MM, surface)
    assert dataclasses.astuple(forth) == pytest.approx(dataclasses.astuple(back), abs=1e-9)


@given(masks, surfaces)
def test_zero_for_equal_masks(a, surface):
    assert dataclasses.astuple(surface_distances(a, a, STACK_MM, surface)) == (0, 0, 0)


@given(masks, st.integers(1, 4), st.sampled_from([0, 1, 2]))
def test_translation_by_k_voxels(a, k, axis):
    """No element moves by more than the translation, and the outermost of a convex mask moves by just that."""
    wide = np.pad(a, 4)
    found = surface_distances(wide, np.roll(wide, k, axis), STACK_MM)
    assert found.average <= found.hausdorff + 1e-9
    assert found.hausdorff <= k * STACK_MM[axis] + 1e-9
    solid = np.pad(np.ones_like(a), 4)
    assert surface_distances(solid, np.roll(solid, k, axis), STACK_MM).hausdorff == pytest.approx(k * STACK_MM[axis])


@given(masks, masks, st.floats(0.1, 10))
def test_scales_with_the_spacing(a, b, factor):
    small = dataclasses.astuple(surface_distances(a, b, STACK_MM))
    large = surface_distances(a, b, tuple(factor * step for step in STACK_MM))
    assert dataclasses.astuple(large) == pytest.approx([factor * value for value in small])


# --- references ------------------------------------------------------------------------------------------------------

PAIRS = random_pairs(200, (5, 17, 14))


def weighted(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    order = np.argsort(values)
    return values[order][np.searchsorted(np.cumsum(weights[order]) / weights.sum(), share)]


def test_contours_equal_marching_squares_of_scikit_image():
    """200 pairs: vertices and sides of ``find_contours``, all distances computed one by one."""
    from skimage.measure import find_contours

    def outline(mask, spacing):
        points, lengths = [], []
        for z, image in enumerate(np.pad(mask, ((0, 0), (1, 1), (1, 1))).astype(float)):
            for line in find_contours(image, 0.5):
                line = line * spacing[1:]
                half = np.linalg.norm(np.diff(line, axis=0), axis=1) / 2
                points.append(np.column_stack([np.full(len(half), z * spacing[0]), line[:-1]]))
                lengths.append(half + np.roll(half, 1))
        return np.concatenate(points), np.concatenate(lengths)

    for truth, predicted, spacing in PAIRS:
        (p, w), (q, v) = outline(truth, spacing), outline(predicted, spacing)
        far = cdist(p, q)
        there, back = far.min(1), far.min(0)
        found = surface_distances(truth, predicted, spacing)
        assert found.average == pytest.approx((there @ w + back @ v) / (w.sum() + v.sum()), abs=1e-6)
        assert found.hausdorff == pytest.approx(max(there.max(), back.max()), abs=1e-6)
        # a percentile of a weighted sample jumps where rounding decides: it lies between its neighbours
        low, high = (max(weighted(there, w, s), weighted(back, v, s)) for s in (0.95 - 1e-9, 0.95 + 1e-9))
        assert low - 1e-6 <= found.hausdorff_95 <= high + 1e-6


def package(truth, predicted, spacing):
    import surface_distance

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = surface_distance.compute_surface_distances(truth, predicted, spacing)
    distances = np.concatenate([found["distances_gt_to_pred"], found["distances_pred_to_gt"]])
    measures = np.concatenate([found["surfel_areas_gt"], found["surfel_areas_pred"]])
    robust = [surface_distance.compute_robust_hausdorff(found, percent) for percent in (100, 95)]
    return (distances @ measures / measures.sum(), *robust), measures.sum()


def test_surfels_equal_the_package_surface_distance():
    """200 pairs; its two directed averages, joined with their areas as weights."""
    for truth, predicted, spacing in PAIRS:
        expected, _ = package(truth, predicted, spacing)
        found = surface_distances(truth, predicted, spacing, "surfels")
        assert dataclasses.astuple(found) == pytest.approx(expected, abs=1e-6)


def test_contours_have_the_length_of_the_package_surface_distance():
    """It puts the outline on the corners of pixels, half a pixel from here: distances differ by a pixel at most."""
    for truth, predicted, spacing in PAIRS:
        a, b = truth[2], predicted[2]
        if not (a.any() and b.any()):
            continue
        (_, hausdorff, _), length = package(a, b, spacing[1:])
        lengths = [_contours(mask[None], spacing)[1].sum() for mask in (a, b)]
        assert sum(lengths) == pytest.approx(length, abs=1e-6)
        assert abs(surface_distances(a[None], b[None], spacing).hausdorff - hausdorff) <= max(spacing[1:])


def test_overlap_equals_monai_and_hausdorff_differs_by_a_pixel():
    """MONAI's edge is the mask's own outermost pixels: their centres lie half a pixel inside the outline."""
    import torch
    from monai.metrics import compute_dice, compute_hausdorff_distance, compute_iou

    for truth, predicted, spacing in PAIRS:
        y, p = (torch.from_numpy(mask)[None, None].float() for mask in (truth, predicted))
        found = score(truth, predicted, spacing).scores
        assert found["dice"] == pytest.approx(compute_dice(p, y).item(), abs=1e-6)
        assert found["miou"] == pytest.approx(compute_iou(p, y).item(), abs=1e-6)
        if truth[2].any() and predicted[2].any():
            theirs = compute_hausdorff_distance(p[:, :, 2], y[:, :, 2], include_background=True, spacing=spacing[1:])
            here = surface_distances(truth[2:3], predicted[2:3], spacing).hausdorff
            assert abs(here - theirs.item()) <= max(spacing[1:]) + 1e-4


# --- speed -----------------------------------------------------------------------------------------------------------


def test_forty_patients_are_scored_within_a_minute():
    """40 patients x 34 classes on one core; four are measured, in processor time."""
    rng = np.random.default_rng(1)
    z, y, x = np.mgrid[:15, :64, :64]
    stacks = []
    for _ in range(4):
        truth, predicted = np.zeros((2, 15, 64, 64), np.uint8)
        for label in range(1, 35):
            centre, half = rng.uniform((0, 12, 10), (15, 52, 54)), rng.uniform((2, 3, 3), (7, 9, 9))
            for stack, shift in ((truth, 0), (predicted, 1)):
                stack[((z - centre[0]) / half[0]) ** 2 + ((y - centre[1] - shift) / half[1]) ** 2
                      + ((x - centre[2]) / half[2]) ** 2 < 1] = label  # fmt: skip
        stacks.append((truth, predicted))
    start = time.process_time()
    rows = [score_patient(truth, predicted, names(34), STACK_MM) for truth, predicted in stacks]
    assert (time.process_time() - start) * 10 < 60
    assert sum(row.scores["average_surface_distance"] is not None for patient in rows for row in patient) > 100
