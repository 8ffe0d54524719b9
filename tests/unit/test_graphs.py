"""Passes of a network as CUDA graphs: the same training, and what is kept of the network around them."""

import numpy as np
import pytest
import torch
from pivm.generators.diffusion.generator import DiffusionGenerator
from pivm.generators.diffusion.settings import DiffusionSettings, NetworkSettings, TrainingSettings
from pivm.learning.graphs import replayed
from pivm.learning.loop import Run
from pivm.learning.optimizers import Muon
from pivm.segmentation.segmenter import Segmenter
from pivm.segmentation.settings import SegmenterSettings
from pivm.segmentation.training_set import Part, TrainingSlices

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")


class Normalised(torch.nn.Module):
    """Has statistics that every pass in training mode changes."""

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(2)

    def forward(self, x, more=None):
        return self.norm(x) if more is None else self.norm(x) + more


@pytest.fixture
def captured(monkeypatch):
    """What is captured, where a capture runs the passes that come before a real one and no graph."""
    calls = []

    def make(module, samples, **_):
        calls.append([tuple(sample.shape) for sample in samples])
        for _ in range(3):
            module(*samples)
        return module

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", make)
    return calls


def test_each_signature_is_captured_once_and_leaves_no_trace_in_statistics(captured):
    model, plain, x = Normalised(), Normalised(), torch.randn(5, 2)
    with replayed(model, True):
        for _ in range(2):
            assert torch.equal(model(x), plain(x))
        assert torch.equal(model(x, None), plain(x, None))
        assert torch.equal(model(x, 2 * x), plain(x, 2 * x))
        model(x[:4])
        plain(x[:4])
    assert captured == [[(5, 2)], [(5, 2)], [(5, 2), (5, 2)], [(4, 2)]]
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), plain.state_dict().values(), strict=True))


def test_evaluation_and_what_comes_after_run_as_ever(captured):
    model, x = Normalised(), torch.randn(5, 2)
    with replayed(model.eval(), True):
        model(x)
    with replayed(model.train(), False):
        model(x)
    model(x)
    assert not captured
    assert "forward" not in vars(model)


def test_a_training_on_a_cpu_captures_nothing(captured, tmp_path):
    _segmenter(torch.device("cpu"), tmp_path, graphs=True)
    assert not captured


def _segmenter(device: torch.device, folder, graphs: bool) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(0)
    hu, labels = rng.integers(-200, 300, (6, 32, 32), np.int16), rng.integers(0, 4, (6, 32, 32)).astype(np.uint8)
    torch.manual_seed(0)
    settings = SegmenterSettings(depth=3, decoder_channels=(16, 8, 8), steps=4, batch=2, learning_rate=1e-4)
    segmenter = Segmenter(settings, 4, device)
    run = Run(folder / "losses.csv", precision="fp32", graphs=graphs)
    segmenter.fit(TrainingSlices([Part(hu, labels)]), 1, run)
    return segmenter.net.state_dict()


def _generator(device: torch.device, folder, graphs: bool) -> dict[str, torch.Tensor]:
    from benchmarks.common import made_up_prior, made_up_slices

    torch.manual_seed(0)
    settings = DiffusionSettings(
        name="pivm",
        kind="diffusion",
        target="variation",
        condition=("labels", "prior", "previous"),
        network=NetworkSettings(label_channels=4, channels=(16, 24)),
        training=TrainingSettings(batch=2, epochs=8, learning_rate=1e-4, model_previous=0.5),
    )
    generator = DiffusionGenerator(settings, made_up_prior(), device)
    data = made_up_slices(4, 32, made_up_prior())
    generator.fit(data, data, 1, Run(folder / "losses.csv", precision="fp32", graphs=graphs))
    return generator.net.state_dict()


@needs_gpu
@pytest.mark.parametrize("train", [_segmenter, _generator])
def test_graphs_train_the_same_network(train, tmp_path):
    device = torch.device("cuda")
    torch.backends.cudnn.deterministic = True
    with_graphs, without = (train(device, tmp_path, graphs) for graphs in (True, False))
    for name, value in without.items():
        torch.testing.assert_close(with_graphs[name], value, rtol=1e-3, atol=1e-4)


@needs_gpu
def test_updates_of_muon_are_those_without_graphs_whichever_weights_have_gradients():
    torch.manual_seed(0)
    shapes = [(16, 8, 3, 3), (48, 16, 1, 1), (16, 8, 3, 3)]
    start = [torch.randn(shape, device="cuda").contiguous(memory_format=torch.channels_last) for shape in shapes]
    kernels = [[weight.clone().requires_grad_() for weight in start] for _ in range(2)]
    optimizers = [Muon(weights, 0.02, graphs=graphs) for weights, graphs in zip(kernels, (True, False), strict=True)]
    for step in range(9):
        gradients = [torch.randn_like(weight) for weight in start]
        for weights, optimizer in zip(kernels, optimizers, strict=True):
            optimizer.zero_grad()
            for i, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):
                weight.grad = gradient.clone() if i < 2 or step % 3 else None
            optimizer.step()
    for replayed_weight, weight, before in zip(*kernels, start, strict=True):
        assert (weight - before).norm() > 0.1
        torch.testing.assert_close(replayed_weight, weight, rtol=1e-5, atol=1e-6)
