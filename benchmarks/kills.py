"""Kills of a run at random moments: the same command goes on, and the tables end as if nothing had been.

    git clone . /tmp/whole && cd /tmp/whole && snakemake --cores 2 --configfile configs/smoke.yaml
    git clone . /tmp/killed
    python benchmarks/kills.py /tmp/killed --like /tmp/whole --seed 28

In turn and in random order SIGKILL goes to the process group of the run, to the process of Snakemake alone, and to the
Python of one of its jobs. After each kill the command is started again, with nothing else done. In the end the files
that hold no time are compared with those of the run that was left alone.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

#: below results/phantom: what one commit, config and processor make the same, byte for byte
SAME = ("tables/*", "cohort/*", "images/**/*", "generators/**/model.safetensors", "segmentation/**/cases.csv")
#: seconds after which a run that does not end is a fault
LONGEST = 1800


def start(folder: Path, log: Path) -> subprocess.Popen:
    """The command, in a process group of its own."""
    command = ["snakemake", "--cores", "2", "--configfile", "configs/smoke.yaml"]
    with open(log, "w", encoding="utf-8") as stream:
        return subprocess.Popen(command, cwd=folder, stdout=stream, stderr=stream, start_new_session=True)


def jobs(run: subprocess.Popen) -> list[tuple[str, int]]:
    """(script, process) of the jobs of a run; empty where it has ended."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in psutil.Process(run.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                name, *arguments = process.cmdline() or [""]
                script = re.search(r"/scripts/tmp\w+\.(\w+)\.py", " ".join(arguments))
                if script and Path(name).name.startswith("python"):
                    found.append((script[1], process.pid))
    return found


def kill(run: subprocess.Popen, what: str, rng: random.Random) -> str | None:
    """Kill a part of a run and wait for its end; the jobs that ran, None where the run was over before."""
    running = jobs(run)
    while what == "job" and not running and run.poll() is None:
        time.sleep(0.05)
        running = jobs(run)
    if run.poll() is not None:
        return None
    names = ", ".join(script for script, _ in running) or "no job"
    if what == "group":
        os.killpg(run.pid, signal.SIGKILL)
    elif what == "snakemake":
        run.kill()
    else:
        script, process = rng.choice(running)
        names = f"{script} (of {names})"
        with contextlib.suppress(ProcessLookupError):  # it has ended since
            os.kill(process, signal.SIGKILL)
    run.wait(timeout=LONGEST)
    return names


def differing(one: Path, other: Path) -> tuple[int, list[str]]:
    """Number of files that are compared, and those that differ or that one of the two lacks."""
    hashes = []
    for folder in (one, other):
        results = folder / "results/phantom"
        files = {path for pattern in SAME for path in results.glob(pattern) if path.is_file()}
        hashes.append({str(p.relative_to(results)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files})
    names = sorted(hashes[0].keys() | hashes[1].keys())
    return len(names), [name for name in names if hashes[0].get(name) != hashes[1].get(name)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a fresh clone, which is run and killed")
    parser.add_argument(
        "--like", type=Path, required=True, help="a clone with the results of a run that was left alone"
    )
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--between", type=float, default=22, help="mean seconds from a start to the next kill")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    kinds = [("group", "snakemake", "job")[number % 3] for number in range(options.kills)]
    rng.shuffle(kinds)
    log, done = options.folder / "kills.log", 0
    run = start(options.folder, log)
    for what in kinds:
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(timeout=options.between * rng.uniform(0.3, 1.7))
        names = kill(run, what, rng)
        if names is None:
            break
        done += 1
        notes = [line for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("Note: ")]
        print(f"{done}: {what} killed in {names}; its own start: {' '.join(notes) or '-'}", flush=True)
        run = start(options.folder, log)
    status = run.wait(timeout=LONGEST)
    compared, different = differing(options.like, options.folder)
    print(f"{done} kills; the last start ended with {status}; {len(different)} of {compared} files differ")
    print("\n".join(different), end="\n" * bool(different))
    return int(bool(status or different or not compared))


if __name__ == "__main__":
    sys.exit(main())
