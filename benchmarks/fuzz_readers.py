"""Damaged files through the readers: none may end a run, hang or take much memory.

    python benchmarks/fuzz_readers.py --files 3000            # all kinds
    python benchmarks/fuzz_readers.py --kinds nifti --first 1200 --files 10 --show   # these alone, each with its reason

One file of a small sound input is damaged at a time, file number N by seed N, and the input is read as the workflow
reads it. Counted is what no damage may cause: an error that is not the workflow's own (`ends`), more than --seconds,
more than --gigabytes, or a process that dies. A `dataset.json` that cannot be read stops the run with a message that
names it (`named`), as there is nothing to go on with.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "workflow_scripts")]

from pivm.errors import PivmError  # noqa: E402

from benchmarks.fuzz_inputs import KINDS, read_all  # noqa: E402

#: files of one process; what one of them leaves behind in memory does not add up over all
CHUNK = 250


class TimeUp(BaseException):
    """Not an Exception, so that no reader takes it for a fault of its file."""


def time_up(*_):
    raise TimeUp


def one(kind, folder: Path, gigabytes: float) -> tuple[str, str]:
    """(what became of a damaged input, its reason)"""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        records = read_all(kind, folder)
        verdict, text = records[0].status, records[0].reason
    except PivmError as error:
        verdict, text = "named", str(error)
    except TimeUp:
        verdict, text = "hangs", "".join(traceback.format_exc().splitlines(keepends=True)[-12:])
    except BaseException:
        verdict, text = "ends", traceback.format_exc()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    if grown > gigabytes or "MemoryError" in text or "Unable to allocate" in text:
        verdict, text = "memory", f"{grown:.2f} GiB; {text}"
    return verdict, text


def chunk(name: str, numbers: range, seconds: int, gigabytes: float, results) -> None:
    """Read some damaged files; what is found goes through the pipe at once, so that a death does not lose it."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGALRM, time_up)
    kind = KINDS[name]
    with tempfile.TemporaryDirectory() as place:
        files = kind.build(Path(place))
        read_all(kind, Path(place))  # what is imported on the way counts for no file
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + int((gigabytes + 2) * 2**30),) * 2)
        for number in numbers:
            target = files[number % len(files)]
            sound = target.read_bytes()
            results.send((number, "started", "", 0.0))
            target.write_bytes(kind.damage(sound, np.random.default_rng(number)))
            start = time.perf_counter()
            signal.alarm(seconds)
            verdict, text = one(kind, Path(place), gigabytes)
            signal.alarm(0)
            results.send((number, verdict, text, time.perf_counter() - start))
            target.write_bytes(sound)


def fuzz(name: str, numbers: range, options: argparse.Namespace, read=chunk) -> Counter:
    """Read damaged files of one kind, chunk by chunk, one process at a time; each of the numbers is counted once."""
    counts, slowest = Counter(), 0.0
    context, start = multiprocessing.get_context("spawn"), numbers.start
    while start < numbers.stop:
        receive, send = context.Pipe(duplex=False)
        part = range(start, min(start + CHUNK, numbers.stop))
        process = context.Process(target=read, args=(name, part, options.seconds, options.gigabytes, send))
        process.start()
        send.close()
        last, done = part.start - 1, True
        try:
            # reading in C ignores the alarm, so the other end is watched as well
            while receive.poll(2 * options.seconds + 60):
                last, verdict, text, took = receive.recv()
                done = verdict != "started"
                if done:
                    counts[verdict] += 1
                    slowest = max(slowest, took)
                    if options.show or verdict in ("ends", "hangs", "memory"):
                        print(f"{name} {last}: {verdict}: {text}", flush=True)
            process.kill()
        except EOFError:
            pass
        process.join()
        if done and last + 1 < part.stop:  # it died between two files; the next one counts
            last, done = last + 1, False
        if not done:
            counts["dies"] += 1
            print(f"{name} {last}: the process died or hung (exit status {process.exitcode})", flush=True)
        start = last + 1
    print(f"{name}: {json.dumps(counts)}, slowest {slowest:.1f} s", flush=True)
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--first", type=int, default=0, help="number of the first damaged file")
    parser.add_argument("--files", type=int, default=3000, help="damaged files of each kind")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--show", action="store_true", help="what became of every file")
    options = parser.parse_args()
    total: Counter = Counter()
    for name in options.kinds:
        total += fuzz(name, range(options.first, options.first + options.files), options)
    bad = sum(total[verdict] for verdict in ("ends", "hangs", "memory", "dies"))
    print(f"{sum(total.values())} damaged files: {bad} end a run, hang, take over {options.gigabytes:g} GiB or kill")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
