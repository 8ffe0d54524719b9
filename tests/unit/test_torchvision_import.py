"""torchvision beside a build of torch that its compiled part fits, and beside one that it does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: defines its own operators at import, as the compiled part does
MATCHING = """
import torch
library = torch.library.Library("torchvision", "DEF")
library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""
#: has Python alone, and needs the schemas
ALONE = """
import torch
for name in ("nms", "qnms"):
    torch.library.register_fake(f"torchvision::{name}")(lambda dets, scores, iou_threshold: dets)
"""
CALLS = """
from pivm.learning.torchvision_import import allow_torchvision_import
for _ in range({times}):
    allow_torchvision_import()
import torch
import torchvision
print(torch.ops.torchvision.nms)
"""


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("package", [MATCHING, ALONE])
def test_torchvision_is_imported_whether_or_not_it_brings_its_operators(tmp_path, package, times):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(package)
    path = os.pathsep.join([str(tmp_path), str(ROOT / "workflow_scripts")])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", CALLS.format(times=times)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "torchvision.nms" in done.stdout
