"""The segmenter's settings, chosen on a development cohort that no table shows.

    snakemake --cores all results/phantom_development/store/hu.npy --configfile configs/phantom_development.yaml
    python benchmarks/segmenter_settings.py [--batch 4 8] [--rate 0.001 0.002 0.004] [--steps 800 1600]

Trains the segmenter on the real training slices with each setting, by the rule of `original` in Table 3, and scores the
validation patients. One line per setting, then the paired difference of each to the default of config.yaml.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from common import ROOT, report
from pivm.cohort.store import SliceStore
from pivm.evaluation.cases import SegmentationCase, case_table
from pivm.evaluation.overlap import score_patient
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
    cases = []
    for (patient, scan), slices in store.index.iloc[store.rows("val")].groupby(["patient", "subject"]):
        rows, first = slices.index.to_numpy(), slices.iloc[0]
        spacing_mm = (first["step_mm"], first["pixel_mm"], first["pixel_mm"])
        predicted = segmenter.predict(store.hu[rows], 32)
        scores = score_patient(np.asarray(store.labels[rows]), predicted, names, spacing_mm)
        cases += [SegmentationCase(None, seed, patient, scan, **vars(score)) for score in scores]
    return case_table(cases)


def main(options: argparse.Namespace) -> None:
    torch.set_num_threads(options.threads)
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    whole = read_settings(SegmentationSettings, config["segmentation"], "segmentation")
    default = SegmenterSettings(**{key: getattr(whole, key) for key in plain(SegmenterSettings())})
    store, names = SliceStore(options.store), LabelSet.from_config(config["labels"]).names
    chosen = {"default": default}
    for batch, rate, steps in itertools.product(options.batch, options.rate, options.steps):
        chosen[f"batch {batch}, rate {rate:g}, steps {steps}"] = replace(
            default, batch=batch, learning_rate=rate, steps=steps
        )
    frames = []
    for name, settings in chosen.items():
        began = time.process_time()
        frames += [cases_of(store, settings, seed, names).assign(method=name) for seed in options.seeds]
        done = summarise(pd.concat(frames[-len(options.seeds) :]), METRICS, [name], 0.95)
        means = {one.metric.key: one.means[name].mean for one in done.metrics}
        report({"setting": name, **means, "CPU s": time.process_time() - began})
    table = summarise(pd.concat(frames), METRICS, list(chosen), 0.95).differences
    print(table[table["reference"] == "default"].round(4).to_string(index=False))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", type=Path, default=ROOT / "results/phantom_development/store")
    parser.add_argument("--batch", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--rate", type=float, nargs="+", default=[1e-3, 2e-3, 4e-3])
    parser.add_argument("--steps", type=int, nargs="+", default=[800, 1600])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--threads", type=int, default=1)
    main(parser.parse_args())
