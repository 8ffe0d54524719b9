"""The model card on the hub: that of the workflow, with the front matter by which the hub files a model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from pivm.errors import StateError

#: file of the model card
CARD = "README.md"
TAGS = ("medical-imaging", "computed-tomography", "abdomen", "image-synthesis", "synthetic-data")
#: what a card says of every model (:mod:`pivm.report.generator_card`)
SECTIONS = ("Data and split", "Numbers", "Privacy", "Limits")
#: identifier of the hub for a licence that it does not list, and the name that it is given then
OTHER, BY_THE_DATA = "other", "as-the-training-data"
_CALL = re.compile(r"^(?:pivm pull .*\n)?pivm generate --model \S+", re.MULTILINE)


def hub_card(folder: Path, repository: str, kind: str, licence: str | None) -> str:
    """The card of a model folder as it stands on the hub.

    Args:
        folder: of the model.
        repository: where it will lie.
        kind: of generator, a tag.
        licence: identifier of the hub; ``None`` for that of the card, or else one that points to the training data.

    Returns:
        Front matter and Markdown.

    Raises:
        StateError: there is no card, or it lacks a section, the data set or numbers.
    """
    path = folder / CARD
    try:
        text = path.read_text(encoding="utf-8")
        known = ModelCard(text, ignore_metadata_errors=True) if text.startswith("---\n") else None
    except (OSError, ValueError) as error:
        raise StateError(
            f"{path}: no model card ({error}); the workflow writes it with the tables: snakemake --cores all {path}"
        ) from None
    text = (known.text if known else text).lstrip("\n")
    _require_sections(path, text)
    stated: dict[str, Any] = known.data.to_dict() if known else {}
    licence = licence or stated.get("license") or OTHER
    data = ModelCardData(
        license=licence,
        license_name=(stated.get("license_name") or BY_THE_DATA) if licence == OTHER else None,
        library_name="pivm",
        tags=["pivm", f"pivm-{kind}", *TAGS],
    )
    text = _CALL.sub(f"pivm pull {repository} model\npivm generate --model model", text, count=1)
    return f"---\n{data.to_yaml()}\n---\n\n{text}"


def _require_sections(path: Path, text: str) -> None:
    parts = dict(re.findall(r"^## ([^\n,]+)[^\n]*\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    lacking = [name for name in SECTIONS if not parts.get(name, "").strip()]
    if not lacking and "Data set `" not in parts["Data and split"]:
        lacking = ["Data and split: Data set `...`"]
    if not lacking and not re.search(r"^\|.*\d.*\|$", parts["Numbers"], re.MULTILINE):
        lacking = ["Numbers: a row of the table"]
    if lacking:
        raise StateError(f"{path}: the model card lacks {', '.join(lacking)}; make it again with the workflow")
