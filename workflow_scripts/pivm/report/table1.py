"""Table 1 in the paper's shape: a row per patient, SSIM and Fréchet distance of all generators side by side."""

from __future__ import annotations

from functools import partial

import pandas as pd

from pivm.evaluation.metrics import EXTRACTORS, METRICS, REAL, TITLES, distance_metric
from pivm.evaluation.statistics import TIDY, jackknife_interval
from pivm.report.forms import CAPTIONS, method_title, write_forms

_DIGITS = {"ssim": 3, "fid": 2, "frechet_distance": 2}


def write_table1(
    tidy: pd.DataFrame,
    cases: pd.DataFrame,
    floor: pd.DataFrame,
    window,
    extractor: str,
    level: float,
    weights: str,
    outputs,
) -> None:
    """Write Table 1 in all four forms.

    Args:
        tidy: of the generators; cases: scores per method and patient behind it; floor: tidy rows of real
            against real slices; window: HU range; extractor: key of the feature extractor; level: of the intervals;
            weights: as :func:`pivm.config.weights_note`.
    """
    note = f"{CAPTIONS['table1']}. {footnote(tidy, cases, floor, window, extractor, level)}{weights}"
    metrics = ["ssim", distance_metric(extractor)]
    write_forms(tidy, partial(paper_shape, tidy, cases, metrics), note, "table1", outputs)


def pooled_rows(kid: pd.DataFrame, level: float) -> pd.DataFrame:
    """Tidy rows of KID, which is taken over all patients together and has no spread over patients.

    Args:
        kid: columns ``method, without, kid, patients, slices``, as :func:`pivm.evaluation.image_scores.score_images`
            gives them.
        level: of the jackknife interval.
    """
    unit, better = METRICS["kid"]
    is_whole = kid["without"].fillna("") == ""
    rows = kid[is_whole].rename(columns={"kid": "mean"}).reset_index(drop=True)
    left_out = kid[~is_whole].groupby("method")["kid"].agg(list)
    ends = [jackknife_interval(row.mean, left_out.get(row.method, []), level) for row in rows.itertuples()]
    rows["ci_low"], rows["ci_high"] = zip(*ends, strict=True)
    return rows.assign(metric="kid", unit=unit, better=better, sd=None, seeds=1)[TIDY]


def paper_shape(
    tidy: pd.DataFrame, cases: pd.DataFrame, metrics: list[str], bold: str, arrows: dict[str, str]
) -> pd.DataFrame:
    """Patients 1..N and their mean ± standard deviation as rows; (metric, method) as columns; best of a row in bold."""
    methods, patients = (list(dict.fromkeys(frame)) for frame in (tidy["method"], cases["patient"]))
    columns = {}
    for metric in metrics:
        better = METRICS[metric][1]
        wide = cases.pivot(index="patient", columns="method", values=metric).loc[patients, methods]
        means = tidy[tidy["metric"] == metric].set_index("method").loc[methods]
        wide.loc["mean"] = means["mean"]
        best = wide.idxmin(axis=1) if better == "lower" else wide.idxmax(axis=1)
        for method in methods:
            cells = [f"{value:.{_DIGITS[metric]}f}" for value in wide[method]]
            if pd.notna(sd := means.loc[method, "sd"]):
                cells[-1] += f" ± {sd:.{_DIGITS[metric]}f}"
            heading = (f"{TITLES[metric]} {arrows[better]}", method_title(method))
            columns[heading] = [bold % c if best.iloc[i] == method else c for i, c in enumerate(cells)]
    index = pd.Index([*map(str, range(1, len(patients) + 1)), "Avg. ± sd"], name="Patient")
    shaped = pd.DataFrame(columns, index=index)
    shaped.columns = pd.MultiIndex.from_tuples(columns)
    return shaped


def footnote(tidy: pd.DataFrame, cases: pd.DataFrame, floor: pd.DataFrame, window, extractor: str, level: float) -> str:
    """What the numbers are: window and data range, extractor, the floor of real slices, KID, SSIM inside the body."""
    low, high = window
    patients = list(dict.fromkeys(cases["patient"]))
    slices = cases.groupby("patient", sort=False)["slices"].first()
    metric = distance_metric(extractor)
    by_metric = {name: part.set_index("method") for name, part in pd.concat([tidy, floor]).groupby("metric")}
    methods = list(dict.fromkeys(tidy["method"]))
    inside = ", ".join(f"{method_title(m)} {by_metric['ssim_body'].loc[m, 'mean']:.3f}" for m in methods)
    kid = "; ".join(f"{method_title(m)} {_kid(by_metric['kid'].loc[m])}" for m in methods)
    real = by_metric[metric].loc[REAL]
    several = pd.notna(real["sd"])
    return (
        f"Patients: {', '.join(patients)}; {_range(slices)} slices each. HU are clipped to [{low:g}, {high:g}] and "
        f"counted from {low:g}, data range {high - low:g}. SSIM: Gaussian window of sigma 1.5, mean over slices; "
        f"inside the body outline: {inside}. {TITLES[metric]}: {EXTRACTORS[extractor]} trained on ImageNet"
        f"{'' if extractor == 'inception' else ' (not comparable with a FID)'}; real slices of each patient against "
        f"as many of one training patient: {real['mean']:.2f}{f' ± {real.sd:.2f}' if several else ''}. "
        "KID on the same features, times 1000, all patients together"
        f"{f', with its {level:.0%} jackknife interval over patients' if several else ''}: {kid}; "
        f"real slices against those of training patients {_kid(by_metric['kid'].loc[REAL])}."
    )


def _range(counts: pd.Series) -> str:
    low, high = int(counts.min()), int(counts.max())
    return f"{low}" if low == high else f"{low} to {high}"


def _kid(row: pd.Series) -> str:
    value = f"{1000 * row['mean']:.1f}"
    if pd.isna(row["ci_low"]):
        return value
    return f"{value} [{1000 * row['ci_low']:.1f}, {1000 * row['ci_high']:.1f}]"
