"""Augmentation of training slices: labels fit the image, air stays air, the step number alone decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pivm.errors import ConfigError
from pivm.learning.batches import Batches
from pivm.learning.feed import Feed
from pivm.learning.loop import Run
from pivm.learning.resume import Resume
from pivm.segmentation.augmentation import StrongAugmentation, augment_lightly, in_space, seeded
from pivm.segmentation.segmenter import Segmenter
from pivm.segmentation.settings import AugmentationSettings, SegmenterSettings
from pivm.segmentation.training_set import Part, TrainingSlices
from pivm.settings import read_settings

from tests.unit.stopped import Stopped, stop_at_save

CPU = torch.device("cpu")
SIZE = 32


def blocks(n=4, size=SIZE) -> tuple[torch.Tensor, torch.Tensor]:
    """Three organs of their own brightness in air; the labels follow from the image."""
    truth = torch.zeros(n, size, size, dtype=torch.uint8)
    truth[:, 6:16, 5:20], truth[:, 18:28, 6:14], truth[:, 18:26, 18:29] = 1, 2, 3
    return torch.tensor([-1.0, 0.0, 0.5, 1.0])[truth.long()][:, None], truth


def global_draws() -> tuple:
    return torch.rand(2).tolist(), np.random.random(2).tolist()  # noqa: NPY002


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**62 - 1), st.integers(0, 2**32 - 1))
def test_the_seed_alone_decides_and_global_generators_stay_as_they_were(seed, state):
    strong, (image, truth) = StrongAugmentation(SIZE), blocks()
    np.random.seed(state)  # noqa: NPY002
    torch.manual_seed(state)
    undisturbed = global_draws()
    np.random.seed(state)  # noqa: NPY002
    torch.manual_seed(state)
    one = strong(image, truth, seed)
    assert global_draws() == undisturbed
    other = StrongAugmentation(SIZE)(image, truth, seed)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert all(torch.equal(a, b) for a, b in zip((image, truth), blocks(), strict=True)), "the arguments changed"


def test_global_generators_are_restored_after_an_error():
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    undisturbed = global_draws()
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)

    def failing():
        with seeded(1):
            global_draws()
            raise Stopped

    with pytest.raises(Stopped):
        failing()
    assert global_draws() == undisturbed


def moved(image: torch.Tensor, labels: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of one slice, [H, W] each, by the transform in space alone."""
    with seeded(seed):
        out = in_space(SIZE)(image=image[None].clone(), segmentation=labels[None].to(torch.int16))
    return out["image"][0], out["segmentation"][0]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_labels_move_with_the_image(seed):
    """An image that is one organ alone: more than half of a pixel is of it only where the label says so."""
    truth = blocks(1)[1][0]
    for organ in (1, 2, 3):
        image, labels = moved((truth == organ).float() * 2 - 1, truth, seed)
        share = (image + 1) / 2
        assert (labels[share > 0.501] == organ).all()
        assert (share[labels == organ] > 0.249).all()  # the largest of four neighbours


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_air_and_background_come_in_where_the_slice_leaves_the_frame(seed):
    ones = torch.ones(SIZE, SIZE)
    image, labels = moved(0.5 * ones, ones, seed)
    share = (image + 1) / 1.5
    assert -1e-5 < share.min() <= share.max() < 1 + 1e-5
    assert (labels[share > 0.501] == 1).all()
    assert (labels[share < 0.499] == 0).all()
    image, labels = moved(-ones, 0 * ones, seed)
    assert torch.allclose(image, -ones, atol=1e-6)
    assert not labels.any()


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_what_comes_out_is_inside_the_window_and_of_the_known_labels(seed):
    image, truth = blocks()
    out, labels = StrongAugmentation(SIZE)(image, truth, seed)
    assert (out.shape, out.dtype, labels.shape, labels.dtype) == (image.shape, image.dtype, truth.shape, truth.dtype)
    assert out.isfinite().all()
    assert out.abs().max() <= 1
    assert set(labels.unique().tolist()) <= {0, 1, 2, 3}


