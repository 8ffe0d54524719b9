"""Text goes in and out as UTF-8, whatever the locale says, and names that mean nothing are listed."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pivm.cohort.record import SubjectRecord
from pivm.cohort.selection import SelectionSettings, require_abdomen, unused_names
from pivm.errors import DataError, PivmError
from pivm.job import require_no_braces
from pivm.labels import LabelSet

SCRIPTS = Path(__file__).parents[2] / "workflow_scripts"
TEXT_CALLS = ("open", "read_text", "write_text", "FileHandler", "TextIOWrapper")


def without_encoding(path: Path) -> list[str]:
    """Calls that open a text file in the encoding of the locale."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name not in TEXT_CALLS:
            continue
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        if isinstance(owner, ast.Name) and (owner.id[0].isupper() and owner.id != "Path"):
            continue  # of an image or a model
        if isinstance(owner, ast.Name) and owner.id in ("webbrowser", "tarfile"):
            continue  # no text file
        inside = [n for argument in node.args for n in ast.walk(argument)]
        constants = [n.value for n in inside if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        binary = any("b" in value and len(value) <= 3 for value in constants)
        if not binary and "utf-8" not in constants and not any(k.arg == "encoding" for k in node.keywords):
            found.append(f"{path.relative_to(SCRIPTS)}:{node.lineno}")
    return found


def test_every_text_file_is_opened_as_utf_8():
    against = [call for path in sorted(SCRIPTS.rglob("*.py")) for call in without_encoding(path)]
    assert not against, against


def test_the_check_sees_what_it_should(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "SCRIPTS", tmp_path)
    (tmp_path / "x.py").write_text(
        'open(p)\np.write_text("ä")\nopen(p, "rb")\np.read_text(encoding="utf-8")\n', "utf-8"
    )
    assert without_encoding(tmp_path / "x.py") == ["x.py:1", "x.py:2"]


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(SCRIPTS)}
WRITE = """
import locale, sys
from pathlib import Path
from types import SimpleNamespace
import pandas as pd
from pivm.cohort.record import SubjectRecord
from pivm.report.forms import write_forms
assert locale.getpreferredencoding(False).upper() != "UTF-8", "the locale is none of ASCII"
folder = Path(sys.argv[1])
record = SubjectRecord("p", reason="K\\u00f6rper \\u2193")
record.save(folder / "record.json")
assert SubjectRecord.load(folder / "record.json").reason == record.reason
files = SimpleNamespace(**{form: str(folder / f"table.{form}") for form in ("csv", "md", "tex", "html")})
tidy = pd.DataFrame({"method": ["\\u00e4"], "mean": [1.0]})
write_forms(tidy, lambda bold, arrows: tidy, "\\u00b1 1 \\u2264 2 \\u2191", "table1", files)
"""


def test_tables_and_records_are_written_in_an_ascii_locale(tmp_path):
    environment = {**os.environ, **ASCII}
    done = subprocess.run(
        [sys.executable, "-c", WRITE, str(tmp_path)], env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    for form in ("csv", "md", "tex", "html"):
        assert (tmp_path / f"table.{form}").read_text(encoding="utf-8")
    assert "≤" in (tmp_path / "table.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", ["/data/{a}/x", "a}b", "{"])
def test_a_brace_in_a_path_is_named_with_what_leads_to_it(path):
    require_no_braces({"results": "results/mine", "datasets.d.path": "/data/ä b"})
    with pytest.raises(PivmError, match=r"datasets\.d\.path: .* holds a brace, which stands for a wildcard"):
        require_no_braces({"results": "results/mine", "datasets.d.path": path})


LABELS = LabelSet(("liver", "spleen", "kidney_left"))


def test_names_that_mean_no_label_are_listed_once_with_the_likeliest_slips_first():
    records = [
        SubjectRecord("a", unused=["Lebber", "spleeen", "zzz"], missing=["liver"]),
        SubjectRecord("b", unused=["Lebber", "kidney_lft"], missing=["liver", "kidney_left"]),
        SubjectRecord("c", unused=["livver"], missing=["liver"]),
    ]
    table = unused_names(records, LABELS).set_index("name")
    assert table.loc["livver"].tolist() == [1, "liver", 0]
    assert table.loc["Lebber", "scans"] == 2
    assert table.loc["kidney_lft"].tolist() == [1, "kidney_left", 2]
    assert table.loc["zzz"].tolist() == [1, "", 0]
    assert table.index[0] == "livver"
    assert table.index[-1] == "zzz"
    assert unused_names([], LABELS).empty


def test_an_abdomen_that_lacks_organs_says_which_names_it_did_not_understand():
    record = SubjectRecord("a", spacing=(1.0, 1.0, 1.0), voxels={"liver": 5000}, unused=["Niere li", "Niere re"])
    selection = SelectionSettings(organs=LABELS.names, min_organs=2)
    with pytest.raises(DataError, match=r"1 of the organs .* reach 1 ml \(liver\).*mean none of the labels: Niere li"):
        require_abdomen(record, selection)
