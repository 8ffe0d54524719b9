"""The default sampler against 250 DDPM steps of the same trained model.

    python benchmarks/sampler.py --model results/phantom/generators/pivm/seed_1 --store results/phantom/store

Both make the same slices of the test patients from the same start noise. SSIM is against the real slice; the Fréchet
distance is to the real slices, on the packaged EfficientNet-Lite0.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from common import ROOT, machine, report
from pivm.cohort.store import SliceStore
from pivm.evaluation.features import Extractor
from pivm.evaluation.image_metrics.frechet_distance import frechet_distance
from pivm.evaluation.image_metrics.ssim import ssim
from pivm.generators.model_folder import ModelFolder


def main(options: argparse.Namespace) -> None:
    device = torch.device(options.device)
    torch.set_num_threads(options.threads)
    store, model = SliceStore(options.store), ModelFolder.open(options.model)
    rows = store.rows("test")
    rows = rows[np.linspace(0, len(rows) - 1, min(options.slices, len(rows))).round().astype(int)]
    real, body = np.asarray(store.hu[rows]), np.asarray(store.body[rows])
    maps = model.prior.label_map(store.labels[rows], body)
    extractor = Extractor("efficientnet_lite0", None, device)
    truth, window, found = extractor(real, tuple(options.window)), tuple(options.window), {}
    for name, steps in ((model.settings.sampler.name, options.steps), ("ddpm", options.reference)):
        sampler = replace(model.settings.sampler, name=name, steps=steps)
        generator = replace(model, settings=replace(model.settings, sampler=sampler)).load(device)
        began = time.process_time()
        batches = np.array_split(np.arange(len(rows)), -(-len(rows) // 30))
        hu = np.concatenate([generator.generate(maps[some], some.tolist()) for some in batches])
        spent = time.process_time() - began
        whole, inside = ssim(real, hu, body, window)
        found[name] = (whole, frechet_distance(truth, extractor(hu, window)))
        facts = {"sampler": name, "evaluations": steps, "slices": len(rows), "SSIM": whole, "SSIM inside body": inside}
        report({**facts, "Fréchet distance": found[name][1], "CPU s": spent, "machine": machine(device)})
    (ours, distance), (theirs, reference) = found.values()
    report(
        {
            "SSIM, default - reference (bound: within 0.01)": ours - theirs,
            "Fréchet distance, default / reference (bound: within 5 %)": distance / reference,
        }
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=ROOT / "results/phantom/generators/pivm/seed_1")
    parser.add_argument("--store", type=Path, default=ROOT / "results/phantom/store")
    parser.add_argument("--slices", type=int, default=60)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--reference", type=int, default=250)
    parser.add_argument("--window", type=float, nargs=2, default=[-200.0, 300.0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1)
    main(parser.parse_args())
