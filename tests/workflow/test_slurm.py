"""A training through a real scheduler: cancelled, killed with Snakemake or with its node, it ends as at home.

The whole miniature so: benchmarks/cluster.py.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time

import pytest

from tests.workflow import slurm_cluster

TARGET = "results/phantom/generators/pivm/seed_1/model.safetensors"
FILES = ("model.safetensors", "losses.csv")
COMMAND = ("snakemake", "--configfile", "configs/smoke.yaml", "--profile", "profiles/slurm", "--latency-wait", "5")
COMMAND += ("--slurm-init-seconds-before-status-checks", "2", "--", TARGET)

pytestmark = pytest.mark.skipif(slurm_cluster.missing() is not None, reason=str(slurm_cluster.missing()))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with slurm_cluster.Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def untrained(finished, tmp_path):
    """The finished miniature without one generator."""
    workflow = finished.twin(tmp_path / "workflow")
    shutil.rmtree((workflow.folder / TARGET).parent)
    return workflow


class Call:
    """Snakemake in the folder of a workflow, its jobs on the cluster."""

    def __init__(self, cluster, workflow):
        self.cluster, self.folder, self.before = cluster, workflow.folder, set(cluster.jobs())
        self.log = open(workflow.folder / "call.log", "w+")  # noqa: SIM115 - written by the process
        self.process = subprocess.Popen(
            COMMAND, cwd=self.folder, env=cluster.env, stdout=self.log, stderr=subprocess.STDOUT
        )

    def training(self) -> str:
        """The job of the training, once it runs."""
        end = time.monotonic() + 300
        while time.monotonic() < end and self.process.poll() is None:
            for job, (_, comment, _) in self.cluster.jobs("running").items():
                if job not in self.before and re.match("rule_train_generator_wildcards_+pivm", comment):
                    return job
            time.sleep(0.5)
        raise AssertionError(self.text())

    def states(self) -> list[str]:
        """States of its jobs, in the order in which they were submitted."""
        jobs = self.cluster.jobs()
        return [jobs[job][0] for job in sorted(jobs, key=int) if job not in self.before]

    def text(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def succeeds(self) -> None:
        assert self.process.wait(600) == 0, self.text()
        self.log.close()


def same(workflow, finished) -> None:
    for name in FILES:
        made, expected = ((w.folder / TARGET).with_name(name).read_bytes() for w in (workflow, finished))
        assert made == expected, name


def test_a_cancelled_training_is_queued_again_and_ends_the_same(cluster, untrained, finished):
    call = Call(cluster, untrained)
    job = call.training()
    facts = cluster.ask("scontrol", "show", "job", job)
    asked = {key: re.search(rf"\b{key}=(\S+)", facts)[1] for key in ("NumCPUs", "MinMemoryNode", "TimeLimit")}
    assert asked == {"NumCPUs": "1", "MinMemoryNode": "6000M", "TimeLimit": "1-00:00:00"}
    assert "gpu:1" in facts
    cluster.ask("scancel", job)
    call.succeeds()
    assert call.states() == ["CANCELLED", "COMPLETED"]
    same(untrained, finished)


def test_a_node_that_is_lost_and_comes_back(cluster, untrained, finished):
    call = Call(cluster, untrained)
    call.training()
    (node,) = cluster.names
    cluster.lose_node(node)
    while "down" not in cluster.ask("sinfo", "-hNo", "%T"):
        time.sleep(0.5)
    cluster.start_node(node)
    call.succeeds()
    assert call.states()[-1] == "COMPLETED"
    same(untrained, finished)


def test_what_a_killed_snakemake_left_in_the_queue_is_not_done_twice(cluster, untrained, finished):
    killed = Call(cluster, untrained)
    left = killed.training()
    killed.process.kill()
    killed.process.wait()
    killed.log.close()
    unlock = ("snakemake", "--configfile", "configs/smoke.yaml", "--cores", "1", "--unlock")
    subprocess.run(unlock, cwd=untrained.folder, check=True, capture_output=True)
    call = Call(cluster, untrained)
    job = call.training()
    assert list(cluster.jobs("running,pending")) == [job]
    # on the machine that Snakemake ran on, the notes of its processes stop the job first; elsewhere it is cancelled
    state = cluster.jobs()[left][0]
    assert state == "FAILED" or (state == "CANCELLED" and f"Cancelling {left}:" in call.text()), state
    call.succeeds()
    same(untrained, finished)
