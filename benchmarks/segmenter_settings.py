"""The segmenter's settings, chosen on a development cohort that no table shows.

    snakemake --cores all results/phantom_development/store/hu.npy --configfile configs/phantom_development.yaml
    python benchmarks/segmenter_settings.py [--settings 4:0.002:1600:adamw 4:0.003:800 ...]

Trains the segmenter on the real training slices with each setting (batch:rate:steps, then the optimiser where it is
another), by the rule of `original` in Table 3, and scores the validation patients. One line per training, then the
paired difference of each setting to the default of config.yaml.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import torch
import yaml
from common import ROOT, report
from pivm.cohort.store import SliceStore
from pivm.evaluation.cases import case_table
from pivm.evaluation.stack_scoring import score_stacks
from pivm.evaluation.statistics import summarise
from pivm.labels import LabelSet
from pivm.learning.loop import Run
from pivm.seeds import derived_seed
from pivm.segmentation.segmenter import Segmenter
from pivm.segmentation.settings import SegmentationSettings, SegmenterSettings
from pivm.segmentation.training_set import TrainingSlices, real_part
from pivm.settings import plain, read_settings

METRICS = ("dice", "hausdorff_distance_95", "missed")


def cases_of(store: SliceStore, settings: SegmenterSettings, seed: int, names: tuple[str, ...]) -> pd.DataFrame:
    """Train with one setting and score every validation patient."""
    device, start = torch.device("cpu"), derived_seed(str(seed), "segmenter")
    torch.manual_seed(start)
    segmenter = Segmenter(settings, len(names) + 1, device)
    with tempfile.TemporaryDirectory() as folder:
        files = {"losses": f"{folder}/losses.csv", "resume": f"{folder}/resume.pt", "tensorboard": None}
        run = Run.of(**files, precision="fp32", compile=False)
        segmenter.fit(TrainingSlices([real_part(store, settings.real_slices, set())]), start, run)
    return case_table(score_stacks(segmenter, store, store.rows("val"), names, 32, (None, seed)))


def setting(text: str) -> dict[str, float | str]:
    """``batch:rate:steps[:optimizer]`` as the keys of the config."""
    batch, rate, steps, *optimizer = text.split(":")
    found: dict[str, float | str] = {"batch": int(batch), "learning_rate": float(rate), "steps": int(steps)}
    if optimizer:
        (found["optimizer"],) = optimizer
    return found


def one_training(
    store: Path, settings: SegmenterSettings, seed: int, names: tuple[str, ...]
) -> tuple[pd.DataFrame, float]:
    """The cases of one setting and seed, and the CPU seconds that they took."""
    torch.set_num_threads(1)
    began = time.process_time()
    return cases_of(SliceStore(store), settings, seed, names), time.process_time() - began


def main(options: argparse.Namespace) -> None:
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    whole = read_settings(SegmentationSettings, config["segmentation"], "segmentation")
    default = SegmenterSettings(**{key: getattr(whole, key) for key in plain(SegmenterSettings())})
    names = LabelSet.from_config(config["labels"]).names
    chosen = {"default": default} | {text: replace(default, **setting(text)) for text in options.settings}
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        jobs = {
            (name, seed): pool.submit(one_training, options.store, settings, seed, names)
            for name, settings in chosen.items()
            for seed in options.seeds
        }
        frames = []
        for (name, seed), job in jobs.items():
            cases, seconds = job.result()
            frames.append(cases.assign(method=name))
            done = summarise(frames[-1], METRICS, [name], 0.95)
            means = {one.metric.key: one.means[name].mean for one in done.metrics}
            report({"setting": name, "seed": seed, **means, "CPU s": seconds})
    table = summarise(pd.concat(frames), METRICS, list(chosen), 0.95).differences
    print(table[table["reference"] == "default"].round(4).to_string(index=False))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", type=Path, default=ROOT / "results/phantom_development/store")
    others = ["4:0.002:1600:adamw", "4:0.003:800", "4:0.012:800"]
    parser.add_argument("--settings", nargs="+", default=others, metavar="BATCH:RATE:STEPS[:OPTIMIZER]")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--processes", type=int, default=2)
    main(parser.parse_args())
