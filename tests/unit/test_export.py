"""Exported data sets, read back by this project's own adapters."""

from __future__ import annotations

import numpy as np
import pytest
from pivm.datasets import Dataset, read_ct, read_labels
from pivm.labels import LabelSet
from pivm.scans.label_maps import Policy
from pivm.synthesis.export import FORMS, export

from tests.conftest import ORGANS, make_scan

LABELS = LabelSet(ORGANS)


@pytest.mark.parametrize("form", FORMS)
def test_what_was_exported_reads_back_the_same(tmp_path, form):
    for i in range(2):
        make_scan(tmp_path / "scans" / f"s{i}", seed=i)
    source = Dataset("a", {"layout": "totalsegmentator", "path": str(tmp_path / "scans")}).listing().subjects
    export(source, LABELS, tmp_path / "out", form, Policy(), "air")
    listing = Dataset("b", {"layout": form, "path": str(tmp_path / "out")}).listing()
    assert list(listing.subjects) == list(source)
    assert listing.refused == {}
    for name, subject in listing.subjects.items():
        before, after = read_ct(source[name]), read_ct(subject)
        np.testing.assert_array_equal(after.hu, before.hu)
        np.testing.assert_allclose(after.affine, before.affine)
        one, other = (read_labels(s, LABELS, after.grid, Policy()) for s in (source[name], subject))
        np.testing.assert_array_equal(one.array, other.array)
        assert other.files == set(ORGANS)
