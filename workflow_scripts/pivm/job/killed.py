"""What a killed run leaves behind: Snakemake's lock on the folder, and jobs that nobody waits for any more.

Every run and every job notes its process in ``.snakemake/pivm_processes`` and takes the note away at its end; a
kill leaves it. The next run then knows that the lock's process is gone: it stops the orphaned jobs, which would write
the same files, and takes the lock over. Where jobs went to a scheduler, or the process ran on another machine or in
another container, nobody here can tell: the lock stays, with a word on who may hold it.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

_NOTES = Path(".snakemake/pivm_processes")
_LOCKS = Path(".snakemake/locks")
#: name of the note of the run that a job belongs to, handed down to its processes
_RUN = "PIVM_RUN"
#: when that run was started, seconds since 1970
_START = "PIVM_START"


@dataclass(frozen=True)
class Note:
    """A process of a run.

    Attributes:
        pid: its number; it means the same process as long as ``started`` does.
        started: when the system started it.
        machine: its host and what tells one container on it from another.
        boot: of the machine.
        since: local time, for messages.
        run: file name of the note of the run that a job belongs to; empty for a run.
        elsewhere: the jobs of the run are sent to a scheduler.
    """

    pid: int
    started: str
    machine: tuple[str, str]
    boot: str
    since: str
    run: str = ""
    elsewhere: bool = False

    @classmethod
    def of_this_process(cls, run: str = "") -> Note:
        """The note of the process that calls."""
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        return cls(os.getpid(), _started(os.getpid()), _machine(), _boot(), since, run)

    @property
    def here(self) -> bool:
        """Whether this process could see it."""
        return tuple(self.machine) == _machine()

    @property
    def gone(self) -> bool:
        """Whether it has surely ended."""
        return self.here and (self.boot != _boot() or _started(self.pid) != self.started)


def _machine() -> tuple[str, str]:
    with contextlib.suppress(OSError):
        return platform.node(), os.readlink("/proc/self/ns/pid")
    return platform.node(), ""


def _boot() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    return ""


def _started(pid: int) -> str:
    """When a process was started, in the system's own words; empty where there is none, or one that has ended."""
    if Path("/proc/self/stat").exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] in "ZX" else fields[19]
    listed = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, started = listed.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else started.strip()


def _write(note: Note, name: str = "") -> Path:
    path = _NOTES / (name or f"{note.machine[0]}-{note.pid}-{time.time_ns()}.json")
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(note)), encoding="utf-8")
    os.replace(partial, path)
    return path


def _notes() -> dict[str, Note]:
    found = {}
    for path in sorted(_NOTES.glob("*.json")):
        with contextlib.suppress(OSError, ValueError, TypeError):
            found[path.name] = Note(**json.loads(path.read_text(encoding="utf-8")))
    return found


@contextlib.contextmanager
def noted_job() -> Iterator[None]:
    """Note this process as a job of its run while the body runs; nothing outside a run.

    Raises:
        SystemExit: the run was killed, and another one took over before this note was there.
    """
    if _RUN not in os.environ or not _NOTES.is_dir():
        yield
        return
    path = _write(Note.of_this_process(os.environ[_RUN]))
    try:
        _require_run()
        yield
    finally:
        path.unlink(missing_ok=True)


def note_process(is_main: bool, dry: bool, unlock: bool) -> None:
    """Note the Snakemake process that reads the rules, and take over what a killed run has left.

    Args:
        is_main: it is the one that people start, not one of its jobs.
        dry: it makes nothing and so takes nothing over.
        unlock: it was started to remove the lock, whoever holds it.

    Raises:
        SystemExit: it is a job whose run was killed, and another one took over before its note was there.
    """
    if dry:
        return
    if not is_main:
        if _RUN in os.environ and _NOTES.is_dir():
            _forget_at_exit(_write(Note.of_this_process(os.environ[_RUN])))
            _require_run()
        return
    _NOTES.mkdir(parents=True, exist_ok=True)
    with open(
        _NOTES / "one_at_a_time", "w", encoding="utf-8"
    ) as one:  # two runs that start at once do not both take over
        try:
            fcntl.flock(one, fcntl.LOCK_EX)
        except OSError:
            pass  # a file system without locks: nothing is taken over
        else:
            _take_over(unlock)
        path = _write(Note.of_this_process())
    os.environ |= {_RUN: path.name, _START: str(time.time())}
    _forget_at_exit(path)


