"""What a script reaches, and that hashes of code change with what changes results and with nothing else."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from pivm.datasets import layouts
from pivm.errors import PivmError
from pivm.evaluation.image_metrics import IMAGE_METRICS
from pivm.evaluation.segmentation_metrics import SEGMENTATION_METRICS
from pivm.generators.kinds import kinds as all_kinds
from pivm.provenance.code_hash import code_hash, reached_by, read_pins
from pivm.provenance.reach import ALL, Library

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "workflow_scripts"
PINS = read_pins(ROOT / "envs/requirements.lock", ROOT / "envs/nnunet.lock")


def test_imports_count_where_they_are_reached(tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/__init__.py").write_text("import pandas\nfrom lib.a import first as again\n")
    (tmp_path / "lib/a.py").write_text(
        "import json\nimport numpy as np\nfrom lib import b\n"
        "def first(x: np.array):\n    import torch\n    return second()\n"
        "def second():\n    return b.third(Kind())\n"
        "def unused():\n    import scipy\n"
        "class Kind:\n    def method(self):\n        from monai.networks import x\n"
    )
    (tmp_path / "lib/b.py").write_text(
        "def third(kind):\n    try:\n        import tqdm\n    except ImportError:\n        pass\n    import yaml\n"
        "def fourth(x: third):\n    from torch.utils.tensorboard import SummaryWriter\n"
    )
    for name, text, expected in (
        ("one", "from lib.a import first\nfirst()", {"pandas", "numpy", "torch", "yaml", "monai"}),
        ("two", "from lib import again\nagain()", {"pandas", "numpy", "torch", "yaml", "monai"}),
        ("three", "from lib.a import second\nsecond()", {"pandas", "numpy", "yaml", "monai"}),
        ("four", "from lib import b as c\nc.fourth()", {"pandas", "numpy", "torch", "tensorboard"}),
        (
            "five",
            "def f():\n    from lib import b as c\n    return c\nf()",
            {"pandas", "numpy", "yaml", "torch", "tensorboard"},
        ),
    ):
        (tmp_path / f"{name}.py").write_text(text + "\n")
        assert Library(tmp_path).reach([(name, ALL)]).imported == expected, name


LIBRARY = {
    "__init__.py": "",
    "a.py": '''"""Doc."""
import logging
import warnings
from dataclasses import dataclass

import numpy as np
from pivm import b
from pivm.b import LIMIT as MOST
from pivm.c import Fault, advice_hint

log = logging.getLogger("pivm")
OTHER = 3


@dataclass
class Kind:
    """Doc."""

    size: int = 1
    deep: b.Deep = None

    def method(self, value):
        """Doc."""
        # why
        if value > MOST:
            raise Fault(f"{value} is too much", b.describe())
        assert value, "no value"
        log.warning("value %s", value)
        warnings.warn("old")
        with advice_hint("size"):
            return b.g(value)


def other():
    return np.zeros(OTHER)


def unused():
    import torch

    return torch.zeros(b.UNUSED)
''',
    "b.py": """LIMIT = 1
UNUSED = 2
TABLE = {}
TABLE["x"] = 1


class Deep:
    depth = 1


def g(value):
    return [UNUSED for UNUSED in range(value)]


def describe():
    return "texts"
""",
    "c.py": """from contextlib import contextmanager


class Fault(Exception):
    pass


@contextmanager
def advice_hint(key):
    yield
