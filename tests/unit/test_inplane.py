"""The in-plane standard against hand-made cases and a reference resampler."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pivm.scans.inplane import AIR_HU, InPlane
from pivm.scans.outline import outline


@given(nx=st.integers(8, 40), ny=st.integers(8, 40), size=st.sampled_from([16, 32, 64]))
def test_padding_is_air_centred_and_square(nx, ny, size):
    plane = InPlane((nx, ny), (2.0, 2.0), size)
    out = plane.standardise(np.zeros((nx, ny, 2), np.int16), AIR_HU, smooth=True)
    assert out.shape == (2, size, size)
    assert plane.field_mm == 2.0 * max(nx, ny)
    corner = out[0, 0, 0]
    assert corner == 0 if nx == ny else corner <= 0
    assert abs(int((out[0] == out[0][::-1]).all()) - 1) == 0 or abs(nx - ny) % 2 == 1


def test_rows_run_from_anterior_and_columns_from_the_right():
    volume = np.zeros((4, 4, 1), np.uint8)
    volume[3, 0, 0] = 1  # the patient's right, posterior
    out = InPlane((4, 4), (1.0, 1.0), 4).standardise(volume, 0, smooth=False)[0]
    assert np.argwhere(out).tolist() == [[3, 0]]


def test_hu_resampling_is_antialiased_like_torch():
    rng = np.random.default_rng(0)
    hu = rng.integers(-1000, 1000, (96, 96, 2)).astype(np.int16)
    ours = InPlane((96, 96), (1.0, 1.0), 32).standardise(hu, AIR_HU, smooth=True)
    slices = np.ascontiguousarray(hu[::-1, ::-1].transpose(2, 1, 0)).astype(np.float32)
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(slices)[:, None], (32, 32), mode="bilinear", antialias=True
    )[:, 0].numpy()
    assert np.abs(ours - theirs).max() <= 1


def test_same_size_is_the_identity():
    hu = np.random.default_rng(0).integers(-2000, 3000, (32, 32, 3)).astype(np.int16)
    plane = InPlane((32, 32), (1.0, 1.0), 32)
    out = plane.standardise(hu, AIR_HU, smooth=True)
    np.testing.assert_array_equal(out[0], hu[::-1, ::-1, 0].T)
    np.testing.assert_array_equal(plane.restore(out), hu)


@pytest.mark.parametrize("shape", [(30, 44), (44, 30), (33, 40)])
def test_restore_brings_back_the_grid(shape):
    x, y = np.meshgrid(*(np.linspace(0, np.pi, n) for n in shape), indexing="ij")
    hu = (800 * np.sin(x) * np.sin(y))[..., None].astype(np.int16)
    plane = InPlane(shape, (1.0, 1.0), 64)
    back = plane.restore(plane.standardise(hu, 0, smooth=True))
    assert back.shape == hu.shape
    assert np.abs(back - hu).max() < 25


def test_anisotropic_pixels_become_square():
    plane = InPlane((20, 40), (2.0, 1.0), 40)
    out = plane.standardise(np.full((20, 40, 1), 7, np.uint8), 0, smooth=False)
    assert (out == 7).all()
    assert plane.pixel_mm == 1.0


def test_outline_drops_the_couch_and_fills_lungs():
    hu = np.full((1, 64, 64), -1000, np.int16)
    hu[0, 12:50, 10:54] = 0
    hu[0, 20:30, 20:30] = -850  # lung
    hu[0, 56:57, 4:60] = -90  # couch
    body = outline(hu, np.zeros(hu.shape, np.uint8), pixel_mm=6.0)
    assert body[0, 25, 25]
    assert not body[0, 56].any()
    assert abs(int(body.sum()) - 38 * 44) <= 8


def test_labels_are_always_inside_the_outline():
    hu = np.full((1, 32, 32), -1000, np.int16)
    labels = np.zeros(hu.shape, np.uint8)
    labels[0, 3:5, 3:5] = 4
    assert outline(hu, labels, 5.0)[0, 3:5, 3:5].all()
