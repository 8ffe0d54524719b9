"""What the Snakemake workflow catalogue wants of a workflow that it lists as standardised."""

from __future__ import annotations

import re

import yaml

from tests.workflow.conftest import PARTS, ROOT, Workflow


def jobs(text: str) -> dict[str, int]:
    """rule -> number of its jobs, from the table of a dry run."""
    counts = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", text, flags=re.MULTILINE)}
    return {rule: count for rule, count in counts.items() if rule not in ("all", "default", "total")}


def test_the_snakefile_of_the_catalogue_runs_the_workflow(tmp_path):
    workflow = Workflow(tmp_path / "workflow", parts=(*PARTS, "workflow"))
    command = ["snakemake", "-n", "--cores", "2", "--configfile", "configs/smoke.yaml"]
    plain, listed = (workflow._call([*command, *choice]) for choice in ([], ["--snakefile", "workflow/Snakefile"]))
    assert plain.returncode == listed.returncode == 0, listed.stdout + listed.stderr
    assert jobs(listed.stdout + listed.stderr) == jobs(plain.stdout + plain.stderr)
    assert jobs(listed.stdout + listed.stderr)["table1"] == 1


def test_the_entry_of_the_catalogue_says_how_software_is_deployed():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["software-stack-deployment"]["conda"] is True
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
    text = (ROOT / "config/README.md").read_text()
    named = set(re.findall(r"`(\w+)`", text.split("| section | says |")[1]))
    assert set(yaml.safe_load((ROOT / "config.yaml").read_text())) - {"generator_seeds"} <= named
