"""Errors that people read: what is wrong, where, what was found and expected, and what to do."""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterable


class PivmError(Exception):
    """An error whose message is meant for the user of the workflow; shown without a traceback."""


class ConfigError(PivmError):
    """A wrong key, type or value of the config.

    Args:
        key: dotted path of the key, for example ``diffusion.sampler.steps``.
        problem: what was found and what is allowed.
    """

    def __init__(self, key: str, problem: str):
        self.key, self.problem = key, problem
        super().__init__(f"config: {key}: {problem}")


class DataError(PivmError):
    """Input data that cannot be used; the scan is set aside with this message as its reason."""


class CohortError(PivmError):
    """Too few usable patients to go on with."""


class StateError(PivmError):
    """A checkpoint, model or stored array that does not fit what is asked of it."""


class HubUnreachableError(PivmError):
    """The hub does not answer; the same command may succeed later."""


def nearest(word: str, candidates: Iterable[str]) -> str:
    """A hint `` (did you mean 'x'?)`` for the closest candidate, or an empty string."""
    close = difflib.get_close_matches(str(word), [str(c) for c in candidates], n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def first_line(error: Exception) -> str:
    """The first line of an error's text, the name of its kind where it has none."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


#: what to do where a file cannot be written, by the system's number of the error
DISK_HINTS = {
    errno.ENOSPC: "the disk is full; free some space and run again, finished results are kept",
    errno.EDQUOT: "the disk quota is used up; free some space and run again, finished results are kept",
    errno.EROFS: "the file system is read-only; set 'results' to a folder that can be written",
    errno.EACCES: "no permission; set 'results' to a folder that you may write",
}


def disk_error(error: BaseException | None) -> OSError | None:
    """The system's error behind one that a library raised in its own words, where a file could not be written.

    Args:
        error: as it was caught: of torch (which hides it as the context), safetensors, numpy, or the system's own.

    Returns:
        One whose number is among :data:`DISK_HINTS`, or ``None``.
    """
    while error is not None:
        number = error.errno if isinstance(error, OSError) else None
        if said := re.search(r"\(os error (\d+)\)", str(error)):
            number = int(said[1])
        if re.fullmatch(r"\d+ requested and \d+ written", str(error)):
            number = errno.ENOSPC
        if number in DISK_HINTS:
            return OSError(number, os.strerror(number), getattr(error, "filename", None))
        error = error.__cause__ or error.__context__
    return None
