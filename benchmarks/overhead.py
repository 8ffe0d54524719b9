"""What the workflow costs on top of its jobs: python benchmarks/overhead.py [FOLDER]

Reads the start and end of every job that Snakemake recorded in FOLDER/.snakemake (default: here) after one full run,
walks back from the last job to the first along the jobs that each had to wait for (an input or a free core), and prints
the time between jobs on that path over the time inside them. The time before the first job counts where the log has it.
"""

import json
import re
import sys
from datetime import datetime
from pathlib import Path


def read_jobs(folder: Path) -> list[dict]:
    jobs = {}
    for path in (folder / ".snakemake" / "metadata").rglob("*"):
        if path.is_file():
            facts = json.loads(path.read_text(encoding="utf-8"))
            # one record per output file; the log file tells the jobs apart
            job = jobs.setdefault(facts["log"][0], {"rule": facts["rule"], "start": float("inf"), "end": 0.0})
            job["start"] = min(job["start"], facts["starttime"])
            job["end"] = max(job["end"], facts["endtime"])
    return sorted(jobs.values(), key=lambda job: job["end"])


def started(folder: Path, first: float) -> float:
    """When Snakemake was started, from the name of its newest log before the first job."""
    stamps = []
    for path in (folder / ".snakemake" / "log").glob("*.log"):
        stamp = re.match(r"(\d{4}-\d\d-\d\dT\d{6}\.\d+)", path.name)
        if stamp:
            stamps.append(datetime.strptime(stamp[1], "%Y-%m-%dT%H%M%S.%f").timestamp())
    before = [s for s in stamps if s <= first]
    return max(before, default=first)


def main(folder: Path) -> None:
    jobs = read_jobs(folder)
    begin = started(folder, min(job["start"] for job in jobs))
    path, current = [], jobs[-1]
    while current:
        path.append(current)
        earlier = [job for job in jobs if job["end"] <= current["start"] + 0.05 and job is not current]
        current = max(earlier, key=lambda job: job["end"], default=None)
    inside = sum(job["end"] - job["start"] for job in path)
    wall = jobs[-1]["end"] - begin
    work = {}
    for job in jobs:
        count, seconds = work.get(job["rule"], (0, 0.0))
        work[job["rule"]] = (count + 1, seconds + job["end"] - job["start"])
    for rule, (count, seconds) in sorted(work.items(), key=lambda item: -item[1][1]):
        print(f"{rule:20s} {count:4d} jobs {seconds:8.1f} s")
    print(f"wall {wall:.1f} s, inside jobs on the path {inside:.1f} s, overhead {wall / inside - 1:.1%}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
