"""A failed job is shown by its own message, once and last; what Snakemake knows better stands as it says it."""

from __future__ import annotations

import errno
import io
import logging
from types import SimpleNamespace

import pytest
from pivm.errors import PivmError
from pivm.job import job
from pivm.job.failures import Failures, read_message
from snakemake_interface_logger_plugins.common import LogEvent

FINAL = (
    "Exiting because a job execution failed. Look above for error messages",
    "Complete log(s): /x",
    "Elapsed time: 1",
)


class Run:
    """A logger such as Snakemake's with its terminal, and jobs that fail."""

    def __init__(self, folder):
        self.folder, self.terminal, self.attempt = folder, io.StringIO(), 0
        self.logger = logging.Logger("run", logging.INFO)
        self.logger.addHandler(logging.StreamHandler(self.terminal))
        self.failures = Failures.watch(self.logger)

    def job(self, number: int, message: str | None) -> None:
        log = self.folder / f"{number}.log"
        fields = {"jobid": number, "rule_name": f"rule{number}", "log": [str(log)]}
        self.logger.info("announced %d", number, extra={"event": LogEvent.JOB_INFO, **fields})
        self.attempt += 1
        if message:
            with pytest.raises(SystemExit), job(SimpleNamespace(log=[str(log)], rule=fields["rule_name"])):
                raise PivmError(f"{message}{' ' * self.attempt}")
            self.logger.error(
                "RuleException:\nCommand 'python x' returned non-zero exit status 1.",
                extra={"event": LogEvent.ERROR, "exception": "RuleException"},
            )
        self.logger.error("Error in rule", extra={"event": LogEvent.JOB_ERROR, **fields})

    def end(self) -> None:
        self.logger.info("Shutting down, this might take some time.")
        self.logger.error(FINAL[0])
        self.failures.end()
        for text in FINAL[1:]:
            self.logger.info(text)
        self.logger.error("WorkflowError:", extra={"event": LogEvent.ERROR, "exception": "WorkflowError"})


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def test_the_message_of_a_job_stands_alone_and_once(run, capsys):
    run.job(1, "one\nmore of it")
    run.end()
    shown = capsys.readouterr().err
    assert shown.split("\n")[1:3] == ["Error in rule1: one", "more of it"]
    assert shown.rstrip().endswith(f"Log: {run.folder}/1.log")
    assert shown.count("Error") == 1
    assert run.terminal.getvalue() == "announced 1\n"
    assert "Traceback" in (run.folder / "1.log").read_text()


def test_messages_that_others_followed_are_shown_again_at_the_end(run, capsys):
    run.job(1, "one")
    run.job(2, "two")
    capsys.readouterr()
    run.end()
    assert [line for line in capsys.readouterr().err.splitlines() if "Error" in line] == [
        "Error in rule1: one",
        "Error in rule2: two",
    ]


def test_a_job_that_left_no_message_stands_as_snakemake_says_it(run, capsys):
    run.job(1, None)
    run.end()
    assert capsys.readouterr().err == ""
    text = run.terminal.getvalue()
    assert all(part in text for part in ("Error in rule", *FINAL, "WorkflowError"))


def test_the_message_of_an_earlier_attempt_is_not_that_of_a_later_one(run, capsys):
    run.job(1, "one")
    run.job(1, None)
    capsys.readouterr()
    run.end()
    assert capsys.readouterr().err == ""
    assert "Error in rule" in run.terminal.getvalue()


def test_an_attempt_that_works_takes_the_failure_away(run, capsys):
    run.job(1, "one")
    run.logger.info("announced", extra={"event": LogEvent.JOB_INFO, "jobid": 1, "log": [str(run.folder / "1.log")]})
    run.job(2, "two")
    capsys.readouterr()
    run.end()
    assert "one" not in capsys.readouterr().err


def test_a_log_without_a_message(tmp_path):
    assert read_message(tmp_path / "none.log") is None
    (tmp_path / "fine.log").write_text("INFO fine\n")
    assert read_message(tmp_path / "fine.log") is None


def test_a_log_that_cannot_be_written_leaves_the_message_to_the_terminal(tmp_path, capsys, monkeypatch):
    def refuse_to_write(*_):
        raise OSError(errno.ENOSPC, "x")

    monkeypatch.setattr("pivm.job.write_message", refuse_to_write)
    with pytest.raises(SystemExit), job(SimpleNamespace(log=[str(tmp_path / "rule.log")], rule="rule")):
        raise PivmError("nowhere to write")
    assert capsys.readouterr().err == "\nError: nowhere to write\n\n"
