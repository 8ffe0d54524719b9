# What jobs ask for: GPUs, CPU threads, memory and run time, whatever runs them; no rule. A profile holds the site's part.
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
        raise WorkflowError("compute.devices: all counts the GPUs of this machine; for a scheduler, set their number")
    return max(1, gpus_here())


TRAINING_GPUS = training_gpus()


# A scheduler counts the GPUs of its nodes itself: `--resources gpu=N` bounds the jobs of this machine alone.
resource_scopes:
    gpu="local",


# without `--resources gpu=N`, no more jobs side by side here than share the GPUs of the largest
if workflow.is_main_process and workflow.nodes is None and "gpu" not in workflow.global_resources:
    if config["compute"]["device"] != "cpu" and gpus_here():
        workflow.register_resource("gpu", TRAINING_GPUS)
