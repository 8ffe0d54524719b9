"""The miniature through a real scheduler that fails: python benchmarks/cluster.py --local FOLDER [--folder FOLDER]

Starts a private SLURM cluster (tests/workflow/slurm_cluster.py: root, slurm-wlm and munge), whose one node is taken at
first, runs configs/smoke.yaml there with profiles/slurm, cancels a training, loses the node of another for a while, and
compares tables/ byte by byte with those of a local run in FOLDER. Prints one line for each fault and the outcome.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests/workflow"))

from slurm_cluster import Cluster, missing  # noqa: E402

COMMAND = ["snakemake", "--snakefile", str(ROOT / "Snakefile"), "--profile", str(ROOT / "profiles/slurm")]
COMMAND += ["--configfile", str(ROOT / "configs/smoke.yaml"), "--slurm-init-seconds-before-status-checks", "2"]
COMMAND += ["--workflow-profile", str(ROOT / "profiles/default"), "--latency-wait", "5"]
TABLES = "results/phantom/tables"


def cancel(cluster: Cluster, job: str) -> None:
    cluster.ask("scancel", job)


def lose(cluster: Cluster, job: str) -> None:
    """The only node goes for longer than the controller waits for it, and comes back."""
    (node,) = cluster.names
    cluster.lose_node(node)
    while "down" not in cluster.ask("sinfo", "-hNo", "%T"):
        time.sleep(1)
    cluster.start_node(node)


def fail(cluster: Cluster, run: subprocess.Popen, fault, rule: str) -> None:
    """Lay the fault on the first job of a rule that runs."""
    while run.poll() is None:
        for job, (_, comment, _) in cluster.jobs("running").items():
            if comment.startswith(f"rule_{rule}_"):
                time.sleep(3)  # into its work
                fault(cluster, job)
                print(f"{fault.__name__}: job {job}, {comment}", flush=True)
                return
        time.sleep(0.5)


def run(folder: Path) -> int:
    """The exit status of the run through the cluster."""
    folder.mkdir(parents=True, exist_ok=True)
    with Cluster(folder / "cluster") as cluster, open(folder / "run.log", "w") as log:
        started = time.monotonic()
        cluster.ask("sbatch", "--exclusive", "--output=/dev/null", "--wrap=sleep 60")
        process = subprocess.Popen(COMMAND, cwd=folder, env=cluster.env, stdout=log, stderr=log)
        fail(cluster, process, cancel, "train_generator")
        fail(cluster, process, lose, "train_segmenter")
        code = process.wait()
    print(f"snakemake ended with {code} after {time.monotonic() - started:.0f} s; its messages: {folder}/run.log")
    return code


def compare(local: Path, remote: Path) -> int:
    """0 where every table of the local run has its twin, byte by byte."""
    names = sorted(path.name for path in local.iterdir())
    differ = [n for n in names if not (remote / n).exists() or (remote / n).read_bytes() != (local / n).read_bytes()]
    print(f"{len(names)} files of tables/, {len(differ)} differ {' '.join(differ)}")
    return int(bool(differ) or not names)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--local", type=Path, required=True, help="folder of a local run of configs/smoke.yaml")
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder, kept on a failure)")
    options = parser.parse_args()
    if reason := missing():
        sys.exit(reason)
    where = options.folder or Path(tempfile.mkdtemp())
    sys.exit(run(where.absolute()) or compare(options.local / TABLES, where / TABLES))
