"""A run that was killed leaves a lock and jobs: the next one takes over what surely has no owner, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from pivm.job import job, killed
from pivm.job.killed import Note, note_process, note_scheduler, noted_job

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder of a run with Snakemake's lock on it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIVM_RUN", "")  # so that it is taken away again
    monkeypatch.delenv("PIVM_RUN")
    (tmp_path / ".snakemake/locks").mkdir(parents=True)
    (tmp_path / ".snakemake/locks/0.input.lock").write_text("a\n")
    (tmp_path / ".snakemake/pivm_processes").mkdir()
    return tmp_path


@pytest.fixture
def sleeper() -> Iterator[Callable[[], subprocess.Popen]]:
    started = []

    def start() -> subprocess.Popen:
        started.append(subprocess.Popen(SLEEP))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def note_of(process: subprocess.Popen, run: str = "") -> Note:
    here = Note.of_this_process(run)
    return replace(here, pid=process.pid, started=killed._started(process.pid))


def put(note: Note, name: str) -> str:
    Path(".snakemake/pivm_processes", f"{name}.json").write_text(json.dumps(asdict(note)))
    return f"{name}.json"


def locked() -> bool:
    return Path(".snakemake/locks/0.input.lock").exists()


def notes() -> set[str]:
    return {path.name for path in Path(".snakemake/pivm_processes").glob("*.json")}


def end(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()


def start_run(dry: bool = False, unlock: bool = False) -> None:
    note_process(True, dry, unlock)


@pytest.mark.parametrize("how", ["ended", "not waited for", "another process has its number", "before a restart"])
def test_the_lock_of_a_killed_run_is_taken_over(folder, sleeper, capsys, how):
    process = sleeper()
    note = note_of(process)
    if how == "ended":
        end(process)
    elif how == "not waited for":
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and still in the table of processes
    elif how == "before a restart":
        note = replace(note, boot="another")
    else:
        note = replace(note, started="1")
    put(note, "run")
    start_run()
    assert not locked()
    message = capsys.readouterr().err
    assert f"(process {process.pid}) was killed. What it finished is kept." in message
    assert "Its lock on this folder is taken over." in message
    assert len(notes()) == 1
    assert "run.json" not in notes()


@pytest.mark.parametrize("who", ["alive", "on another machine", "in another container", "jobs at a scheduler"])
def test_the_lock_of_a_run_that_may_be_alive_stays(folder, sleeper, capsys, who):
    process = sleeper()
    note = note_of(process)
    if who != "alive":
        end(process)
    host, container = note.machine
    if who == "on another machine":
        note = replace(note, machine=(f"{host}-2", container))
    elif who == "in another container":
        note = replace(note, machine=(host, f"{container}-2"))
    elif who == "jobs at a scheduler":
        note = replace(note, elsewhere=True)
    put(note, "run")
    start_run()
    assert locked()
    assert "run.json" in notes()
    message = capsys.readouterr().err
    if who == "jobs at a scheduler":
        assert f"(process {process.pid}) was killed, but its jobs are with a scheduler" in message
    else:
        assert f"locked by another run: process {process.pid} on " in message
    assert "`snakemake --unlock` removes it" in message
    assert ("the next call cancels its jobs" in message) == (who == "jobs at a scheduler")
    start_run(unlock=True)
    assert ("run.json" in notes()) == (who == "alive")


def test_a_lock_without_a_note_is_left_to_snakemake(folder, capsys):
    start_run()
    assert locked()
    assert capsys.readouterr().err == ""


def test_a_dry_run_takes_nothing_over(folder, sleeper):
    process = sleeper()
    put(note_of(process), "run")
    end(process)
    start_run(dry=True)
    assert locked()
    assert notes() == {"run.json"}


def test_jobs_of_a_killed_run_are_stopped_with_their_processes(folder, sleeper, capsys):
    run, other = sleeper(), sleeper()
    killed_run, alive_run = put(note_of(run), "run"), put(note_of(other), "other")
    child = "import time; print(1, flush=True); time.sleep(60)"
    family = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    orphan = subprocess.Popen([sys.executable, "-c", family, child], stdout=subprocess.PIPE)
    assert orphan.stdout is not None
    orphan.stdout.readline()  # the child of the job is there
    kept = sleeper()
    put(note_of(orphan, killed_run), "job")
    put(note_of(kept, alive_run), "kept")
    end(run)
    start_run()
    assert orphan.poll() is not None
    assert orphan.stdout.read() == b""  # its child has let go of the pipe as well
    assert kept.poll() is None
    assert {"other.json", "kept.json"} <= notes()
    assert "Its jobs that still ran were stopped" in capsys.readouterr().err
    assert locked(), "another run of this folder is alive"


def come_to_the_note(kind: str, log: Path) -> None:
    if kind == "script":
        with job(SimpleNamespace(log=[log], rule="rule")):
            raise AssertionError
    note_process(False, False, False)


@pytest.mark.parametrize("kind", ["script", "job of a scheduler"])
def test_a_job_that_was_starting_when_its_run_was_killed_does_nothing(folder, sleeper, monkeypatch, kind):
    process = sleeper()
    killed_run = put(note_of(process), "run")
    end(process)
    start_run()
    log = Path("job.log")
    log.write_text("of the job that does it again")
    monkeypatch.setenv("PIVM_RUN", killed_run)  # as the job that is still importing has it
    with pytest.raises(SystemExit, match="another one goes on in its place"):
        come_to_the_note(kind, log)
    assert log.read_text() == "of the job that does it again"


def test_a_job_that_is_noted_during_a_take_over_is_stopped(folder, sleeper, monkeypatch):
    run, orphan = sleeper(), sleeper()
    killed_run, listed = put(note_of(run), "run"), killed._notes
    end(run)

    def list_then_note() -> dict[str, Note]:
        found = listed()
        if Path(".snakemake/pivm_processes", killed_run).exists():
            put(note_of(orphan, killed_run), "job")
        return found

    monkeypatch.setattr(killed, "_notes", list_then_note)
    start_run()
    assert orphan.poll() is not None
    assert "job.json" not in notes()


def test_a_job_is_noted_while_it_runs(folder):
    start_run()
    (run,) = notes()
    with noted_job():
        job = (notes() - {run}).pop()
        assert json.loads(Path(".snakemake/pivm_processes", job).read_text())["run"] == run
    assert notes() == {run}
    note_scheduler()
    assert json.loads(Path(".snakemake/pivm_processes", run).read_text())["elsewhere"] is True


def test_nothing_is_noted_outside_a_run(folder):
    with noted_job():
        note_process(False, False, False)
    assert notes() == set()


def test_the_note_goes_with_its_process(folder):
    code = "from pivm.job.killed import note_process; note_process(True, False, False)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert notes() == set()
    subprocess.run([sys.executable, "-c", f"{code}; import os; os._exit(9)"], check=False)
    assert len(notes()) == 1
