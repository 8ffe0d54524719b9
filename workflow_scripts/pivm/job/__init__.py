"""The one place that knows Snakemake: log file, threads, device, resume state, and errors with a hint."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import platform
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from pivm.errors import DISK_HINTS, PivmError, disk_error
from pivm.job.failures import write_message
from pivm.job.killed import noted_job
from pivm.learning.settings import ComputeSettings
from pivm.settings import read_settings

log = logging.getLogger("pivm")


def require_writable(folder: str) -> None:
    """Find out before any work whether results can be written; nothing is created.

    Raises:
        PivmError: the folder, or the nearest one above it that exists, cannot be written.
    """
    place = Path(folder).absolute()
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise PivmError(f"results: {folder}: cannot be written: {place} is a file; set 'results' to another folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise PivmError(f"results: {folder}: cannot be written: {place}: {DISK_HINTS[errno.EACCES]}")


def require_no_braces(places: Mapping[str, str]) -> None:
    """Find out before any work that a path would be taken for a pattern of Snakemake, which cannot be escaped.

    Args:
        places: what leads to a path, such as a key of the config -> the path.

    Raises:
        PivmError: a path holds a brace.
    """
    for key, path in places.items():
        if "{" in path or "}" in path:
            raise PivmError(
                f"{key}: {path!r} holds a brace, which stands for a wildcard in Snakemake; rename the folder"
            )


def set_environment_of_jobs(scripts: Path) -> None:
    """What jobs inherit: the library of this checkout, also where another one is installed, and UTF-8 in any locale.

    The hashes of ``params: code`` speak of this library.

    Args:
        scripts: the folder that holds it.
    """
    os.environ["PYTHONUTF8"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(scripts), os.environ.get("PYTHONPATH")]))


def gpus_of_this_node() -> int:
    """Number of NVIDIA GPUs that the driver lists, without importing torch."""
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    return sum(line.startswith("GPU ") for line in listing.splitlines())


@contextmanager
def job(snakemake) -> Iterator[None]:
    """Run the body of a workflow script.

    Messages go to the rule's log file, warnings to the terminal as well. What went wrong ends the log, below its
    traceback; Snakemake's process shows it from there (:mod:`pivm.job.failures`). The exit status is 1 either way.
    """
    path = Path(snakemake.log[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with noted_job():  # before the log is emptied, which belongs to another job where this one was left behind
            _log_to(path, snakemake.rule)
            yield
    except (PivmError, OSError) as error:
        _fail(explain(error), path)
    except Exception as error:
        if disk_error(error):
            _fail(explain(error), path)
        _fail(
            f"{type(error).__name__}: {error}\nThis is not an error this workflow knows; the traceback is in {path}",
            path,
        )


def _log_to(path: Path, rule: str) -> None:
    to_file, to_terminal = logging.FileHandler(path, "w", "utf-8", errors="backslashreplace"), logging.StreamHandler()
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    to_terminal.setFormatter(logging.Formatter(f"%(levelname)s {rule}: %(message)s"))
    to_terminal.setLevel(logging.WARNING)
    log.setLevel(logging.INFO)
    log.handlers[:] = [to_file, to_terminal]


def explain(error: Exception) -> str:
    """The message for people of an expected error."""
    if found := disk_error(error):
        return f"{found.filename or 'write'}: {found.strerror}: {DISK_HINTS[found.args[0]]}"
    return str(error)


def _fail(message: str, path: Path) -> None:
    try:
        write_message(path, message, traceback.format_exc())
    except OSError:  # the log's own disk is full: the terminal still gets the message
        print(f"\nError: {message}\n", file=sys.stderr, flush=True)
    sys.exit(1)


def compute_settings(snakemake) -> ComputeSettings:
    """Config section ``compute``, from the params that rerun a job and those that do not."""
    return read_settings(ComputeSettings, {**snakemake.params.compute, **snakemake.params.machine}, "compute")


def made(snakemake) -> dict:
    """What makes the results of this job, to be kept beside them: code and versions.

    Returns:
        ``code``, the hash of the rule's code (:mod:`pivm.provenance.code_hash`), and ``versions`` by name.
    """
    versions = {name: metadata.version(name) for name in ("torch", "numpy")}
    try:
        versions["pivm"] = metadata.version("pivm")
    except metadata.PackageNotFoundError:
        versions["pivm"] = "source tree"  # run from a checkout that is not installed
    return {"code": snakemake.params.code, "versions": {"python": platform.python_version(), **versions}}


def device(snakemake):
    """The torch device of a job, found where the job runs, with the CPU threads of the config.

    Raises:
        PivmError: a GPU is wanted and there is none.
    """
    import torch

    from pivm.learning.device import choose, prepare

    settings = compute_settings(snakemake)
    torch.set_num_threads(settings.threads)
    where = choose(settings.device, "compute.device")
    prepare(where, settings.precision)
    return where


def resume_path(snakemake) -> Path:
    """Where this job keeps its training state: beside its outputs, but none of them.

    Snakemake deletes the outputs of a job that was killed. The name holds a hash of the job's params and inputs,
    so that a state is never taken up by a job that differs.
    """
    tracked = sorted((k, repr(v)) for k, v in snakemake.params.items() if k != "machine")
    digest = hashlib.sha256(repr(tracked).encode("utf-8", "surrogatepass"))
    for name in snakemake.input:
        facts = os.stat(name)
        digest.update(f"{name} {facts.st_size} {facts.st_mtime_ns}\0".encode())
    return Path(snakemake.output[0]).parent / f"resume-{digest.hexdigest()[:20]}.pt"


def training_run(snakemake, name: str) -> dict:
    """How this job trains, for :meth:`pivm.learning.loop.Run.of`.

    Args:
        name: folder of the event files for TensorBoard, below ``logs/tensorboard``; those of the trainings of one
            generator are in folders of their seeds.
    """
    settings = compute_settings(snakemake)
    logs = next(folder for folder in Path(snakemake.log[0]).parents if folder.name == "logs")
    seed = snakemake.wildcards.get("generator_seed")
    events = logs / "tensorboard" / name / (f"seed_{seed}" if seed else "")
    return {
        "losses": str(snakemake.output.losses),
        "resume": str(resume_path(snakemake)),
        "tensorboard": str(events) if settings.tensorboard else None,
        "precision": settings.precision,
        "compile": settings.compile,
        "graphs": settings.graphs,
    }
