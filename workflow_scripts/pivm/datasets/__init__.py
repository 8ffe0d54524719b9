"""Data set layouts: each adapter lists subjects and finds their CT and masks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pivm.datasets import totalsegmentator
from pivm.datasets.totalsegmentator import Listing

LAYOUTS = ("phantom", "totalsegmentator")


@dataclass(frozen=True)
class Dataset:
    """One entry of ``datasets`` in the config."""

    name: str
    settings: dict

    @property
    def roots(self) -> list[str]:
        path = self.settings["path"]
        return [path] if isinstance(path, str) else list(path)

    @property
    def is_phantom(self) -> bool:
        return self.settings["layout"] == "phantom"

    def listing(self) -> Listing:
        """The subjects of this data set. A phantom's are known from the config before they exist.

        Raises:
            DataError: no such folder, no subject, or two subjects of one name.
        """
        if not self.is_phantom:
            return totalsegmentator.list_subjects(self.roots)
        names = [f"phantom_{i:04d}" for i in range(self.settings["patients"])]
        return Listing({name: Path(self.roots[0]) / name for name in names})