""",
}


@pytest.fixture
def library(tmp_path):
    (tmp_path / "pivm").mkdir()
    for name, text in LIBRARY.items():
        (tmp_path / "pivm" / name).write_text(text)
    (tmp_path / "script.py").write_text("from pivm.a import Kind\n\nKind().method(1)\n")

    def edited(name=None, before="", after="", pins=None):
        """The hash after an edit of a file."""
        if name:
            path = tmp_path / "pivm" / name
            assert before in path.read_text()
            path.write_text(path.read_text().replace(before, after))
        return code_hash("script", Library(tmp_path), pins or {"numpy": "2", "torch": "2"})

    return edited


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("a.py", '"""Doc."""', '"""Other."""'),
        ("a.py", "# why", "# why not"),
        ("a.py", "is too much", "is far too much"),
        ("a.py", "no value", "nothing"),
        ("a.py", "value %s", "the value %s"),
        ("a.py", '"old"', '"very old"'),
        ("a.py", 'advice_hint("size")', 'advice_hint("length")'),
        ("a.py", "def method(self, value):", "def method(self, value: int) -> int:"),
        ("a.py", "b.g(value)", "b.g(\n                value\n            )"),
        ("a.py", "OTHER = 3", "OTHER = 4"),
        ("a.py", "zeros(OTHER)", "ones(OTHER)"),
        ("b.py", "UNUSED = 2", "UNUSED = 3"),
        ("b.py", '"texts"', '"for people"'),
        ("c.py", "    yield", "    return (yield)"),
    ],
)
def test_the_hash_ignores_what_changes_no_result(library, name, before, after):
    unchanged = library()
    assert library(name, before, after) == unchanged


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("a.py", "value > MOST", "value >= MOST"),
        ("a.py", "raise Fault(", "raise ValueError("),
        ("a.py", "size: int = 1", "size: int = 2"),
        ("a.py", "size: int = 1", "size: float = 1"),
        ("b.py", "LIMIT = 1", "LIMIT = 2"),
        ("b.py", "depth = 1", "depth = 2"),
        ("b.py", "range(value)", "range(value + 1)"),
        ("b.py", 'TABLE["x"] = 1', 'TABLE["x"] = 2'),
    ],
)
def test_the_hash_follows_what_may_change_a_result(library, name, before, after):
    unchanged = library()
    assert library(name, before, after) != unchanged


def test_the_hash_follows_the_versions_of_packages_that_are_used(library):
    unchanged = library()
    assert library(pins={"numpy": "3", "torch": "3"}) == unchanged
    uses_numpy = library("a.py", "return b.g(value)", "return b.g(value) + other()")
    assert library(pins={"numpy": "2", "torch": "3"}) == uses_numpy
    assert library(pins={"numpy": "3", "torch": "2"}) != uses_numpy
    with pytest.raises(PivmError, match="no version of numpy"):
        library(pins={"torch": "2"})


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("from . import b", r"a\.py:2: relative import"),
        ("from .b import g", r"a\.py:2: relative import"),
        ("def f():\n    from .b import g", r"a\.py:3: relative import"),
        ("from pivm.b import *", r"a\.py:2: import of \*"),
    ],
)
def test_a_relative_import_is_refused_with_its_line(library, statement, problem):
    with pytest.raises(PivmError, match=problem):
        library("a.py", '"""Doc."""\nimport logging', f'"""Doc."""\n{statement}\nimport logging')


def test_an_import_of_what_does_not_exist_is_refused(library):
    with pytest.raises(PivmError, match="does not define LOWEST"):
        library("a.py", "LIMIT as MOST", "LOWEST as MOST")


@pytest.mark.parametrize("how", ["@register\ndef entry():\n    return {}\n", "ENTRY = register({})\n"])
def test_what_a_module_registers_counts_for_all_that_import_it(tmp_path, how):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/__init__.py").write_text("")
    (tmp_path / "lib/table.py").write_text("TABLE = []\ndef register(x):\n    TABLE.append(x)\n    return x\n")
    (tmp_path / "one.py").write_text("import lib.entries\nfrom lib.table import TABLE\nprint(TABLE)\n")
    hashes = set()
    for value in (1, 2):
        (tmp_path / "lib/entries.py").write_text("from lib.table import register\n" + how.format(value))
        hashes.add(code_hash("one", Library(tmp_path), {}))
    assert len(hashes) == 2


KINDS = {name: tuple(kind.implementation.split(":")) for name, kind in all_kinds().items()}
TRAINERS = {name: tuple((kind.trainer or kind.implementation).split(":")) for name, kind in all_kinds().items()}
#: names in the rules -> what scripts find by name
FOUND = {
    "*IMAGE_METRICS": [(f"pivm.evaluation.image_metrics.{key}", ALL) for key in IMAGE_METRICS],
    "*SEGMENTATION_METRICS": [(f"pivm.evaluation.segmentation_metrics.{key}", ALL) for key in SEGMENTATION_METRICS],
    "DATASET.layout.module": [(layout.module, ALL) for layout in layouts().values()],
}


def hashes(root: Path) -> dict[str, str]:
    """rule -> hash, one for each kind where it works with generators."""
    library, found = Library(root), {}
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for text in re.split(r"^ *rule (?=\w+:)", path.read_text(), flags=re.M)[1:]:
            rule, script = text.split(":")[0], re.search(r'"../workflow_scripts/(\w+)\.py"', text)
            of_kind = TRAINERS if "training=True" in text else KINDS
            kinds = of_kind.items() if "generator_code(" in text else [("", None)]
            by_name = [symbol for word, symbols in FOUND.items() if word in text for symbol in symbols]
            for kind, symbol in kinds if script else ():
                symbols = [*by_name, *([symbol] if symbol else [])]
                found[f"{rule} {kind}".strip()] = code_hash(script[1], library, PINS, symbols)
    return found


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copy") / "workflow_scripts"
    shutil.copytree(SCRIPTS, folder, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    return folder, hashes(folder)


VOLUMES = {f"synthesise_volumes {kind}" for kind in KINDS}


def edit_function(name: str):
    """An edit that adds a statement to a function."""
    return lambda text: re.sub(rf"(?ms)^(def {name}\(.*?\n?\).*?:\n)", r"\1    edited = True\n", text, count=1)


@pytest.mark.parametrize(
    ("module", "edit", "rerun"),
    [
        ("scans/outline.py", edit_function("outline_from_labels"), {"labels_only", *VOLUMES}),
        ("report/panel.py", edit_function("plot_panel"), {"figure_panel"}),
        ("report/table_figure.py", edit_function("plot_table"), {"figure_table"}),
        ("report/views.py", edit_function("plot_views"), {"figure_volumes"}),
        ("learning/loop.py", lambda text: re.sub(r'(?m)^( +)"""(?=\w)', r'\1"""Now: ', text), set()),
        ("scans/nifti.py", lambda text: re.sub(r'(?m)^( +)"""(?=\w)', r'\1"""Now: ', text), set()),
    ],
)
def test_an_edit_of_the_library_reruns_what_reaches_it(copied, module, edit, rerun):
    folder, unchanged = copied
    path = folder / "pivm" / module
    text = path.read_text()
    assert edit(text) != text
    try:
        path.write_text(edit(text))
        now = hashes(folder)
    finally:
        path.write_text(text)
    assert {rule for rule in now if now[rule] != unchanged[rule]} == rerun


def messages(text: str) -> str:
    """Every text that a line raises or logs, changed."""
    return re.sub(r'((?:raise \w+|log\.\w+)\(\s*f?")(?!")', r"\1Now: ", text)


def test_changed_messages_rerun_nothing(copied):
    folder, unchanged = copied
    originals = {path: path.read_text() for path in (folder / "pivm").rglob("*.py")}
    try:
        for path, text in originals.items():
            path.write_text(messages(text))
        edited = sum(messages(text) != text for text in originals.values())
        now = hashes(folder)
    finally:
        for path, text in originals.items():
            path.write_text(text)
    assert edited > 20
    assert now == unchanged


OF_TRAINING = (
    "pivm.errors", "pivm.seeds", "pivm.labels", "pivm.settings", "pivm.cohort", "pivm.learning", "pivm.generators",
    "pivm.job",
)  # fmt: skip


def test_a_training_depends_on_its_own_code_alone():
    library = Library(SCRIPTS)
    reached = reached_by("train_generator", library, [TRAINERS["diffusion"]]).definitions
    own = {symbol for symbol in reached if symbol[0].startswith("pivm")}
    # 1,883 with sampling, which left; 1,753 since a mean can be learnt; 1,816 since organs share noise; 1,902 since
    # Muon is our own; 1,946 since its products are a CUDA graph
    assert library.lines(own) <= 1950
    assert {symbol for symbol in own if not symbol[0].startswith(OF_TRAINING)} <= {("pivm", "")}
    assert not {name for _, name in own if "outline" in name or "margins" in name}
    # how a trained network samples
    assert not {
        module for module, _ in own if module.endswith(("diffusion.generator", "sampler", "along_z", "slicewise"))
    }


def test_what_needs_no_ct_alone_depends_on_outlines_made_from_labels():
    library = Library(SCRIPTS)
    scripts = {p.stem for p in SCRIPTS.glob("*.py")}
    symbol = ("pivm.scans.outline", "outline_from_labels")
    assert {s for s in scripts if symbol in reached_by(s, library, KINDS.values()).definitions} == {
        "labels_only",
        "synthesise_volumes",
    }