def started_at() -> float | None:
    """When the run of this job was started, seconds since 1970; None where the job's surroundings do not say."""
    return float(os.environ[_START]) if _START in os.environ else None


def note_scheduler() -> None:
    """Add to the note of this run that its jobs are sent elsewhere, where their processes cannot be seen."""
    _write(replace(Note.of_this_process(), elsewhere=True), os.environ[_RUN])


def _forget_at_exit(path: Path) -> None:
    owner, path = os.getpid(), path.absolute()

    def forget() -> None:
        if os.getpid() == owner:  # not in a fork
            path.unlink(missing_ok=True)

    atexit.register(forget)


def _take_over(unlock: bool) -> None:
    """Stop what is left of runs that were killed here, and remove their lock where nobody else can hold it."""
    notes = _notes()
    runs = {name: note for name, note in notes.items() if not note.run}
    killed = {name: note for name, note in runs.items() if note.gone and (unlock or not note.elsewhere)}
    foreign = [name for name, note in runs.items() if unlock and not note.here]
    for name in (*killed, *foreign):  # first: a job that is noted from here on sees that its run is gone
        (_NOTES / name).unlink(missing_ok=True)
    left = _notes()
    jobs = {name: note for name, note in left.items() if note.run and note.run not in left}
    stopped = [note for note in jobs.values() if note.here and not note.gone and _stop(note)]
    for name in jobs:
        (_NOTES / name).unlink(missing_ok=True)
    others = [note for name, note in runs.items() if name not in killed]
    text = ""
    if killed:
        last = list(killed.values())[-1]
        text = f"the run of {last.since} (process {last.pid}) was killed. What it finished is kept."
    if stopped:
        text += " Its jobs that still ran were stopped; a training goes on from its saved state."
    if not unlock and any(_LOCKS.glob("*.lock")) and (killed or others):
        if others:
            text += _who_may_hold(others)
        else:
            shutil.rmtree(_LOCKS)
            text += " Its lock on this folder is taken over."
    if text:
        print(f"Note: {text.strip()}", file=sys.stderr)


def _require_run() -> None:
    """End a job that was still starting when its run was killed and taken over: its files belong to another job now."""
    if not (_NOTES / os.environ[_RUN]).exists():
        sys.exit("The run that started this job was killed, and another one goes on in its place: this job ends.")


def _who_may_hold(others: list[Note]) -> str:
    """Runs that may be alive, or whose jobs may be; what to do where they are not."""
    last = others[-1]
    if all(note.gone for note in others):
        return (
            f" The run of {last.since} (process {last.pid}) was killed, but its jobs are with a scheduler and go on."
            " `snakemake --unlock` removes its lock; the next call cancels its jobs that are still in the queue."
        )
    there = ", ".join(f"process {note.pid} on {note.machine[0]} since {note.since}" for note in others)
    jobs = "; the next call cancels its jobs that are still in the queue" if last.elsewhere else ""
    return f" This folder is locked by another run: {there}. Where that is gone, `snakemake --unlock` removes it{jobs}."


def _stop(note: Note) -> bool:
    """Kill an orphaned job with all its processes; its files are written in one move, so that none is left half."""
    import psutil

    try:
        process = psutil.Process(note.pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return False
    if _started(note.pid) != note.started:
        return False
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.send_signal(signal.SIGKILL)
    psutil.wait_procs(family, timeout=10)
    return True
