"""docs/tutorial.md from its first command to its last, as the rehearsal that it names itself."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from pivm.cli.config_files import read_config
from pivm.cli.doctor import listing_of, training_jobs, training_slices

from tests.workflow.conftest import ROOT, Workflow

PAGE = (ROOT / "docs/tutorial.md").read_text()
REHEARSAL = "configs/smoke.yaml"
COMMANDS = "".join(re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)).splitlines()


def shown_after(command: str) -> list[str]:
    """Lines of the first output that the page shows after a command."""
    shown = re.search(r"^```text\n(.*?)^```$", PAGE.split(f"\n{command}\n")[1], re.MULTILINE | re.DOTALL)
    assert shown, command
    return shown[1].splitlines()


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory, warm):
    """The folder where all commands were run, without a browser, and what each said."""
    workflow = Workflow(tmp_path_factory.mktemp("tutorial") / "workflow", warm=warm)
    folder = workflow.folder
    (folder / "docs").mkdir()
    (folder / "docs/make_tutorial_scans.py").write_bytes((ROOT / "docs/make_tutorial_scans.py").read_bytes())
    (config,) = re.findall(r"```yaml\n(# my\.yaml\n.*?)```", PAGE, re.DOTALL)
    (folder / "my.yaml").write_text(config)
    own = {"BROWSER": "true %s", "PYTHONPATH": str(folder / "workflow_scripts")}
    said = {}
    for command in COMMANDS:
        typed = re.sub(r"(--config(?:file)? my\.yaml)", rf"\1 {REHEARSAL}", command)
        done = subprocess.run(
            ["bash", "-c", typed],
            cwd=folder,
            env={**os.environ, **warm, **own},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, f"{typed}\n{done.stdout}{done.stderr}"
        said.setdefault(command, done.stdout + done.stderr)
    return folder, said


def test_the_page_has_the_commands_of_its_ten_steps():
    assert len(re.findall(r"^## \d+\. ", PAGE, re.MULTILINE)) == 10
    assert {command.split()[0] for command in COMMANDS} == {"python", "pivm", "snakemake"}
    assert f"--configfile my.yaml {REHEARSAL}" in PAGE


def test_every_command_leaves_what_the_page_promises(rehearsed):
    folder, said = rehearsed
    results = folder / "results/mine"
    for path in (
        *("selection.csv", "p01.png", "results/mine/report/index.html", "results/mine/report/figures/evidence.png"),
        *("results/mine/tables/evidence.md", "results/mine/figures/evidence.png"),
    ):
        assert (folder / path).is_file(), path
    assert len(list((folder / "synthetic").rglob("ct.nii.gz"))) == 2
    assert len(list((folder / "synthetic").rglob("*.png"))) == 2
    run = "snakemake --cores all --resources gpu=1 --configfile my.yaml"
    tables = "(hu_fidelity.md, label_agreement.md, organ_texture.md, table1.md, table2.md, table3.md)"
    assert f"{tables}\nPage: results/mine/report/index.html\n" in said[run]
    export = results / "export/nnUNet_raw/Dataset503_mine_combined"
    assert {path.name for path in export.iterdir()} >= {"imagesTr", "labelsTr", "imagesTs", "splits_final.json"}


@pytest.mark.parametrize("command", [c for c in COMMANDS if "pivm check" in c or "snakemake -n" in c])
def test_the_output_on_the_page_is_that_of_its_command(rehearsed, command):
    _, said = rehearsed
    lines = [line.strip() for line in said[command].splitlines()]
    missing = [line for line in shown_after(command) if line.strip() not in lines]
    assert not missing, said[command]


def test_the_doctor_on_the_page_counted_the_trainings_of_its_config(rehearsed, monkeypatch):
    folder, _ = rehearsed
    monkeypatch.chdir(folder)
    config = read_config([Path("my.yaml")])  # as it stands on the page, without the rehearsal's
    listing = listing_of(config)
    assert listing
    slices = training_slices(config, listing)
    counted = [(row["network"], row["jobs"], row["steps"]) for row in training_jobs(config, slices)]
    shown = [line.split() for line in shown_after("pivm doctor --config my.yaml")[1:3]]
    assert [(name, int(jobs), int(steps)) for name, jobs, steps, *_ in shown] == counted
