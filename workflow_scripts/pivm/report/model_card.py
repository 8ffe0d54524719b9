"""The model card of a trained generator: data, split, numbers and limits."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from jinja2 import Environment, StrictUndefined

from pivm.cohort.prior import Prior
from pivm.evaluation.metrics import METRICS, TITLES
from pivm.report.forms import method_title

_CARD = """\
# {{ title }}: synthetic abdominal CT from organ labels

```bash
pivm generate --model . --labels <label map or folder of masks> --out ct.nii.gz
```

## What it is

Generator `{{ settings.name }}` of kind `{{ settings.kind }}`{{ how }};
seed {{ facts.seed }}, torch {{ facts.made.versions.torch }}. All settings: `model.json`.
{% if settings.sampler %}Sampler: {{ sampler }} (`sampler.json`, which may be changed without a new training).
{% endif %}

## Data and split

Data set `{{ dataset }}`: {{ counts.train }} training, {{ counts.val }} validation and {{ counts.test }} test patients;
slices of {{ size }} x {{ size }} pixels. No test patient reached the organ means.
{% if released %}The weights were trained elsewhere, on scans that may include test patients.
{% else %}No test patient reached the training. SHA-256 of split and slices: `data` in `model.json`.
{% endif %}
{{ prior.names | length }} labels: {{ prior.names | join(", ") }}.
{% if prior.never_seen %}
Never seen in training, and so unlabelled tissue: {{ prior.never_seen | join(", ") }}.
{% endif %}
## Numbers, on the test patients

| table | metric | mean | interval |
| --- | --- | --- | --- |
{% for row in numbers -%}
| {{ row | join(" | ") }} |
{% endfor %}
## Limits

- Made for research on segmentation. Not a medical device: no synthetic image may serve a diagnosis or a treatment.
- The anatomy is that of the labels; what has no label (vessels, fat, unlabelled bowel, lesions) is invented.
- Slices are made at {{ size }} x {{ size }} pixels; a CT on a finer grid is interpolated.
- Values stay between {{ hu_range[0] }} and {{ hu_range[1] }} HU.
- Only label maps like those of the training patients are covered: the same organs and proportions, axial slices.
- The licence of the training data decides whether and how the weights may be passed on.
"""


def write_model_card(
    facts: dict, prior: Prior, split: dict[str, str], dataset: str, tables: dict[str, pd.DataFrame], path: Path
) -> None:
    """Write the card as Markdown.

    Args:
        facts: ``model.json`` of the generator; split: patient -> split; dataset: its name in the config;
        tables: heading -> tidy table; the rows of this generator are shown.
    """
    name = facts["settings"]["name"]
    numbers = [
        (heading, f"{TITLES[row.metric]} ({row.better} is better)", *_value(row))
        for heading, table in tables.items()
        for row in table[table["method"] == name].itertuples()
    ]
    counts = {part: list(split.values()).count(part) for part in ("train", "val", "test")}
    # Markdown, not HTML: nothing is escaped
    card = Environment(undefined=StrictUndefined, keep_trailing_newline=True).from_string(_CARD)
    facts_of_card = {"settings": facts["settings"], "how": _how(facts["settings"]), "size": facts["image_size"]}
    own_range = facts["settings"].get("slab", {}).get("hu_range")
    facts_of_card["sampler"] = ", ".join(f"{key} {value}" for key, value in facts["settings"]["sampler"].items())
    facts_of_card |= {"hu_range": own_range or prior.hu_range, "released": bool(facts["settings"].get("weights"))}
    facts_of_card |= {"title": method_title(name), "facts": facts, "dataset": dataset, "counts": counts}
    Path(path).write_text(card.render(prior=prior, numbers=numbers, **facts_of_card))


def _how(settings: dict) -> str:
    if settings["kind"] == "diffusion":
        return f", target `{settings['target']}`, conditioned on {', '.join(settings['condition'])}"
    if settings["kind"] == "maisi":
        return ", released weights" if settings["weights"] else ", trained from scratch on this split"
    return ", without training"


def _value(row) -> tuple[str, str]:
    unit = METRICS[row.metric][0]
    interval = "" if pd.isna(row.ci_low) else f"{row.ci_low:.3f} to {row.ci_high:.3f}"
    return f"{row.mean:.3f}{'' if unit == '1' else ' ' + unit}", interval
