"""A kind of generator is one new file: found, checked like the config, trained and loaded without another edit."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from pivm.errors import ConfigError
from pivm.generators.kinds import kinds

ROOT = Path(__file__).parents[2]
TOY = '''
"""Every pixel has the same HU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pivm.generators.kinds import GeneratorSettings, Kind
from pivm.generators.slicewise import SliceWise
from pivm.settings import setting


@dataclass(frozen=True, kw_only=True)
class FlatSettings(GeneratorSettings):
    level: int = setting("HU of every pixel", 7, minimum=-1024, maximum=3071)


KIND = Kind("flat", FlatSettings, "pivm.generators.controls.flat:Flat", learnt=False)


class Flat(SliceWise):
    def __init__(self, settings, prior, device):
        self.settings, self.prior = settings, prior

    def fit(self, data, validation, seed, run):
        from pivm.learning.monitor import write_log

        write_log([], run.losses)

    def generate(self, label_map, seeds, patient_seeds=None):
        return np.full(label_map.shape, self.settings.level, np.int16)

    def generate_volumes(self, label_maps, seeds, spacings_mm=None):
        yield from (self.generate(label_map, []) for label_map in label_maps)

    def weights(self):
        return {}

    def put(self, weights, folder):
        pass
'''
USE = """
import sys
from pathlib import Path

import numpy as np
import torch
import yaml
from pivm.cohort.prior import Prior
from pivm.config import generator_settings, sampler_settings, validate
from pivm.errors import ConfigError
from pivm.generators.kinds import kinds
from pivm.generators.model_folder import ModelFolder, TrainedOn, save_generator
from pivm.generators.sampler_file import write_sampler

root, folder = map(Path, sys.argv[1:])
config = yaml.safe_load((root / "config.yaml").read_text())
config["generators"]["flat"] = {"kind": "flat", "level": 40}
config["tables"]["controls"] = ["flat"]
validate(config)
config["generators"]["flat"]["level"] = 9999
try:
    validate(config)
except ConfigError as error:
    print(error)
config["generators"]["flat"]["level"] = 40
means = (-1000.0, 50.0, 20.0)
prior = Prior("body", ("a",), ("a",), means, (9, 9, 9), 60.0, (5.0, 20.0, 30.0), 0.0, 100.0, (-1024, 300))
generator = kinds()["flat"].load()(generator_settings(config, "flat"), prior, torch.device("cpu"))
save_generator(generator, folder, TrainedOn(("p",), 1, 8, {}), {"code": "", "versions": {}})
write_sampler(folder, sampler_settings(config, "flat"))
print(ModelFolder.open(folder).load(torch.device("cpu")).generate(np.zeros((1, 2, 2), np.uint8), [1]).tolist())
"""


def test_a_new_kind_is_one_file(tmp_path):
    library = tmp_path / "library"
    shutil.copytree(ROOT / "workflow_scripts/pivm", library / "pivm", ignore=shutil.ignore_patterns("__pycache__"))
    (library / "pivm/generators/controls/flat.py").write_text(TOY)
    script = [sys.executable, "-c", textwrap.dedent(USE), str(ROOT), str(tmp_path / "model")]
    done = subprocess.run(script, capture_output=True, text=True, env={"PYTHONPATH": str(library)}, check=False)
    assert done.returncode == 0, done.stderr
    wrong, made = done.stdout.splitlines()
    assert wrong == "config: generators.flat.level: found 9999, expected <= 3071"
    assert made == "[[[40, 40], [40, 40]]]"


def test_the_kinds_that_ship():
    assert {kind.name: kind.learnt for kind in kinds().values()} == {
        "diffusion": True,
        "maisi": True,
        "gaussian": False,
        "prior_map": False,
    }


def test_entries_are_free_of_torch():
    code = "import sys; from pivm.generators.kinds import kinds; kinds(); print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT / "workflow_scripts")}
    )
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.parametrize("kind", kinds().values(), ids=lambda kind: kind.name)
def test_a_wrong_key_of_a_kind_is_named(kind):
    with pytest.raises(ConfigError, match=r"generators\.x\.nonsense: unknown key"):
        kind.resolve("x", {"kind": kind.name, "nonsense": 1}, {})
