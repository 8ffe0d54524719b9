# What jobs ask for: GPUs, CPU threads, memory and run time, whatever runs them; no rule. A profile holds the site's part.
import subprocess
import time
from functools import cache

# Kind of work -> MB of memory and minutes of a first attempt, for scans of 512 x 512 x 600 voxels and the sizes of
# configs/paper.yaml. Another attempt at a job that failed (`retries` of a profile) gets as much again.
NEEDS = {
    "facts": (4000, 30),  # tables of numbers
    "figure": (8000, 60),
    "scan": (4000, 60),  # of one subject
    "scans": (8000, 720),  # of all subjects
    "inference": (16000, 720),
    "training": (24000, 1440),
}
# the same for small slices, as those of config.yaml: nodes without much memory take them
if config["image"]["size"] <= 128:
    NEEDS |= {"figure": (4000, 60), "inference": (6000, 720), "training": (6000, 1440)}
THREADS = config["compute"]["threads"]
gpus_here = cache(gpus_of_this_node)


def for_a_scheduler():
    """Whether jobs run on other machines than this one; known when the jobs are made, not when rules are read."""
    remote = workflow.remote_exec or workflow.non_local_exec
    return remote or (workflow.dryrun and workflow.nodes is not None)


def gpus_asked_for(most):
    """The GPUs of a job. `auto` asks a scheduler for them, and on this machine takes what there is; the job decides."""
    if config["compute"]["device"] == "gpu" or for_a_scheduler():
        return most
    return min(most, gpus_here())


def needs(work, gpus=0):
    """Entries of `resources:`. A training that ran out of time goes on where it was, so its attempts stay as long."""
    memory, minutes = NEEDS[work]
    asked = {
        "mem_mb": lambda wildcards, attempt: attempt * memory * max(1, gpus),
        "runtime": lambda wildcards, attempt: minutes if work == "training" else attempt * minutes,
    }
    if gpus and config["compute"]["device"] != "cpu":
        asked["gpu"] = lambda wildcards: gpus_asked_for(gpus)
    return asked


def training_gpus():
    """GPUs that train one generator together.

    `gpu: 0` of `train_generator` beside `gres` and `nodes` asks for several nodes; see docs/clusters.md.
    """
    devices = config["compute"]["devices"]
    if devices != "all":
        return devices
    if workflow.remote_exec or workflow.nodes is not None:
        refuse("compute.devices: all counts the GPUs of this machine; for a scheduler, set their number")
    return max(1, gpus_here())


TRAINING_GPUS = training_gpus()


# A scheduler counts the GPUs of its nodes itself: `--resources gpu=N` bounds the jobs of this machine alone.
resource_scopes:
    gpu="local",


# without `--resources gpu=N`, no more jobs side by side here than share the GPUs of the largest
if workflow.is_main_process and workflow.nodes is None and "gpu" not in workflow.global_resources:
    if config["compute"]["device"] != "cpu" and gpus_here():
        workflow.register_resource("gpu", TRAINING_GPUS)


def slurm_jobs_here():
    """Ids of the jobs that an executor of Snakemake has in the queue for this folder."""
    command = ["squeue", "--me", "--noheader", "--format=%i|%Z|%k"]
    try:
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    except FileNotFoundError:
        refuse("no SLURM here: there is no command squeue. Without a cluster: snakemake --cores all, no --profile")
    except subprocess.CalledProcessError as error:
        refuse(f"no answer from SLURM; `squeue` fails without Snakemake as well: {error.stderr.strip()}")
    jobs = [line.split("|", 2) for line in lines]
    return [
        job for job, folder, comment in jobs if folder == str(workflow.workdir_init) and comment.startswith("rule_")
    ]


def cancel_what_was_left():
    """Cancel what a Snakemake that was killed in this folder left in the queue, so that it is not done twice.

    The lock says that no other Snakemake works here; with `--nolock` nothing is cancelled. Ends where SLURM does not
    answer: what it still has would be queued twice.
    """
    jobs = slurm_jobs_here()
    if not jobs or not workflow.execution_settings.lock:
        return
    print(
        f"Cancelling {', '.join(jobs)}: SLURM jobs of an earlier call in this folder that was killed", file=sys.stderr
    )
    subprocess.run(["scancel", *jobs])
    end = time.monotonic() + 120
    while jobs := slurm_jobs_here():
        if time.monotonic() > end:
            refuse(f"SLURM jobs {', '.join(jobs)} of an earlier call do not end: run again when they have")
        time.sleep(1)


onstart:  # Snakemake keeps one: all that is to be done then stands here
    if not workflow.local_exec:
        note_scheduler()
    if workflow.executor_plugin.name == "slurm":
        cancel_what_was_left()
    elif workflow.local_exec and workflow.cores < THREADS:
        print(
            f"compute.threads is {THREADS}, but --cores {workflow.cores}: the numbers of {THREADS} threads differ by rounding",
            file=sys.stderr,
        )
