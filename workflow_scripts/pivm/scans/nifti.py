"""NIfTI volumes in and out: headers checked before voxels, voxels read once and in slabs, RAS+ by the affine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from isal import igzip
from nibabel.affines import voxel_sizes
from nibabel.filebasedimages import ImageFileError
from nibabel.nifti1 import Nifti1Extension
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation, ornt_transform
from nibabel.spatialimages import HeaderDataError, HeaderTypeError
from nibabel.wrapstruct import WrapStructError

from pivm.errors import DataError
from pivm.scans.files import READ_ERRORS, how_to_convert, open_stream, short
from pivm.scans.hu_range import HuRange

#: voxels of the largest volume that is read; a header that claims more is refused before allocation
MAX_VOXELS = 2**30
#: bytes of the header of NIfTI-2, which tell it from NIfTI-1
LONGEST_HEADER = 540
#: two grids are the same when no corner differs by more than this share of the smallest voxel side
SAME_GRID = 0.1
#: bytes of a slab: small enough to stay in a core's cache
SLAB_BYTES = 2**20
#: of the files that are written, 0 to 3: of a CT 2 takes a quarter of the time of zlib at its fastest
COMPRESSION = 2
_RAS = np.array([[0, 1], [1, 1], [2, 1]])
_HEADER_ERRORS: tuple[type[Exception], ...] = (
    *READ_ERRORS,
    ImageFileError,
    HeaderDataError,
    HeaderTypeError,
    WrapStructError,
    TypeError,
)


@dataclass(frozen=True)
class Grid:
    """A voxel grid in RAS+ orientation.

    Attributes:
        shape: voxels along R, A and S; affine: float [4, 4], voxel index to mm.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in mm along R, A and S."""
        r, a, s = map(float, voxel_sizes(self.affine))
        return r, a, s

    def distance(self, affine: np.ndarray) -> float:
        """Largest distance in mm between the corners of this grid under its own and another affine."""
        ends = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij")).reshape(3, -1)
        corners = np.vstack([ends, np.ones(8)])
        return float(np.linalg.norm(((self.affine - affine) @ corners)[:3], axis=0).max())

    def same(self, other: Grid) -> bool:
        """Whether two grids have the same voxels, up to :data:`SAME_GRID`."""
        return self.shape == other.shape and self.distance(other.affine) <= SAME_GRID * min(self.spacing)


@dataclass(frozen=True)
class Volume:
    """A CT in RAS+ orientation.

    Attributes:
        hu: int16 [R, A, S]; affine: float [4, 4], voxel index to mm.
        padding: voxels below :data:`pivm.scans.quality.PADDING_HU`, as read.
        person: hash of the ID of the patient, where the files say.
    """

    hu: np.ndarray
    affine: np.ndarray
    padding: int = 0
    person: str = ""

    @property
    def grid(self) -> Grid:
        """Where its voxels lie."""
        return Grid(self.hu.shape, self.affine)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in mm along R, A and S."""
        return self.grid.spacing


class Stored:
    """A volume in the axes of its file.

    Attributes:
        name: its place, for messages.
        shape: as stored.
        affine: float [4, 4], stored voxel index to mm.
        orientation: of the stored axes (nibabel).
        grid: the RAS+ grid of the volume.
    """

    def __init__(self, name: str, shape: tuple[int, ...], affine: np.ndarray):
        """Check the header's facts.

        Raises:
            DataError: a side of length 0, too many voxels, or no usable spacing.
        """
        i, j, k = map(int, shape)
        self.name, self.shape = name, (i, j, k)
        if min(self.shape) < 1 or int(np.prod(self.shape, dtype=object)) > MAX_VOXELS:
            raise DataError(f"{name}: header claims {self.shape} voxels, expected 1 to {MAX_VOXELS} in all")
        if not np.all(np.isfinite(affine)) or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
            raise DataError(f"{name}: the affine is singular or not finite, so spacing is unknown")
        self.affine, self.orientation = affine, io_orientation(affine)
        r, a, s = (self.shape[axis] for axis in np.argsort(self.orientation[:, 0]))
        self.grid = Grid((r, a, s), affine @ inv_ornt_aff(self.orientation, self.shape))

    def axial(self, window: slice) -> Stored:
        """The same volume with some of its axial slices alone, which are counted from the lowest."""
        axis = int(np.argmax(self.orientation[:, 0] == 2))
        slices = range(self.shape[axis])[window]
        first = slices.start if self.orientation[axis, 1] > 0 else self.shape[axis] - slices.stop
        shape, affine = list(self.shape), self.affine.copy()
        shape[axis] = len(slices)
        affine[:3, 3] += first * affine[:3, axis]
        return Stored(self.name, tuple(shape), affine)

    def to_ras(self, stored: np.ndarray) -> np.ndarray:
        """A view of an array in stored axes, [R, A, S]."""
        return apply_orientation(stored, self.orientation)

    def from_ras(self, array: np.ndarray) -> np.ndarray:
        """A view of an array [R, A, S], in stored axes."""
        return apply_orientation(array, ornt_transform(_RAS, self.orientation))


