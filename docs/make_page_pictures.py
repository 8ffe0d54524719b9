"""Draw docs/page_top.png and docs/page_volumes.png: python docs/make_page_pictures.py RESULTS/report

The page of a finished run in headless Chromium, 1600 pixels wide, with colours reduced to a palette.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))

from benchmarks.browser import SOFTWARE_WEBGL  # noqa: E402

#: picture -> where it begins and what it ends with
PICTURES = {"top": ("header", "#slices [aria-live]"), "volumes": ("#volumes", "#viewer")}
MARGIN = 16


def save(page: Page, name: str) -> None:
    first, last = (page.locator(place).bounding_box() for place in PICTURES[name])
    assert first
    assert last
    top = max(first["y"] - MARGIN, 0)
    height = last["y"] + last["height"] + MARGIN / 4 - top
    shot = page.screenshot(full_page=True, clip={"x": 160, "y": top, "width": 1280, "height": height})
    picture = Image.open(io.BytesIO(shot)).convert("RGB")
    # the palette of the median cut gives the colours of small organs away to greys, that of an octree the light greys
    small = picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    small.save(DOCS / f"page_{name}.png", optimize=True)


def main(folder: Path) -> None:
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=shutil.which("chromium"), args=SOFTWARE_WEBGL)
        page = chromium.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(180_000)
        page.goto((folder / "index.html").resolve().as_uri())
        page.wait_for_selector("#cite *")
        page.locator("#volumes").scroll_into_view_if_needed()
        page.wait_for_selector("#viewer[aria-busy=false]")
        page.set_viewport_size({"width": 1600, "height": 4000})  # all of it is drawn, and places count from the top
        page.evaluate("window.scrollTo(0, 0)")
        page.wait_for_timeout(5000)  # the viewer draws again at the new size
        for name in PICTURES:
            save(page, name)
        chromium.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
