"""The metrics of the paper's tables: unit, direction and heading."""

from __future__ import annotations

#: segmentation (Tables 2 and 3): metric -> (unit, which direction is better)
SEGMENTATION_METRICS = {
    "hausdorff_distance": ("mm", "lower"),
    "average_surface_distance": ("mm", "lower"),
    "miou": ("1", "higher"),
    "dice": ("1", "higher"),
}
#: image fidelity (Table 1)
IMAGE_METRICS = {
    "ssim": ("1", "higher"),
    "ssim_body": ("1", "higher"),
    "fid": ("1", "lower"),
    "frechet_distance": ("1", "lower"),
    "kid": ("1", "lower"),
}
#: fidelity by region in the ablation: mean absolute error
REGION_METRICS = {
    "mae_organs_13": ("HU", "lower"),
    "mae_skeleton": ("HU", "lower"),
    "mae_other_organs": ("HU", "lower"),
}
METRICS = SEGMENTATION_METRICS | IMAGE_METRICS | REGION_METRICS
#: metric -> heading in the paper's tables
TITLES = {
    "hausdorff_distance": "Hausdorff Distance",
    "average_surface_distance": "Average Surface Dist.",
    "miou": "mIoU",
    "dice": "Dice Coefficient",
    "ssim": "SSIM",
    "ssim_body": "SSIM inside the body",
    "fid": "FID",
    "frechet_distance": "Fréchet distance (EfficientNet-Lite0)",
    "kid": "KID",
    "mae_organs_13": "Error in the 13 organs",
    "mae_skeleton": "Error in vertebrae, hips, sacrum",
    "mae_other_organs": "Error in the other organs",
}
#: feature extractor of the Fréchet distance -> its name in the literature
EXTRACTORS = {"inception": "Inception v3", "efficientnet_lite0": "EfficientNet-Lite0"}
#: method of the rows that compare real slices with real slices of other patients
REAL = "real"


def extractor_name(settings: dict) -> str:
    """The extractor that ``tables.extractor`` asks for; ``auto`` is Inception where its weights are given.

    Args:
        settings: ``name`` auto or one of :data:`EXTRACTORS`; ``weights``: path or None.
    """
    if settings["name"] == "auto":
        return "inception" if settings["weights"] else "efficientnet_lite0"
    return settings["name"]


def distance_metric(extractor: str) -> str:
    """Key of the Fréchet distance: only that on Inception features is a FID (Heusel et al. 2017)."""
    return "fid" if extractor == "inception" else "frechet_distance"
