"""Make the page of a run from its files."""

from __future__ import annotations

import shutil
from pathlib import Path

from pivm.report.drawing import method_colours
from pivm.report.forms import method_title
from pivm.report.page.cohort import cohort_section
from pivm.report.page.data_file import write_data
from pivm.report.page.facts import PageRun, section
from pivm.report.page.gallery import write_gallery
from pivm.report.page.patients import write_patients
from pivm.report.page.provenance import provenance_section
from pivm.report.page.static_files import STATIC
from pivm.report.page.tables import organ_section, table_section, target_section
from pivm.report.page.training import training_section
from pivm.report.page.verdict import verdict
from pivm.report.page.volumes import write_volumes

#: tables that the page shows; all but the first have scores for each organ
TABLES = ("table1", "label_agreement", "table2", "table3")
#: columns of Table 3
METHODS = ("original", "generated", "combined")
#: figure -> what it shows, for those who do not see it
FIGURES = {
    "table1": "Table 1 as a plot: every test patient as a point and the mean with its interval, one panel per metric",
    "table2": "Table 2 as a plot: every test patient as a point and the mean with its interval, one panel per metric",
    "table3": "Table 3 as a plot: every test patient as a point and the mean with its interval, one panel per metric",
    "label_agreement": "Label agreement as a plot: every test patient as a point and the mean with its interval",
    "table2_organs": "Scores of every organ for segmenters of the synthetic slices of each generator",
    "table3_organs": "Scores of every organ for segmenters of original, generated and combined slices",
    "label_agreement_organs": "Scores of every organ for segmenters of original slices on the slices of each generator",
    "hu_fidelity": "HU of every organ in original and in synthetic slices",
    "evidence": "Dice against the number of annotated patients, one line for each way to train the segmenter",
    "privacy": "Nearness of synthetic slices to training slices, and how well an attack tells who was in the training",
    "cohort": "Slices per scan, spacing, organs present and HU of the scans that are used",
    "fig5": "Coronal and sagittal views of a synthetic volume beside the original one, and with its organ contours",
}


def write_page(run: PageRun, folder: Path, viewer: Path | None = None) -> None:
    """Write ``index.html``, its style and scripts, and the data of the run; what is not there is said on the page.

    Args:
        run: that is shown.
        folder: that receives the page; it holds all that the page needs.
        viewer: :func:`pivm.report.page.niivue.find_viewer`; without it the page shows pictures in place of volumes.
    """
    folder = Path(folder)
    shutil.copytree(STATIC, folder, dirs_exist_ok=True)
    if viewer:
        shutil.copyfile(viewer, folder / "niivue.js")
    figures = {name: alt for name, alt in FIGURES.items() if _copy(run.results / f"figures/{name}.png", folder)}
    page = {
        "dataset": run.dataset,
        "procedural": run.procedural,
        "original": run.words.ct,
        "shown": method_title(run.generated),
        "level": run.level,
        "colours": run.colours,
        "methods": {method_title(name): colour for name, colour in method_colours(METHODS, run.generated).items()}
        | {method_title(name): colour for name, colour in method_colours(run.generators).items()},
        "figures": figures,
        "verdict": section(lambda: verdict(run), run),
        **{name: section(lambda name=name: table_section(run, name), run) for name in TABLES},
        **{name: section(lambda name=name: target_section(run, name), run) for name in ("evidence", "privacy")},
        "organs": {name: section(lambda name=name: organ_section(run, name), run) for name in TABLES[:0:-1]},
        "patients": section(lambda: write_patients(run, folder), run),
        "gallery": section(lambda: write_gallery(run, folder), run),
        "volumes": section(lambda: write_volumes(run, folder), run),
        "viewer": viewer is not None,
        "cohort": section(lambda: cohort_section(run), run),
        "training": section(lambda: training_section(run), run),
        "provenance": section(lambda: provenance_section(run, folder), run),
    }
    write_data("page", page, folder)


def _copy(figure: Path, folder: Path) -> bool:
    """Copy a figure beside the page; False where there is none."""
    if not figure.is_file():
        return False
    (folder / "figures").mkdir(exist_ok=True)
    shutil.copyfile(figure, folder / "figures" / figure.name)
    return True
