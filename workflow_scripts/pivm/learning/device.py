"""How a device is used: precision, compilation, and the error for people when its memory is full."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator

import torch

from pivm.errors import PivmError

_DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
#: compiling takes about a minute; a shorter training than this does not earn it back
COMPILE_FROM_STEPS = 5000
#: pixels per side of the largest slices for which one CPU thread is fastest
ONE_THREAD_UP_TO = 128
#: more CPU threads than this do not pay for one slice
MOST_THREADS = 4


def choose(wanted: str, key: str) -> torch.device:
    """The device of this process on the machine that it runs on.

    Args:
        wanted: ``auto``, ``cpu`` or ``gpu``.
        key: what said so, for the message.

    Raises:
        PivmError: ``gpu`` where torch finds none.
    """
    available = torch.cuda.is_available()
    if wanted == "gpu" and not available:
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "a build for CPUs alone"
        raise PivmError(
            f"{key} is gpu, but torch {torch.__version__} ({built}) finds no GPU on {platform.node()}; check the "
            f"driver there with nvidia-smi, ask the scheduler for a GPU, or set {key} to auto"
        )
    return torch.device("cuda" if available and wanted != "cpu" else "cpu")


def prepare(device: torch.device, precision: str) -> None:
    """Process-wide switches of a GPU: the fastest convolutions, and TF32 unless ``fp32`` is asked for by name."""
    if device.type == "cuda":
        exact = precision == "fp32"
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = not exact
        torch.set_float32_matmul_precision("highest" if exact else "high")


def low_precision(precision: str, device: torch.device) -> torch.dtype | None:
    """The type of matrix products and convolutions under autocast, ``None`` for float32.

    Args:
        precision: ``auto`` is bf16 on a GPU that has it, fp16 on one that has not, and float32 on a CPU.
    """
    if precision != "auto":
        return _DTYPES[precision]
    if device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context in which a network runs."""
    dtype = low_precision(precision, device)
    return torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None)


def sampling_precision(wanted: str, device: torch.device) -> str:
    """What a network samples with: ``bf16`` or ``fp32``.

    Args:
        wanted: ``auto`` is bf16 on a CPU with instructions for it, which take half the time of float32; or ``fp32``.
        device: where it runs.
    """
    if wanted != "auto":
        return wanted
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16" if device.type == "cpu" and native else "fp32"


def pays_to_compile(choice: bool | str, device: torch.device, steps: int) -> bool:
    """Whether a training of so many steps is compiled; ``auto`` wants a GPU, its compilers and enough steps."""
    if isinstance(choice, bool):
        return choice
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc")
    ready = compiler and importlib.util.find_spec("triton")
    return device.type == "cuda" and steps >= COMPILE_FROM_STEPS and bool(ready)


def inference_threads(image_size: int) -> int:
    """CPU threads that make slices of a size fastest.

    A small network has too little work for two: they wait for each other at every layer, and on a busy machine twelve
    times as long as they work.
    """
    return 1 if image_size <= ONE_THREAD_UP_TO else min(os.cpu_count() or 1, MOST_THREADS)


@contextlib.contextmanager
def memory_advice(advice: str) -> Iterator[None]:
    """Turn running out of memory into an error for people.

    Args:
        advice: what needs less memory, as an imperative.

    Raises:
        PivmError: out of memory, on a GPU or not.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if type(error) is RuntimeError and "can't allocate memory" not in str(error):
            raise
        where = "the GPU" if isinstance(error, torch.OutOfMemoryError) else "this machine"
        raise PivmError(f"{where} ran out of memory: {advice} and run again ({error})") from error


def memory_hint(key: str, value: int) -> contextlib.AbstractContextManager[None]:
    """:func:`memory_advice` that names the setting to halve.

    Args:
        key: dotted path of the config key that the memory grows with.
        value: what it is now.
    """
    if value > 1:
        return memory_advice(f"set {key} to {value // 2} (it is {value})")
    return memory_advice(f"{key} is 1 already: use smaller images or networks")
