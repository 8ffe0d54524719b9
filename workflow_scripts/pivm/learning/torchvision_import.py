"""torchvision beside a CPU build of torch, which timm and torch-fidelity import and this library never calls."""

from __future__ import annotations

import torch


def allow_torchvision_import() -> None:
    """Define the two operator schemas that torchvision expects where torch is a build without its C++ part.

    Its Python part registers fake kernels for ``nms`` and ``qnms`` at import and fails where the compiled library does
    not match a CPU build of torch. Neither operator is used here. Call this before timm, segmentation-models-pytorch
    or torch-fidelity is imported.
    """
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in (
        "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    ):
        if not hasattr(torch.ops.torchvision, schema.split("(")[0]):
            library.define(schema)
    allow_torchvision_import.library = library  # a Library that is collected takes its schemas along
