"""torchvision beside a CPU build of torch, which timm and torch-fidelity import and this library never calls."""

from __future__ import annotations

import torch


def allow_torchvision_import() -> None:
    """Define the two operator schemas that torchvision expects where torch is a build without its C++ part.

    Its Python part registers fake kernels for ``nms`` and ``qnms`` at import and fails where the compiled library does
    not match a CPU build of torch. Neither operator is used here. Where the library matches, it defines them itself,
    and a second definition would abort the process: so torchvision is tried as it is first. Call this before timm,
    segmentation-models-pytorch or torch-fidelity is imported.
    """
    try:
        import torchvision  # noqa: F401  # pyright: ignore[reportUnusedImport] - imported to see whether it can be
    except RuntimeError:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        allow_torchvision_import.library = library  # a Library that is collected takes its schemas along
