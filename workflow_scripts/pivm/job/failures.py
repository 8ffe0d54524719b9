"""What the terminal shows of jobs that failed: their own message, once and last, in place of Snakemake's report.

A job writes its message to the end of its log (:func:`write_message`). Snakemake's process watches Snakemake's log
entries: where a failed job left a message, it shows that, the rule and the log, and keeps Snakemake's own lines about
the failure from the terminal; the file that Snakemake logs to keeps them. Where a job left none (it was killed, or its
node was lost), everything stands as Snakemake says it.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_MARK = "\nError: "
#: beginnings of what Snakemake says of any failure, without an event of their own
_OF_ANY_FAILURE = ("Removing output files of failed job", "Shutting down", "Exiting because a job execution failed")


def write_message(log: Path, message: str, details: str) -> None:
    """Append what went wrong to the log of a job.

    Args:
        log: of the job.
        message: for people.
        details: the traceback, which stands before it.

    Raises:
        OSError: the log cannot be written.
    """
    with open(log, "a", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(f"{details}{_MARK}{message}\n")


def read_message(log: str | Path) -> str | None:
    """The message at the end of a job's log; None where it left none."""
    try:
        text = Path(log).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    _, mark, message = text.rpartition(_MARK)
    return message.strip() if mark else None


@dataclass(frozen=True)
class Failure:
    """A job that failed.

    Attributes:
        rule: its rule.
        log: its log; empty where the rule has none.
        before: state of the log when the job was announced; a message is its own where that has changed.
    """

    rule: str
    log: str
    before: tuple[int, int] | None

    @property
    def message(self) -> str | None:
        """What the job said; None where it said nothing."""
        return read_message(self.log) if self.log and _state(self.log) != self.before else None

    @property
    def text(self) -> str:
        """What is shown."""
        return f"\nError in {self.rule}: {self.message}\nLog: {self.log}\n"


class Failures(logging.Handler):
    """Watches the log entries of Snakemake for jobs that fail.

    Events and fields of the entries are those of Snakemake's interface for logger plugins.
    """

    def __init__(self):
        super().__init__()
        self._before: dict[int, tuple[int, int] | None] = {}
        self._failed: dict[int, Failure] = {}
        self._stands_last = self._ended = False

    @classmethod
    def watch(cls, logger: logging.Logger) -> Failures:
        """Follow a logger, and keep from its terminals what the jobs say better themselves.

        Args:
            logger: of Snakemake.
        """
        failures = cls()
        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                handler.addFilter(lambda record: not failures._folded(record))
        logger.addHandler(failures)
        return failures

    def emit(self, record: logging.LogRecord) -> None:
        """See one entry."""
        self._folded(record)

    def end(self) -> None:
        """All jobs have ended: show the messages again where something came after them, and nothing else from here."""
        failed = self._failed.values()
        said = [failure for failure in failed if failure.message]
        if not (self._stands_last and len(said) == 1):
            self._show(said)
        self._ended = bool(said) and len(said) == len(failed)

    def _folded(self, record: logging.LogRecord) -> bool:
        """Whether an entry is kept from the terminal; each is looked at once, by the first that asks."""
        if "pivm_folded" not in record.__dict__:
            record.__dict__["pivm_folded"] = folded = self._look_at(record)
            self._stands_last = self._stands_last and folded
            if not folded:
                return False
            if _event(record) in ("job_error", "group_error"):
                self._show([self._failed[one["jobid"]] for one in _jobs(record)])
        return record.__dict__["pivm_folded"]

    def _look_at(self, record: logging.LogRecord) -> bool:
        event, fields = _event(record), record.__dict__
        if event == "job_info":
            self._failed.pop(fields["jobid"], None)  # another attempt
            self._before[fields["jobid"]] = _state(_first(fields["log"]))
        if event in ("job_error", "group_error"):
            for one in _jobs(record):
                job = one["jobid"]
                self._failed[job] = Failure(one["rule_name"], _first(one["log"]), self._before.get(job))
            return self._all_said()
        if event == "error":
            of_script = fields.get("exception") == "RuleException" and "non-zero exit status 1." in str(record.msg)
            return of_script or self._ended
        return self._ended or (str(record.msg).startswith(_OF_ANY_FAILURE) and self._all_said())

    def _all_said(self) -> bool:
        return bool(self._failed) and all(failure.message for failure in self._failed.values())

    def _show(self, failures: Sequence[Failure]) -> None:
        if failures:
            print("".join(failure.text for failure in failures), end="", file=sys.stderr, flush=True)
            self._stands_last = True


def _event(record: logging.LogRecord) -> str:
    return str(getattr(record, "event", None) or "")


def _jobs(record: logging.LogRecord) -> list[dict]:
    """Fields of the jobs of an entry about a failure."""
    return record.__dict__["job_error_info"] if _event(record) == "group_error" else [record.__dict__]


def _first(logs: Sequence[str]) -> str:
    """The log of a job; an executor adds its own behind it."""
    return str(logs[0]) if logs else ""


def _state(path: str) -> tuple[int, int] | None:
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size
