"""What distinguishes one phantom patient from the next: habitus, pose, phase, scanner, organ variation."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pivm.datasets.phantom.hounsfield import BIOLOGICAL_SD, PHASES, TISSUE_HU


@dataclass
class Patient:
    """All random choices of one patient, drawn from ``(seed, index)`` alone.

    Attributes:
        phase: contrast phase, one of :data:`PHASES`.
        habitus: 0 = lean, 1 = obese; sets fat thickness and girth.
        scale: size over the canonical body along R, A and S.
        pose: rotation in degrees about R, A and S.
        spacing: mm along R, A and S; the field of view follows the patient's girth.
        slices: number of axial slices; centre_z: canonical height of the middle one, mm.
        noise: standard deviation of the scanner noise, HU.
        hu: mean HU per tissue of this patient.
    """

    rng: np.random.Generator
    phase: str
    habitus: float
    scale: np.ndarray
    pose: np.ndarray
    spacing: np.ndarray
    slices: int
    centre_z: float
    noise: float
    displacement: np.ndarray
    hu: dict[str, float] = field(repr=False)

    @classmethod
    def draw(cls, seed: int, index: int, matrix: int, slice_spacing: float) -> Patient:
        """Patient ``index`` of the cohort ``seed`` on ``matrix`` x ``matrix`` voxels per slice."""
        rng = np.random.default_rng([seed, index])
        phase = PHASES[int(rng.integers(len(PHASES)))]
        habitus = float(rng.beta(2, 2.5))
        girth = 0.92 + 0.16 * habitus + rng.normal(0, 0.02)
        scale = np.array([girth, girth * rng.normal(1, 0.03), rng.normal(1, 0.045)])
        width = 2 * (girth * 136 + cls.fat_thickness(habitus)) + rng.uniform(14, 34)
        extent = rng.uniform(330, 390)
        column = TISSUE_HU.items()
        phase_index = PHASES.index(phase)
        uptake = rng.normal(1, 0.10)  # injected dose per body weight: moves all enhancement together
        hu = {}
        for tissue, values in column:
            enhanced = values[0] + (values[phase_index] - values[0]) * uptake
            sd = 0.0 if tissue in ("air", "gas", "couch") else BIOLOGICAL_SD
            sd = {"bone_cortical": 60, "bone_marrow": 32, "pelvic_marrow": 25, "lung": 25}.get(tissue, sd)
            hu[tissue] = float(enhanced + rng.normal(0, sd))
        return cls(
            rng=rng,
            phase=phase,
            habitus=habitus,
            scale=scale,
            pose=rng.normal(0, [1.5, 1.5, 4.0]),
            spacing=np.array([width / matrix, width / matrix, slice_spacing]),
            slices=round(extent / slice_spacing),
            centre_z=float(rng.normal(2, 9)),
            noise=float(np.clip(rng.normal(11 + 6 * habitus, 1.5), 9.5, 20)),
            displacement=rng.normal(0, 1, (3, 6, 6, 7)) * np.array([6.0, 6.0, 8.0])[:, None, None, None],
            hu=hu,
        )

    @staticmethod
    def fat_thickness(habitus: float) -> float:
        """Subcutaneous fat in mm."""
        return 6 + 30 * habitus

    def place(self, centre, sd=(5.0, 5.0, 7.0)) -> np.ndarray:
        """An organ's centre, moved at random (mm)."""
        return np.asarray(centre, float) + self.rng.normal(0, sd)

    def size(self, radii, common=0.10, each=0.06) -> np.ndarray:
        """An organ's radii, scaled at random as a whole and axis by axis."""
        radii = np.asarray(radii, float)
        return radii * np.exp(self.rng.normal(0, common) + self.rng.normal(0, each, radii.shape))

    def path(self, points, move=4.0, jitter=3.0) -> np.ndarray:
        """A tube's course, moved as a whole and point by point (mm)."""
        points = np.asarray(points, float)
        return points + self.rng.normal(0, move, 3) + self.rng.normal(0, jitter, points.shape)
