"""What the jobs ask for stands in the rules, so that every executor knows it."""

from __future__ import annotations

import subprocess

import pytest

SCHEDULER = ("--profile", "profiles/slurm")
ON_GPUS = {"train_generator", "train_segmenter", "test_segmenter", "synthesise_slices", "synthesise_test"}
ON_GPUS |= {
    "maisi_autoencoder",
    "maisi_diffusion",
    "maisi_controlnet",
    "synthesise_volumes",
    "image_scores",
    "agreement",
}


def asked(workflow, *arguments, **compute) -> dict[str, dict[str, str]]:
    """rule -> what one of its jobs asks for, by a dry run."""
    own = workflow.overlay("own", {"compute": compute})
    command = ["snakemake", "-n", *arguments, "--configfile", "configs/smoke.yaml", own]
    done = subprocess.run(command, cwd=workflow.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found, rule = {}, ""
    for line in (done.stdout + done.stderr).splitlines():
        if line.startswith(("rule ", "localrule ")):
            rule = line.split()[1].rstrip(":")
            found[rule] = {"threads": "1"}
        elif rule and line.startswith("    threads:"):
            found[rule]["threads"] = line.split()[1]
        elif rule and line.startswith("    resources:"):
            found[rule] |= dict(entry.split("=", 1) for entry in line.split(": ", 1)[1].split(", "))
    return found


def gpus(jobs) -> dict[str, int]:
    return {rule: int(wishes["gpu"]) for rule, wishes in jobs.items() if wishes.get("gpu", "0") != "0"}


def test_every_job_states_memory_and_time(workflow):
    jobs = asked(workflow, "--cores", "2")
    assert {rule for rule, wishes in jobs.items() if not {"mem_mb", "runtime"} <= set(wishes)} == {"all"}


@pytest.mark.parametrize("device", ["auto", "gpu"])
def test_a_scheduler_is_asked_for_gpus_without_one_here(workflow, device):
    assert gpus(asked(workflow, *SCHEDULER, device=device)) == dict.fromkeys(ON_GPUS, 1)


def test_a_scheduler_is_asked_for_no_gpu_when_the_config_says_cpu(workflow):
    assert gpus(asked(workflow, *SCHEDULER, device="cpu")) == {}


def test_several_gpus_and_threads(workflow):
    jobs = asked(workflow, *SCHEDULER, "--cores", "16", devices=4, threads=3)  # a dry run cuts threads to the cores
    assert gpus(jobs) == dict.fromkeys(ON_GPUS, 1) | {"train_generator": 4}
    assert (jobs["train_generator"]["threads"], jobs["train_generator"]["mem_mb"]) == ("12", "24000")
    assert jobs["train_segmenter"]["threads"] == "3"


def test_threads_do_not_depend_on_the_cores(workflow):
    assert {wishes["threads"] for wishes in asked(workflow, "--cores", "8").values()} == {"1"}


def test_all_gpus_of_a_machine_that_is_not_this_one(workflow):
    own = workflow.overlay("own", {"compute": {"devices": "all"}})
    command = ["snakemake", "-n", *SCHEDULER, "--configfile", "configs/smoke.yaml", own]
    done = subprocess.run(command, cwd=workflow.folder, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "compute.devices: all counts the GPUs of this machine" in done.stdout + done.stderr
