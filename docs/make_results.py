"""Copy the tables of a finished run into README.md and docs: python docs/make_results.py [RESULTS [PREFIX]]

Replaces what stands between the markers ``<!-- table2 -->`` and ``<!-- /table2 -->`` (likewise the others), and copies
the figures to docs/. With a prefix, such as ``three_`` for the run with three trainings of each generator, the markers
are ``<!-- three_table2 -->`` and no figure is copied.
"""

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main(results: Path, prefix: str) -> None:
    for page in (ROOT / "README.md", ROOT / "docs" / "results.md", ROOT / "docs" / "experiments.md"):
        text = page.read_text(encoding="utf-8")
        for table in (
            "table1",
            "table2",
            "table3",
            "label_agreement",
            "table2_volumes",
            "table3_volumes",
            "hu_fidelity",
            "organ_texture",
            "ablation",
            "evidence",
        ):
            if not (results / "tables" / f"{table}.md").exists():
                continue  # the ablation and whole volumes are targets of their own
            content = (results / "tables" / f"{table}.md").read_text(encoding="utf-8").strip()
            start, end = f"<!-- {prefix}{table} -->", f"<!-- /{prefix}{table} -->"
            block = f"{start}\n\n{content}\n\n{end}"
            text = re.sub(f"{start}.*?{end}", lambda _, b=block: b, text, flags=re.DOTALL)
        page.write_text(text, encoding="utf-8")
    if prefix:
        return
    tables = ("table1", "table2", "table3", "table2_organs", "table3_organs", "label_agreement_organs")
    for figure in ("panel", "fig4", "fig5", "fig6", "hu_fidelity", "evidence", *tables):
        if (results / "figures" / f"{figure}.png").exists():
            shutil.copy(results / "figures" / f"{figure}.png", ROOT / "docs" / f"{figure}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "results/phantom"), sys.argv[2] if len(sys.argv) > 2 else "")
