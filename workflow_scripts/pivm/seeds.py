"""Seeds that every stage derives from the one of the config, the same on every machine."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derived_seed(*parts: object) -> int:
    """A 62-bit seed from any parts; the same parts give the same seed on every machine."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 2


def step_generator(seed: int, *parts: object, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for one purpose at one step."""
    import torch

    return torch.Generator(device).manual_seed(derived_seed(seed, *parts))
