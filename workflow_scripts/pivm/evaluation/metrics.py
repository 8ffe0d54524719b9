"""The metrics of the paper's tables: unit and direction."""

from __future__ import annotations

#: metric -> (unit, which direction is better)
METRICS = {
    "hausdorff_distance": ("mm", "lower"),
    "average_surface_distance": ("mm", "lower"),
    "miou": ("1", "higher"),
    "dice": ("1", "higher"),
}
#: metric -> heading in the paper's tables
TITLES = {
    "hausdorff_distance": "Hausdorff Distance",
    "average_surface_distance": "Average Surface Dist.",
    "miou": "mIoU",
    "dice": "Dice Coefficient",
}
