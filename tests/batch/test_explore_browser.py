"""The page of `medgen explore` in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import sync_playwright

from medgen.batch.explore import Server
from medgen.text.parse import parse
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
        orders: list[dict[str, Any]] = []
        page.on("request", lambda request: orders.append(request.post_data_json["spec"]) if request.url.endswith("/make") else None)
        page.goto(server.url)
        page.wait_for_selector("body[data-made='1'][data-state='ready']")
        said, shown = page.locator("#said"), page.locator("#view")
        first, drawn = said.inner_text(), shown.screenshot()
        assert " s; ventricles: " in first
        page.locator("#ventricles").fill("3")
        page.wait_for_selector("body[data-made='2'][data-state='ready']")
        page.wait_for_timeout(500)
        assert said.inner_text() != first and shown.screenshot() != drawn
        page.locator("#text").fill("12 mm lesion in the right insula")
        page.locator("#read").click()
        page.wait_for_selector("body[data-made='3'][data-state='ready']")
        assert orders[-1] == order("12 mm lesion in the right insula")
        assert [page.locator(f"#{name}").input_value() for name in ("contrast", "side", "place", "size")] == ["", "right", "insula", "12"]
        assert "right insula" in said.inner_text() and "place: insula" in page.locator("#understood").inner_text()
        with page.expect_download() as download:
            page.locator("#save").click()
        assert "SYNTHETIC" in download.value.suggested_filename.upper() or download.value.suggested_filename.endswith((".nii.gz", ".json"))
        page.locator("#size").fill("50")
        page.wait_for_selector("#said.error")
        assert "does not fit" in said.inner_text()
        check_orders(page, orders)
        page.set_viewport_size({"width": 800, "height": 1000})
        assert page.evaluate("document.documentElement.scrollWidth") <= 800
        assert [line for line in troubles if "400 (Bad Request)" not in line] == []  # the browser's own line of the refusal
        browser.close()


def order(text: str) -> dict[str, Any]:
    return parse(text).spec.model_dump(exclude_none=True)


def check_orders(page: Any, orders: list[dict[str, Any]]) -> None:
    """Compare what is sent after words, and after a control, with what was understood. No scan is made."""
    page.route("**/make", lambda route: route.fulfill(status=400, json={"error": "not made"}))
    also = page.locator("#also")

    def sent(act: Callable[[], Any]) -> dict[str, Any]:
        with page.expect_response("**/make"):
            act()
        page.wait_for_selector("body[data-state='ready']")
        return orders[-1]

    def say(text: str) -> dict[str, Any]:
        page.locator("#text").fill(text)
        return sent(page.locator("#read").click)

    two = "two 8 mm bilateral lesions with oedema, a 20 mm stroke in the left thalamus, coronal 3T, left ventricle enlarged"
    told = order(two)
    assert say(two) == told
    assert page.locator("#side").input_value() == "bilateral" and page.locator("#count + output").inner_text() == "2"
    for part in ("plane coronal", "field 3 T", "ventricles: side left", "lesion 1: oedema yes", "lesion 2: kind stroke-like", "diameter 20 mm"):
        assert part in also.inner_text()
    told["lesions"][0] |= {"place": "basal ganglia"}
    assert sent(lambda: page.locator("#place").select_option("basal ganglia")) == told
    told["ventricles"]["factor"] = 1.5
    assert sent(lambda: page.locator("#ventricles").fill("1.5")) == told
    del told["lesions"][0]
    assert sent(lambda: page.locator("#kind").select_option("")) == told
    assert page.locator("#place").input_value() == "thalamus" and "lesion" not in also.inner_text()

    assert say("7 mm midline shift, several lesions, a patient of 60 to 70 years") == order("7 mm midline shift, several lesions, a patient of 60 to 70 years")
    assert page.locator("#toward").input_value() == "" and page.locator("#age + output").inner_text() == "60 to 70 years"
    assert page.locator("#count + output").inner_text() == "3 to 6" and also.inner_text() == ""
    assert sent(lambda: page.locator("#toward").select_option("left"))["midline_shift"] == {"toward": "left", "mm": {"low": 7, "high": 7}}
    assert page.locator("#understood").inner_text() == ""  # it is no longer what is asked for
    assert "midline_shift" not in sent(lambda: page.locator("#shift").fill("0"))
    assert page.locator("#toward").is_disabled()
    page.unroute("**/make")
