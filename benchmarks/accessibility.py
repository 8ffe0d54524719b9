"""Accessibility, first view and size of the page: python benchmarks/accessibility.py RESULTS/report AXE.js

RESULTS/report is the page of a finished run. AXE.js is axe.min.js of the npm package axe-core (`npm pack axe-core`),
which is no dependency of this project. Needs Chromium and the extra `test`. The page is read from the disk, in the
light scheme, with every section opened. Exit status 1: serious or critical findings of axe, or a bound is missed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections import Counter
from pathlib import Path
from statistics import median

from browser import SOFTWARE_WEBGL
from playwright.sync_api import Browser, Page, TimeoutError, sync_playwright

WIDTHS = (1600, 400)
REPEATS = 5
FIRST_VIEW_S, FOLDER_MB = 2.0, 25.0
WAIT_MS = 180_000

OPEN_ALL = "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
#: axe by all of its rules but those that are still experiments; what it cannot decide alone is `incomplete`
RUN_AXE = "axe.run(document, { resultTypes: ['violations', 'incomplete'] })"
TIMES = """() => ({ load: performance.getEntriesByType('navigation')[0].loadEventStart / 1000,
    paint: performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000 })"""


def opened(browser: Browser, folder: Path, width: int) -> Page:
    """The page with every part of it on show."""
    page = browser.new_page(viewport={"width": width, "height": 1000}, color_scheme="light")
    page.set_default_timeout(WAIT_MS)
    page.goto((folder / "index.html").resolve().as_uri())
    page.wait_for_selector("#cite *")
    page.locator("#patients button").first.click()
    page.wait_for_selector("#patients h3")
    page.locator("#volumes").scroll_into_view_if_needed()
    try:
        page.wait_for_selector("#viewer[aria-busy=false]")
    except TimeoutError:
        print(
            f"width {width}: the viewer of volumes did not draw; its controls are judged as they are", file=sys.stderr
        )
    page.evaluate(OPEN_ALL)
    return page


def findings(browser: Browser, folder: Path, width: int, axe: Path) -> tuple[str, Counter]:
    """Prints what axe found.

    Returns:
        the version of axe, and how many elements of each impact.
    """
    page = opened(browser, folder, width)
    page.add_script_tag(path=str(axe))
    found = page.evaluate(RUN_AXE)
    counts: Counter = Counter()
    for kind in ("violations", "incomplete"):
        for rule in found[kind]:
            if kind == "violations":
                counts[rule["impact"]] += len(rule["nodes"])
            print(
                f"width {width}, {kind}: {rule['id']} ({rule['impact']}), {len(rule['nodes'])} elements: {rule['help']}"
            )
            for node in rule["nodes"][:3]:
                print(f"    {node['target'][0]}: {' '.join(node['failureSummary'].split())[:300]}")
    page.close()
    return found["testEngine"]["version"], counts


def first_view(browser: Browser, folder: Path) -> tuple[float, float]:
    """Seconds from the start of the navigation to the load event and to the first contentful paint, medians."""
    times = []
    for _ in range(REPEATS):
        context = browser.new_context(viewport={"width": 1600, "height": 1000})  # without a cache of the last one
        page = context.new_page()
        page.goto((folder / "index.html").resolve().as_uri(), wait_until="load")
        page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
        times.append(page.evaluate(TIMES))
        context.close()
    return median(one["load"] for one in times), median(one["paint"] for one in times)


def main(folder: Path, axe: Path, chromium: str) -> int:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    print(f"{folder}: {size:.1f} MB (bound {FOLDER_MB:g})")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=SOFTWARE_WEBGL)
        load, paint = first_view(browser, folder)
        print(f"load event {load:.2f} s, first contentful paint {paint:.2f} s, medians (bound {FIRST_VIEW_S:g} s)")
        grave = 0
        for width in WIDTHS:
            version, counts = findings(browser, folder, width, axe)
            said = ", ".join(f"{n} {impact}" for impact, n in counts.items()) or "none"
            print(f"axe {version}, Chromium {browser.version}, width {width}: violations: {said}")
            grave += counts["serious"] + counts["critical"]
        browser.close()
    return int(bool(grave) or max(load, paint) > FIRST_VIEW_S or size > FOLDER_MB)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("page", type=Path, metavar="RESULTS/report")
    parser.add_argument("axe", type=Path, metavar="AXE.js")
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    options = parser.parse_args()
    sys.exit(main(options.page, options.axe, options.chromium))
