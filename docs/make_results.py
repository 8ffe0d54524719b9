"""Copy the tables of a finished run into README.md and docs/results.md: python docs/make_results.py [RESULTS]

Replaces what stands between the markers ``<!-- table2 -->`` and ``<!-- /table2 -->`` (likewise the others), and copies
the figures to docs/.
"""

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main(results: Path) -> None:
    for page in (ROOT / "README.md", ROOT / "docs" / "results.md"):
        text = page.read_text(encoding="utf-8")
        for table in ("table1", "table2", "table3", "table2_volumes", "table3_volumes", "hu_fidelity", "ablation"):
            if not (results / "tables" / f"{table}.md").exists():
                continue  # the ablation and whole volumes are targets of their own
            content = (results / "tables" / f"{table}.md").read_text(encoding="utf-8").strip()
            block = f"<!-- {table} -->\n\n{content}\n\n<!-- /{table} -->"
            text = re.sub(f"<!-- {table} -->.*?<!-- /{table} -->", lambda _, b=block: b, text, flags=re.DOTALL)
        page.write_text(text, encoding="utf-8")
    tables = ("table1", "table2", "table3", "table2_organs", "table3_organs")
    for figure in ("panel", "fig4", "fig5", "fig6", "hu_fidelity", *tables):
        if (results / "figures" / f"{figure}.png").exists():
            shutil.copy(results / "figures" / f"{figure}.png", ROOT / "docs" / f"{figure}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "results/phantom"))
