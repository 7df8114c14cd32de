"""The page of `medgen explore` in a real browser."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import sync_playwright

from medgen.batch.explore import Server
from tests.batch.test_explore import server  # noqa: F401  the fixture
from tests.batch.test_report_browser import ARGUMENTS
from tests.scans.dicom_lint import need


def test_sliders_and_words_make_scans_in_a_browser(server: Server) -> None:  # noqa: F811
    program = need("chromium", "chromium")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=ARGUMENTS)
        page: Any = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(120_000)
        troubles: list[str] = []
        page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(server.url)
        page.wait_for_selector("body[data-made='1'][data-state='ready']")
        said, shown = page.locator("#said"), page.locator("#view")
        first, drawn = said.inner_text(), shown.screenshot()
        assert " s; ventricles: " in first
        page.locator("#ventricles").fill("3")
        page.wait_for_selector("body[data-made='2'][data-state='ready']")
        page.wait_for_timeout(500)
        assert said.inner_text() != first and shown.screenshot() != drawn
        page.locator("#text").fill("T2, 20 mm lesion in the right parietal lobe")
        page.locator("#read").click()
        page.wait_for_selector("body[data-made='3'][data-state='ready']")
        assert [page.locator(f"#{name}").input_value() for name in ("contrast", "side", "place", "size")] == ["T2", "right", "parietal", "20"]
        assert "lesion: " in said.inner_text()
        with page.expect_download() as download:
            page.locator("#save").click()
        assert "SYNTHETIC" in download.value.suggested_filename.upper() or download.value.suggested_filename.endswith((".nii.gz", ".json"))
        page.locator("#size").fill("50")
        page.locator("#place").select_option("thalamus")
        page.wait_for_selector("#said.error")
        assert "does not fit" in said.inner_text()
        page.set_viewport_size({"width": 800, "height": 1000})
        assert page.evaluate("document.documentElement.scrollWidth") <= 800
        assert [line for line in troubles if "400 (Bad Request)" not in line] == []  # the browser's own line of the refusal
        browser.close()
