"""The detail of a phantom is drawn into its fat and its organs, and leaves the patient as it was."""

import numpy as np
import pytest
from pivm.datasets.phantom.scan import paint_patient
from pivm.labels import ORGANS_34

GROWN = ("small_bowel", "iliopsoas_right", "iliopsoas_left")
ARTERIAL, UNENHANCED = 5, 2


@pytest.fixture(scope="module", params=[ARTERIAL, UNENHANCED])
def pair(request):
    """(canvas without detail, canvas with it, patient)."""
    size = {"seed": 7, "index": request.param, "matrix": 96, "slice_spacing": 5.0}
    plain, patient = paint_patient(**size)
    return plain, paint_patient(**size, detail=True)[0], patient


def of(canvas, organ):
    return canvas.label == ORGANS_34.index(organ) + 1


def test_only_fat_of_the_pelvis_becomes_an_organ(pair):
    plain, detailed, patient = pair
    new = plain.label != detailed.label
    assert new.any()
    assert not plain.label[new].any()
    assert np.all(np.abs(plain.hu[new] - patient.hu["fat"]) < 40)
    assert plain.z[new].max() < -30
    assert set(np.unique(detailed.label[new])) == {ORGANS_34.index(organ) + 1 for organ in GROWN}


@pytest.mark.parametrize("organ", GROWN)
def test_the_pelvis_is_filled(pair, organ):
    plain, detailed, _ = pair
    pelvis = plain.z < -60
    assert (of(detailed, organ) & pelvis).sum() > 1.3 * (of(plain, organ) & pelvis).sum()


def test_kidneys_have_pyramids_where_the_phase_shows_them(pair):
    _, detailed, patient = pair
    contrast = patient.hu["kidney_cortex"] - patient.hu["kidney_medulla"]
    assert (contrast > 50) == (patient.phase == "arterial")
    for side in ("right", "left"):
        hu = detailed.hu[of(detailed, f"kidney_{side}")]
        share = np.mean(np.abs(hu - patient.hu["kidney_medulla"]) < np.abs(hu - patient.hu["kidney_cortex"]))
        assert 0.15 < share < 0.7


def test_every_detail_is_of_its_tissue_and_the_median_of_organs_stays(pair):
    plain, detailed, _ = pair
    for organ in ("liver", "aorta", "spleen", "colon", "autochthon_left", "sacrum"):
        assert abs(np.median(plain.hu[of(plain, organ)]) - np.median(detailed.hu[of(detailed, organ)])) < 3
    changed = plain.hu != detailed.hu
    assert 0.002 < changed.mean() < 0.1
    assert not changed[plain.hu < -300].any()
