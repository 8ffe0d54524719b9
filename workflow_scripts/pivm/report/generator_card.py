"""The model card of a trained generator: data, split, numbers and limits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from jinja2 import Environment, StrictUndefined

from pivm.cohort.split import SPLITS
from pivm.evaluation.all_metrics import METRICS
from pivm.generators.model_folder import ModelFolder
from pivm.report.forms import method_title
from pivm.report.words import Words
from pivm.settings import plain

_CARD = """\
# {{ title }}: synthetic abdominal CT from organ labels

```bash
pivm generate --model . --labels <label map or folder of masks> --out ct.nii.gz
```

## What it is

Generator `{{ settings.name }}` of kind `{{ settings.kind }}`, {{ description }};
seed {{ model.trained_on.seed }}, torch {{ model.made.versions.torch }}. All settings: `model.json`.
{% if sampler %}Sampler: {{ sampler }} (`sampler.json`, which may be changed without a new training).
{% endif %}

## Data and split

Data set `{{ dataset }}`{{ words.about }}: {{ counts.train }} training, {{ counts.val }} validation and
{{ counts.test }} test {{ words.patient }}s;
slices of {{ size }} x {{ size }} pixels. No test patient reached the organ means.
{% if released %}The weights were trained elsewhere, on scans that may include test patients.
{% else %}No test patient reached the training. SHA-256 of split and slices: `data` in `model.json`.
{% endif %}
{{ prior.names | length }} labels: {{ prior.names | join(", ") }}.
{% if prior.never_seen %}
Never seen in training, and so unlabelled tissue: {{ prior.never_seen | join(", ") }}.
{% endif %}
## Numbers, on the test {{ words.patient }}s

| table | metric | mean | interval |
| --- | --- | --- | --- |
{% for row in numbers -%}
| {{ row | join(" | ") }} |
{% endfor %}
## Privacy

{% if privacy %}{{ privacy | join("\n\n") }}
{% else %}Not audited: whether slices copy training patients, or the loss tells who they were, is not known.
{% endif %}
## Limits

- Made for research on segmentation. Not a medical device: no synthetic image may serve a diagnosis or a treatment.
- The anatomy is that of the labels; what has no label (vessels, fat, unlabelled bowel, lesions) is invented.
- Slices are made at {{ size }} x {{ size }} pixels; a CT on a finer grid is interpolated.
- Values stay between {{ hu_range[0] }} and {{ hu_range[1] }} HU.
- Only label maps like those of the training patients are covered: the same organs and proportions, axial slices.
- The licence of the training data decides whether and how the weights may be passed on.
"""


def write_model_card(
    model: ModelFolder,
    split: dict[str, str],
    dataset: str,
    words: Words,
    tables: dict[str, pd.DataFrame],
    privacy: Sequence[str],
    path: Path,
) -> None:
    """Write the card as Markdown.

    Args:
        model: the folder of the generator.
        split: patient -> split.
        dataset: its name in the config.
        words: of its scans.
        tables: heading -> tidy table; the rows of this generator are shown.
        privacy: paragraphs of the privacy audit (:func:`pivm.report.privacy_table.audit_sentences`); empty without one.
        path: the file to write.
    """
    settings = model.settings
    numbers = [
        (heading, f"{METRICS[row.metric].heading} ({row.better} is better)", *_value(row))
        for heading, table in tables.items()
        for row in table[table["method"] == settings.name].itertuples()
    ]
    sampler, slab = getattr(settings, "sampler", None), getattr(settings, "slab", None)
    # Markdown, not HTML: nothing is escaped
    card = Environment(undefined=StrictUndefined, keep_trailing_newline=True).from_string(_CARD)
    text = card.render(
        title=method_title(settings.name),
        settings=settings,
        description=model.kind.describe(settings),
        sampler=", ".join(f"{key} {value}" for key, value in plain(sampler).items()) if sampler else "",
        model=model,
        prior=model.prior,
        size=model.trained_on.image_size,
        hu_range=slab.hu_range if slab else model.prior.hu_range,
        released=bool(getattr(settings, "weights", None)),
        dataset=dataset,
        words=words,
        counts={part: list(split.values()).count(part) for part in SPLITS},
        numbers=numbers,
        privacy=list(privacy),
    )
    Path(path).write_text(text, encoding="utf-8")


def _value(row) -> tuple[str, str]:
    """Mean and interval as the tables show them."""
    metric = METRICS[row.metric]
    if pd.isna(row.mean):
        return "–", ""
    interval = "" if pd.isna(row.ci_low) else f"{metric.shown(row.ci_low)} to {metric.shown(row.ci_high)}"
    return metric.shown(row.mean), interval
