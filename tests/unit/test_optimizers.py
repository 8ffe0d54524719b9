"""Muon: what its updates are, beside torch's own for matrices, and which weights it trains."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pivm.generators.diffusion.network import Denoiser
from pivm.generators.diffusion.settings import NetworkSettings
from pivm.learning.loop import Run, Schedule, train
from pivm.learning.optimizers import ITERATIONS, NEWTON_SCHULZ, Muon, is_matrix, make_optimizers, orthogonal


def singular_value_after(value: np.ndarray) -> np.ndarray:
    """What the iteration makes of singular values of a matrix of norm 1."""
    a, b, c = NEWTON_SCHULZ
    for _ in range(ITERATIONS):
        value = a * value + b * value**3 + c * value**5
    return value


@given(
    st.integers(1, 3),
    st.integers(2, 40),
    st.integers(2, 40),
    st.floats(1e-6, 1e6),
    st.floats(0, 6),
    st.integers(0, 2**32 - 1),
)
def test_singular_vectors_stay_and_their_values_follow_the_polynomial(count, rows, columns, size, decades, seed):
    rng, least = np.random.default_rng(seed), min(rows, columns)
    left, right = (np.linalg.qr(rng.normal(size=(count, n, n)))[0][:, :, :least] for n in (rows, columns))
    values = np.logspace(0, -decades, least)
    matrices = size * (left * values) @ right.transpose(0, 2, 1)
    wanted = (left * singular_value_after(values / np.linalg.norm(values))) @ right.transpose(0, 2, 1)
    made = orthogonal(torch.from_numpy(matrices.astype(np.float32)))
    # the gram matrix holds squares of singular values: of float32 seven digits, so a thousandth is lost at most
    np.testing.assert_allclose(made.numpy(), wanted, atol=0.01)
    assert torch.linalg.matrix_norm(made, 2).max() < 1.25


def test_a_matrix_of_zeros_stays_zero():
    assert not orthogonal(torch.zeros(2, 16, 20)).any()


@pytest.mark.parametrize("shape", [(20, 48), (48, 20), (32, 32)])
def test_updates_are_those_of_torch_which_rounds_to_bf16(shape):
    torch.manual_seed(0)
    start, target = torch.randn(shape), torch.randn(shape)
    ours, theirs = start.clone().requires_grad_(), start.clone().requires_grad_()
    settings = {"lr": 0.02, "momentum": 0.95, "weight_decay": 0.1}
    optimizers = [Muon([ours], **settings), torch.optim.Muon([theirs], adjust_lr_fn="match_rms_adamw", **settings)]
    for _ in range(10):
        for weight, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            (weight - target).square().sum().backward()
            optimizer.step()
    moved = (theirs - start).norm()
    assert moved > 0.5
    assert (ours - theirs).norm() < 0.02 * moved


def test_a_kernel_is_a_matrix_in_any_memory_layout():
    torch.manual_seed(0)
    start, gradient = torch.randn(16, 8, 3, 3), torch.randn(16, 8, 3, 3)
    kernel, matrix = (
        start.clone(memory_format=torch.channels_last).requires_grad_(),
        start.flatten(1).clone().requires_grad_(),
    )
    kernel.grad, matrix.grad = gradient.clone(memory_format=torch.channels_last), gradient.flatten(1)
    for weight in (kernel, matrix):
        Muon([weight], 0.1).step()
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    assert not torch.equal(kernel, start)
    torch.testing.assert_close(kernel.flatten(1), matrix)


def test_a_weight_without_gradient_stays():
    weights = [torch.ones(16, 16, requires_grad=True) for _ in range(2)]
    optimizer = Muon(weights, 0.1, weight_decay=0.5)
    optimizer.step()
    assert all((weight == 1).all() for weight in weights)
    weights[0].grad = torch.eye(16)
    optimizer.step()
    assert (weights[1] == 1).all()
    assert not (weights[0] == 1).any()


def test_each_weight_has_one_optimizer_and_muon_the_kernels_inside():
    net = Denoiser(37, ("labels", "prior", "previous"), NetworkSettings())
    (adamw, muon), names = make_optimizers(net, "muon", 1e-3, (0.9, 0.99), 0.0), dict(net.named_parameters())
    shares = [{id(w) for group in one.param_groups for w in group["params"]} for one in (adamw, muon)]
    assert not shares[0] & shares[1]
    assert shares[0] | shares[1] == {id(weight) for weight in names.values()}
    by_muon = {name for name, weight in names.items() if id(weight) in shares[1]}
    assert {"stem.weight", "middle1.conv1.weight", "attention.qkv.weight", "fine.weight"} <= by_muon
    assert not {name for name in by_muon if not name.endswith("weight")}
    assert not by_muon & {"embed.weight", "head.weight", "head_norm.weight", "time.0.weight"}
    assert sum(names[name].numel() for name in by_muon) > 0.8 * sum(w.numel() for w in names.values())


@pytest.mark.parametrize(
    ("shape", "muon"),
    [
        ((16, 16, 1, 1), True),
        ((15, 16, 3, 3), False),
        ((1, 17, 3, 3), False),
        ((16, 1, 3, 3), False),
        ((16, 1, 3, 3, 3), True),
        ((128, 256, 3, 3), True),
        ((256, 128, 1, 1), True),
        ((129, 15, 3, 3), False),
        ((256, 256, 3, 3), False),
        ((64, 64), False),
        ((64,), False),
    ],
)
def test_the_smaller_side_of_a_kernel_decides(shape, muon):
    assert is_matrix(torch.zeros(shape)) == muon


def test_adamw_alone_where_it_is_asked_for_or_nothing_is_a_matrix():
    small, large = torch.nn.Conv2d(1, 1, 3), torch.nn.Conv2d(16, 16, 1)
    for net, name, wanted in (
        (small, "muon", [torch.optim.AdamW]),
        (large, "adamw", [torch.optim.AdamW]),
        (large, "muon", [torch.optim.AdamW, Muon]),
    ):
        assert [type(one) for one in make_optimizers(net, name, 1e-3, (0.9, 0.99), 0.0)] == wanted


def test_overflow_of_one_optimizers_gradients_is_a_step_of_none(tmp_path):
    """fp16: the norm of all gradients is clipped, so an infinite one would spoil those of the other weights."""
    torch.manual_seed(0)
    net, x, seen = torch.nn.Conv2d(16, 16, 1), torch.randn(2, 16, 4, 4), []
    net.weight.register_hook(lambda gradient: gradient * (float("inf") if len(seen) == 5 else 1))

    def loss_at(step: int) -> torch.Tensor:
        seen.append(torch.cat([weight.detach().flatten().clone() for weight in net.parameters()]))
        return 1e-4 * net(x).float().square().mean()

    run = Run(tmp_path / "losses.csv", precision="fp16")
    train(net, loss_at, Schedule(8, 0.01), run, batch=2, optimizer="muon")
    moved = [not torch.equal(before, after) for before, after in itertools.pairwise(seen)]
    assert moved == [True, True, True, True, False, True, True]
    assert seen[-1].isfinite().all()