class Image(Stored):
    """An opened NIfTI file whose header is sound; voxels are not read yet."""

    def __init__(self, place: str | Path):
        """Open a file or zip member and check its header.

        Raises:
            DataError: as :class:`Stored`; or missing, not NIfTI, not 3D, voxels that are no numbers, or no word about
                the size or the orientation of the voxels.
        """
        self._image, sides = _parse(str(place))
        shape = self._image.shape
        self._extra = (0,) * (len(shape) - 3) if shape[3:] == (1,) * (len(shape) - 3) else ()
        if len(shape) - len(self._extra) != 3:
            raise DataError(f"{place}: found {len(shape)} dimensions {shape}, expected a 3D volume")
        kind = np.dtype(self._image.get_data_dtype())
        if kind.kind not in "biuf":
            colours = " (colours)" if kind.names else ""
            raise DataError(f"{place}: voxels are {kind}{colours}, expected numbers")
        self._require_orientation(place, sides)
        super().__init__(str(place), shape[:3], np.asarray(self._image.affine))

    def _require_orientation(self, place: str | Path, sides: np.ndarray) -> None:
        """Raises DataError where the header leaves the voxels' sides or the direction of the axes open."""
        if not np.isfinite(sides).all() or not sides.all():
            found = " x ".join(f"{side:g}" for side in sides)
            raise DataError(f"{place}: the header says voxels of {found} mm (pixdim), expected lengths above 0")
        if all(int(self._image.header[code]) < 1 for code in ("sform_code", "qform_code")):
            raise DataError(
                f"{place}: sform_code and qform_code are 0, so nobody knows which way the axes run; write the file "
                "again with its affine"
            )

    def require_one_place(self) -> None:
        """Raises DataError where sform and qform disagree, or the qform is no rotation."""
        header = self._image.header
        try:
            if int(header["sform_code"]) < 1 or int(header["qform_code"]) < 1:
                return
            apart = Grid(self.shape, np.asarray(header.get_sform())).distance(np.asarray(header.get_qform()))
        except HeaderDataError as error:
            raise DataError(f"{self.name}: the qform cannot be read ({short(error)})") from None
        if apart > 0.5 * min(self.grid.spacing):
            raise DataError(
                f"{self.name}: sform and qform disagree by up to {apart:.3g} mm, so the orientation is unknown"
            )

    def extensions(self) -> list[bytes]:
        """What programs have added to the header."""
        return [extension.content for extension in self._image.header.extensions]

    def slabs(self) -> Iterator[tuple[slice, np.ndarray]]:
        """The voxels, scaled by the header, as stored: slices of the last axis and their values.

        Raises:
            DataError: the file ends early or is corrupt.
        """
        per_slice = int(np.prod(self.shape[:2])) * np.dtype(self._image.get_data_dtype()).itemsize
        depth = max(SLAB_BYTES // max(per_slice, 1), 1)
        for start in range(0, self.shape[2], depth):
            part = slice(start, min(start + depth, self.shape[2]))
            try:
                yield part, np.asarray(self._image.dataobj[(slice(None), slice(None), part, *self._extra)])
            except _HEADER_ERRORS as error:
                raise DataError(
                    f"{self.name}: voxels cannot be read, file truncated or corrupt ({short(error)})"
                ) from None


class InMemory(Stored):
    """A volume in memory, with the interface of :class:`Image`."""

    def __init__(self, name: str, array: np.ndarray, affine: np.ndarray):
        super().__init__(name, array.shape, affine)
        self._array = array

    def slabs(self) -> Iterator[tuple[slice, np.ndarray]]:
        """As :meth:`Image.slabs`: all voxels at once."""
        yield slice(0, self.shape[2]), self._array


def _parse(place: str) -> tuple[nib.Nifti1Image, np.ndarray]:
    """The image, and the sides of its voxels as the header has them: nibabel makes 0 to 1."""
    if hint := how_to_convert(place.rpartition("/")[2]):
        raise DataError(f"{place}: no NIfTI file: {hint}")
    stream = open_stream(place)
    try:
        start = stream.read(LONGEST_HEADER)
        stream.seek(0)
        sizes = [int.from_bytes(start[:4], order) for order in ("little", "big")]
        kind = nib.Nifti2Image if LONGEST_HEADER in sizes else nib.Nifti1Image
        header = kind.header_class(start[: kind.header_class.sizeof_hdr], check=False)
        return kind.from_stream(stream), header["pixdim"][1:4]
    except EOFError as error:
        raise DataError(f"{place}: not a readable NIfTI file, truncated or corrupt ({short(error)})") from None
    except _HEADER_ERRORS as error:
        raise DataError(f"{place}: not a readable NIfTI file ({short(error)})") from None


def read_ct(place: str | Path, padding_hu: float = -1500) -> Volume:
    """Read a CT as int16 HU; the voxels are kept in the order of the file and viewed as RAS+.

    Raises:
        DataError: as :class:`Image` and :class:`pivm.scans.hu_range.HuRange`; or sform and qform that disagree.
    """
    image = Image(place)
    image.require_one_place()
    stored = None
    values = HuRange(str(place), padding_hu)
    for part, slab in image.slabs():
        if stored is None:  # only now does the file prove to hold voxels at all
            stored = np.empty(image.shape, np.int16, order="F")
        stored[..., part] = values.take(slab)
    values.check()
    assert stored is not None  # every side has a length, so there was a slab
    return Volume(image.to_ras(stored), image.grid.affine, values.padding)


def write_volume(
    array: np.ndarray, affine: np.ndarray, path: Path, extension: bytes = b"", description: str = ""
) -> None:
    """Write int16 HU or uint8 labels [R, A, S] as NIfTI in mm, with something to add to the header.

    A name in .gz is compressed. A file of this name appears when it is complete.

    Args:
        array: the voxels.
        affine: voxel index to mm.
        path: of the file.
        extension: content of an extension of the header.
        description: field ``descrip`` of the header, at most 79 letters.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, affine)
    image.set_qform(affine, 1)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = description.encode("ascii")
    if extension:
        image.header.extensions.append(Nifti1Extension(0, extension))
    part = path.with_name(f"{path.name}.part")
    try:
        with open(part, "wb") as file:
            if path.name.endswith(".gz"):
                with igzip.GzipFile("", "wb", COMPRESSION, file, mtime=0) as stream:
                    image.to_stream(stream)
            else:
                image.to_stream(file)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
