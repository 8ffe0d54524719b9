"""Training steps of a network as CUDA graphs: the host starts all kernels of a pass with one call.

A small network keeps a GPU busy for a fraction of the time that the host needs to start its kernels.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import torch


class Replay:
    """A function of tensors on a GPU that is captured with new shapes of its arguments and replayed from then on.

    What it returns is overwritten by the next call with the same shapes.

    Args:
        function: has no gradients and no other effects, and does the same work at every call with tensors of the same
            shapes.
    """

    def __init__(self, function: Callable[..., list[torch.Tensor]]):
        self._function = function
        self._captured: dict[tuple, tuple[torch.cuda.CUDAGraph, list[torch.Tensor], list[torch.Tensor]]] = {}

    def __call__(self, *args: torch.Tensor) -> list[torch.Tensor]:
        """What the function returns for these arguments."""
        shapes = tuple((a.shape, a.dtype) for a in args)
        if shapes not in self._captured:
            self._captured[shapes] = self._capture(args)
        graph, inputs, outputs = self._captured[shapes]
        torch._foreach_copy_(inputs, args)  # pyright: ignore[reportPrivateImportUsage]
        graph.replay()
        return outputs

    def _capture(
        self, args: Sequence[torch.Tensor]
    ) -> tuple[torch.cuda.CUDAGraph, list[torch.Tensor], list[torch.Tensor]]:
        inputs = [a.clone() for a in args]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # libraries set themselves up at their first call, which cannot be captured
            self._function(*inputs)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = self._function(*inputs)
        return graph, inputs, outputs


class _Given(torch.nn.Module):
    """A network as a function of those of its arguments that are tensors; the others are None."""

    def __init__(self, model: torch.nn.Module, forward: Callable, given: list[bool]):
        super().__init__()
        self.model, self._forward, self._given = model, forward, given

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        left = iter(tensors)
        return self._forward(*(next(left) if given else None for given in self._given))


class _Replayed:
    """A network's forward method that captures each new signature of its arguments and replays it from then on.

    What it returns is overwritten by the next call of the same signature.
    """

    def __init__(self, model: torch.nn.Module):
        self._model, self._forward = model, model.forward
        self._graphs: dict[tuple, Callable] = {}

    def __call__(self, *args: torch.Tensor | None) -> torch.Tensor:
        if not self._model.training:
            return self._forward(*args)
        signature = tuple(None if a is None else (a.shape, a.stride(), a.dtype) for a in args)
        if signature not in self._graphs:
            self._graphs[signature] = self._capture(args)
        return self._graphs[signature](*(a for a in args if a is not None))

    def _capture(self, args: tuple[torch.Tensor | None, ...]) -> Callable:
        module = _Given(self._model, self._forward, [a is not None for a in args])
        samples = tuple(a.detach().clone() for a in args if a is not None)
        # passes before the capture are real ones, and statistics of normalisations would count them
        kept = {name: buffer.clone() for name, buffer in self._model.named_buffers()}
        on, dtype = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
        # weights in lower precision that autocast keeps would be those of the capture
        with torch.enable_grad(), torch.autocast("cuda", dtype, on, cache_enabled=False):
            graph = torch.cuda.make_graphed_callables(module, samples, allow_unused_input=True)
        for name, buffer in self._model.named_buffers():
            buffer.copy_(kept[name])
        return graph


@contextlib.contextmanager
def replayed(model: torch.nn.Module, wanted: bool) -> Iterator[None]:
    """Replay the passes of a network in training mode; in evaluation it runs as ever.

    Args:
        model: takes tensors or None as positional arguments, returns one tensor, and does on the GPU the same work
            at every call with tensors of the same shapes.
        wanted: without it nothing changes.
    """
    if not wanted:
        yield
        return
    # gradients are summed on the stream of the training and come from that of the capture, which torch waits for
    torch.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch(False)
    model.forward = _Replayed(model)
    try:
        yield
    finally:
        del model.forward
        torch.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch(True)
