"""The optimisers of a training: AdamW, or Muon for the kernels of convolutions and AdamW for all other weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch

from pivm.learning.graphs import Replay

#: of the odd polynomial a x + b x^3 + c x^5, which takes all singular values of a matrix near 1 (Jordan et al. 2024)
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
#: smallest and largest smaller side of a kernel as a matrix; AdamW trains others, of which the larger would take as
#: long as all the rest of a step on a CPU
SIDES = 16, 128
#: root mean square of an update of AdamW at a rate of 1, so that one rate serves both (Liu et al. 2025, section 2.2)
ADAMW_RMS = 0.2


def make_optimizers(
    model: torch.nn.Module,
    name: str,
    learning_rate: float,
    betas: tuple[float, float],
    weight_decay: float,
    graphs: bool = False,
) -> list[torch.optim.Optimizer]:
    """The optimisers that train a model together, each of its weights by one of them.

    Args:
        name: ``adamw``, or ``muon``.
        learning_rate: of all of them.
        betas: of AdamW.
        weight_decay: of all of them, in units of the rate.
        graphs: the products of Muon are a CUDA graph.
    """
    matrices = [weight for weight in model.parameters() if name == "muon" and is_matrix(weight)]
    chosen = {id(weight) for weight in matrices}
    others = [weight for weight in model.parameters() if id(weight) not in chosen]
    adamw = torch.optim.AdamW(others, learning_rate, betas=betas, weight_decay=weight_decay, fused=True)
    if not matrices:
        return [adamw]
    return [adamw, Muon(matrices, learning_rate, weight_decay=weight_decay, graphs=graphs)]


def is_matrix(weight: torch.Tensor) -> bool:
    """A kernel of a convolution whose smaller side is within :data:`SIDES`: no bias, norm, embedding or linear layer.

    Kernels of grouped convolutions are taken as those of others.
    """
    least, most = SIDES
    return weight.ndim > 2 and least <= min(len(weight), weight[0].numel()) <= most


class Muon(torch.optim.Optimizer):
    """Momentum whose singular values are made equal (Jordan et al. 2024), for kernels [out, in, ...] as matrices.

    ``torch.optim.Muon`` takes no kernels, and computes in bf16, for which many CPUs have no instructions: there a step
    takes more than ten times as long as this one, which takes kernels of one shape together.

    Args:
        weights: kernels.
        lr: comparable to that of AdamW.
        momentum: of the gradient, after Nesterov.
        weight_decay: share of the weights that is taken off, times the rate.
        graphs: the products are a CUDA graph (:class:`pivm.learning.graphs.Replay`).
    """

    def __init__(
        self,
        weights: Iterable[torch.Tensor],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        graphs: bool = False,
    ):
        super().__init__(weights, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self._matched: Callable[..., list[torch.Tensor]] = Replay(_matched) if graphs else _matched

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One update of all weights that have a gradient, in full float32."""
        before = torch.get_float32_matmul_precision()
        # a gram matrix that is rounded to TF32 gets negative eigenvalues, which the iteration would blow up
        torch.set_float32_matmul_precision("highest")
        try:
            for group in self.param_groups:
                self._update(group["params"], group["lr"], group["momentum"], group["weight_decay"])
        finally:
            torch.set_float32_matmul_precision(before)

    def _update(self, weights: list[torch.Tensor], rate: float, momentum: float, weight_decay: float) -> None:
        """All weights at once, by what torch has no public name for: on a GPU the host then starts few kernels."""
        weights = [weight for weight in weights if weight.grad is not None]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        if not weights:
            return
        for weight in weights:
            if "average" not in self.state[weight]:
                self.state[weight]["average"] = torch.zeros_like(weight)
        averages = [self.state[weight]["average"] for weight in weights]
        torch._foreach_lerp_(averages, gradients, 1 - momentum)  # pyright: ignore[reportPrivateImportUsage]
        updates = self._matched(*torch._foreach_lerp(gradients, averages, momentum))  # pyright: ignore[reportPrivateImportUsage]
        torch._foreach_mul_(weights, 1 - rate * weight_decay)  # pyright: ignore[reportPrivateImportUsage]
        for weight, update in zip(weights, updates, strict=True):
            weight.sub_(update, alpha=rate * ADAMW_RMS * math.sqrt(max(len(update), update[0].numel())))


def _matched(*kernels: torch.Tensor) -> list[torch.Tensor]:
    """Kernels [out, in, ...] as matrices, made :func:`orthogonal`, in their order; those of one shape go together."""
    by_shape: dict[torch.Size, list[int]] = {}
    for i, kernel in enumerate(kernels):
        by_shape.setdefault(kernel.shape, []).append(i)
    updates = list(kernels)
    for shape, rows in by_shape.items():
        together = orthogonal(torch.stack([kernels[i].flatten(1) for i in rows]).float())
        for i, update in zip(rows, together, strict=True):
            updates[i] = update.view(shape)
    return updates


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """Matrices of the same singular vectors, whose singular values lie around 1; zero stays zero.

    Args:
        matrices: float32 [N, rows, columns].
    """
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonal(matrices.mT).mT
    a, b, c = NEWTON_SCHULZ
    x = matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp_min(1e-12)
    # all factors are polynomials of x x^T and commute, so only the first and the last product are of long matrices
    gram, constant = x @ x.mT, a * torch.eye(x.shape[1], device=x.device)
    whole = factor = constant + torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
    for _ in range(ITERATIONS - 1):
        gram = factor @ gram @ factor
        factor = constant + torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        whole = factor @ whole
    return whole @ x
