"""Signed distances (mm, negative inside) of the solids the phantom is made of.

All functions take coordinate arrays ``x, y, z`` of one shape, in mm, and return an array of that shape.
"""

from __future__ import annotations

import numpy as np


def rotation(degrees) -> np.ndarray:
    """3x3 rotation from three angles about x, y and z."""
    ax, ay, az = np.deg2rad(degrees)
    cx, sx, cy, sy, cz, sz = (
        np.cos(ax), np.sin(ax), np.cos(ay), np.sin(ay), np.cos(az), np.sin(az),
    )  # fmt: skip
    rx = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    ry = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    rz = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return rz @ ry @ rx


def ellipsoid(x, y, z, centre, radii, turn=None) -> np.ndarray:
    """Ellipsoid, first-order distance."""
    px, py, pz = x - centre[0], y - centre[1], z - centre[2]
    if turn is not None:
        px, py, pz = (turn[0, i] * px + turn[1, i] * py + turn[2, i] * pz for i in range(3))
    qx, qy, qz = px / radii[0], py / radii[1], pz / radii[2]
    k0 = np.sqrt(qx * qx + qy * qy + qz * qz)
    k1 = np.sqrt((qx / radii[0]) ** 2 + (qy / radii[1]) ** 2 + (qz / radii[2]) ** 2)
    return (k0 * (k0 - 1) / np.maximum(k1, 1e-6)).astype(np.float32)


def cylinder(x, y, centre_x, centre_y, radius_x, radius_y, power=2.0) -> np.ndarray:
    """Upright cylinder of (super)elliptic section; the centre may vary with z. Radial distance."""
    px, py = x - centre_x, y - centre_y
    k = (np.abs(px / radius_x) ** power + np.abs(py / radius_y) ** power) ** (1 / power)
    k = np.maximum(k, 1e-6)
    return (np.hypot(px, py) * (1 - 1 / k)).astype(np.float32)


def capsule(x, y, z, start, end, r0, r1) -> np.ndarray:
    """Segment with a radius that runs from ``r0`` to ``r1``."""
    axis = np.subtract(end, start)
    px, py, pz = x - start[0], y - start[1], z - start[2]
    t = (px * axis[0] + py * axis[1] + pz * axis[2]) / max(float(axis @ axis), 1e-6)
    t = np.clip(t, 0, 1)
    d2 = (px - t * axis[0]) ** 2 + (py - t * axis[1]) ** 2 + (pz - t * axis[2]) ** 2
    return (np.sqrt(d2) - (r0 + t * (r1 - r0))).astype(np.float32)


def smooth_path(points, radii, per_segment: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Catmull-Rom curve through ``points`` [n, 3], with the radii interpolated alongside."""
    p = np.asarray(points, float)
    p = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    t = np.linspace(0, 1, per_segment, endpoint=False)[:, None]
    out = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:], strict=True)
    ]
    curve = np.vstack([*out, p[-2:-1]])
    at = np.linspace(0, len(radii) - 1, len(curve))
    return curve, np.interp(at, np.arange(len(radii)), radii)
