"""The page in headless Chromium, from the disk: nothing fails or leaves the page, volumes are shown and switched."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager

import numpy as np
import pytest
from pivm.report.page import niivue
from pivm.report.page.build import write_page

from benchmarks.browser import SOFTWARE_WEBGL
from tests.unit.test_page import CHROMIUM, HOSTILE, a_run, results  # noqa: F401

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (pip install playwright)")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)")

#: a busy machine draws in software, which takes its time
WAIT_MS = 120_000


@contextmanager
def opened(folder, arguments=SOFTWARE_WEBGL, width=1600):
    """The page, with what its console and its requests say."""
    said, asked = [], []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_page(viewport={"width": width, "height": 1000})
        page.set_default_timeout(WAIT_MS)
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"file://{folder}/index.html")
        page.wait_for_selector("#cite *", timeout=WAIT_MS)
        yield page
        browser.close()
    assert not said, said
    outside = [url for url in asked if not url.startswith((f"file://{folder}/", "data:", "blob:"))]
    assert not outside, outside


@pytest.mark.parametrize("width", [1600, 400])
def test_the_page_opens_and_hostile_names_stay_text(results, tmp_path, width):  # noqa: F811
    write_page(a_run(results), tmp_path / "page")
    with opened(tmp_path / "page", width=width) as page:
        assert page.evaluate("window.broken") is None
        button = page.locator("#patients button", has_text=HOSTILE)
        button.click()
        page.wait_for_selector("#patients h3")
        assert page.inner_text("#patients h3") == f"Patient {HOSTILE}"
        assert "liver" in page.inner_text("#patients")
        assert page.locator("#slices canvas[role=img]").count() >= 5
        assert "was not installed" in page.inner_text("#volumes")
        assert "manifest.json is not there" in page.inner_text("#provenance")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("img:not([alt])").count() == 0
        assert page.locator(".thumbs button").count() > 1
        assert page.evaluate(
            "[...document.querySelectorAll('.thumbs button')].every(b => b.ariaLabel.includes(b.textContent))"
        )
        assert page.locator("th:empty").count() == 0


def test_without_webgl_pictures_stand_in_place_of_the_viewer(results, tmp_path):  # noqa: F811
    viewer = tmp_path / "niivue.js"
    viewer.write_text("throw new Error('never read');")
    write_page(a_run(results), tmp_path / "page", viewer)
    with opened(tmp_path / "page", ["--no-sandbox", "--disable-gpu", "--disable-3d-apis"]) as page:
        assert "no WebGL 2" in page.inner_text("#volumes")


def pixels(page, side: int) -> np.ndarray:
    """What a side of the viewer shows, uint8 [H, W, 4], read in the frame that draws it."""
    read = """side => { const nv = pivm.viewers[side]; nv.drawScene(); const gl = nv.gl;
        const all = new Uint8Array(4 * gl.drawingBufferWidth * gl.drawingBufferHeight);
        gl.readPixels(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight, gl.RGBA, gl.UNSIGNED_BYTE, all);
        return [gl.drawingBufferHeight, gl.drawingBufferWidth, Array.from(all)]; }"""
    height, width, values = page.evaluate(read, side)
    return np.array(values, np.uint8).reshape(height, width, 4)


def ready(page) -> None:
    try:
        page.wait_for_function("typeof pivm !== 'undefined' && pivm.viewers")
        page.wait_for_selector("#viewer[aria-busy=false]")
    except playwright.TimeoutError:
        pytest.skip(f"this machine does not draw volumes in software within {WAIT_MS // 1000} s")


def control(page, name: str):
    """The control of a label; the text of a label holds that of its options, too."""
    return page.locator("#volumes label").filter(has_text=re.compile(f"^{name}")).locator("select, input")


def differs(page, side: int, before: np.ndarray, least: int = 20) -> bool:
    """Whether a side of the viewer comes to show something else."""
    end = time.monotonic() + WAIT_MS / 1000
    while time.monotonic() < end:
        if np.abs(pixels(page, side).astype(int) - before).max() > least:
            return True
        page.wait_for_timeout(300)
    return False


@pytest.mark.skipif(niivue.find_viewer() is None, reason="NiiVue is not installed (python -m pivm.report.page.niivue)")
def test_the_viewer_shows_two_volumes_that_its_controls_change(results, tmp_path):  # noqa: F811
    write_page(a_run(results), tmp_path / "page", niivue.find_viewer())
    with opened(tmp_path / "page", width=900) as page:
        page.locator("#volumes").scroll_into_view_if_needed()
        ready(page)
        left, right = pixels(page, 0), pixels(page, 1)
        assert differs(page, 0, np.zeros_like(left), 60)
        assert differs(page, 1, left)
        control(page, "Right").select_option(label="CDDPM")
        ready(page)
        assert differs(page, 1, right)
        for name, change in (
            ("Strength of the labels", lambda box: box.fill("1")),
            ("Window", lambda box: box.select_option("bone")),
            ("Height of the axial slice", lambda box: box.fill("0.05")),
            ("View", lambda box: box.select_option("0")),
        ):
            before = [pixels(page, side) for side in (0, 1)]
            change(control(page, name))
            for side in (0, 1):
                assert differs(page, side, before[side]), (name, side)