def test_nothing_is_mirrored():
    """The organ that lies clockwise of another one stays there, whatever the turn."""
    image, truth = blocks(1)

    def turn(labels: torch.Tensor) -> float:
        rows, columns = np.mgrid[:SIZE, :SIZE]
        centres = [complex(columns[labels == k].mean(), rows[labels == k].mean()) for k in (1, 2, 3)]
        a, b = centres[1] - centres[0], centres[2] - centres[0]
        return (a.conjugate() * b).imag

    before, strong = turn(truth[0].numpy()), StrongAugmentation(SIZE)
    for seed in range(60):
        labels = strong(image, truth, seed)[1][0].numpy()
        if all((labels == k).sum() >= 10 for k in (1, 2, 3)):
            assert before * turn(labels) > 0, seed


def test_strong_changes_more_than_space():
    image, truth = blocks(64)
    out, labels = StrongAugmentation(SIZE)(image, truth, 3)
    moved = (labels != truth).flatten(1).any(1)
    changed = (out != image).flatten(1).any(1)
    assert 0.2 < moved.float().mean() < 0.8
    assert (changed & ~moved).sum() > 10


def slices(n=8) -> TrainingSlices:
    image, truth = blocks(n)
    hu = (image[:, 0] * 250 + 50).to(torch.int16).numpy()
    return TrainingSlices([Part(hu, truth.numpy())])


def fit(folder: Path, kind: str, resume: Path | None = None) -> dict[str, torch.Tensor]:
    unet = SegmenterSettings(
        depth=3, decoder_channels=(8, 8, 8), steps=6, batch=2, augmentation=AugmentationSettings(kind=kind)
    )
    torch.manual_seed(0)
    segmenter = Segmenter(unet, 4, CPU)
    segmenter.fit(slices(), 1, Run(folder / "losses.csv", Resume(resume, every=0)))
    return segmenter.net.state_dict()


@pytest.mark.parametrize("kind", ["light", "strong"])
def test_a_training_that_was_stopped_goes_on_to_the_same_weights(tmp_path, monkeypatch, kind):
    straight, saves = fit(tmp_path, kind), stop_at_save(monkeypatch, 3)
    with pytest.raises(Stopped):
        fit(tmp_path, kind, tmp_path / "state.pt")
    np.random.seed(77)  # noqa: NPY002
    resumed = fit(tmp_path, kind, tmp_path / "state.pt")
    assert len(saves) == 6, "not resumed"
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


def test_the_kinds_end_in_different_weights(tmp_path):
    light, strong = fit(tmp_path, "light"), fit(tmp_path, "strong")
    assert any(not torch.equal(light[name], strong[name]) for name in light)


@pytest.mark.parametrize("way", ["direct", "ahead"])
def test_a_step_sees_the_same_whatever_the_way_and_the_first_step(way):
    strong, data, batches = StrongAugmentation(SIZE), slices(), Batches(8, 4, 0)

    def prepare(step, tensors):
        return strong(tensors[0][:, None].float() / 1000, tensors[1], step)

    whole = Feed(data, batches, slice(None), 5, CPU, way="direct", prepare=prepare)
    steps = [whole.at(step) for step in range(5)]
    late = Feed(data, batches, slice(None), 5, CPU, way=way, prepare=prepare)
    for step in (3, 4):
        assert all(torch.equal(a, b) for a, b in zip(steps[step], late.at(step), strict=True))


def test_light_keeps_the_air():
    air, none = torch.full((3, 1, SIZE, SIZE), -1.0), torch.zeros(3, SIZE, SIZE, dtype=torch.uint8)
    image, labels = augment_lightly(air, none, AugmentationSettings(), torch.Generator().manual_seed(1))
    assert torch.equal(image, air)
    assert not labels.any()


def test_another_kind_is_named():
    with pytest.raises(ConfigError, match=r"augmentation\.kind"):
        read_settings(SegmenterSettings, {"augmentation": {"kind": "heavy"}}, "segmentation")
