"""The page of a report in a real browser, from a file, with no network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from tests.batch.report_folder import BUNDLE, NAMES, fill
from tests.scans.dicom_lint import need
from tests.test_cli import call

#: WebGL 2 on the processor; as root, Chromium has no sandbox.
ARGUMENTS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The opened page, `page.troubles` of its console, and `page.asked`, what it loaded."""
    program = need("chromium", "chromium")
    folder = fill(tmp_path_factory.mktemp("browser"))
    assert call("report", folder / "out", "--before", folder / "scans", "--reference", folder / "clean", "--viewer", 2)[0] == 0
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 800, "height": 900})
        page.set_default_timeout(60_000)  # a busy machine draws slowly
        page.troubles, page.asked = [], []
        page.on("console", lambda said: page.troubles.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: page.troubles.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto((folder / "out/report.html").as_uri())
        page.locator("#viewer").scroll_into_view_if_needed()
        page.wait_for_selector("#viewer[data-ready='0']")
        yield page
        browser.close()


@pytest.fixture(autouse=True)
def quiet(page: Any) -> Iterator[None]:
    yield
    assert page.troubles == []
    assert all(url.startswith(("file:", "data:", "blob:")) for url in page.asked) and len([u for u in page.asked if u[:5] == "file:"]) == 1


def place(page: Any) -> str:
    return str(page.locator("#viewer-place").inner_text())


def point(page: Any, side: int, across: float, down: float) -> None:
    """Put the pointer over a view, at fractions of its width and height."""
    box = page.locator("#viewer canvas").nth(side).bounding_box()
    page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])


def pixels(page: Any, side: int) -> bytes:
    return bytes(page.locator("#viewer canvas").nth(side).screenshot())


def until(page: Any, true: Callable[[], bool]) -> None:
    """Wait until something is true. The page's policy forbids the browser to be asked so (it is an eval)."""
    for _ in range(300):
        if true():
            return
        page.wait_for_timeout(100)
    raise TimeoutError("waited in vain")


def changed(page: Any, before: str) -> str:
    until(page, lambda: place(page) != before)
    return place(page)


def test_the_wheel_scrolls_through_slices_in_both_views(page: Any) -> None:
    before, drawn, scrolled = place(page), [pixels(page, side) for side in (0, 1)], page.evaluate("scrollY")
    point(page, 0, 0.3, 0.75)
    page.mouse.wheel(0, 100)
    after = changed(page, before)
    moved = [word for word, other in zip(before.split(", "), after.split(", ")) if word != other]
    assert len(moved) == 1 and moved[0].startswith("S ")  # over the axial plane
    assert all(pixels(page, side) != drawn[side] for side in (0, 1))
    assert page.evaluate("scrollY") == scrolled
    page.mouse.wheel(0, -100)
    assert changed(page, after) == before


def test_keys_move_through_the_volume(page: Any) -> None:
    before = place(page)
    page.locator("#viewer canvas").nth(1).focus()
    page.keyboard.press("ArrowRight")
    after = changed(page, before)
    assert after.split(", ")[1:] == before.split(", ")[1:]


def test_layers_cases_and_views_are_chosen(page: Any) -> None:
    values = page.locator(".viewer-value")
    drawn = pixels(page, 0)
    assert float(values.nth(0).inner_text()) != float(values.nth(1).inner_text())
    page.select_option("select[data-side='0']", "uncertainty")
    until(page, lambda: values.nth(0).inner_text() == "8")
    assert pixels(page, 0) != drawn
    page.select_option("#viewer-view", "4")
    page.select_option("#viewer-view", "3")
    page.select_option("#viewer-case", "1")
    page.wait_for_selector("#viewer[data-ready='1']")
    page.select_option("select[data-side='1']", "reference")
    until(page, lambda: float(values.nth(1).inner_text()) > 100)


def test_tables_sort_by_numbers_and_back(page: Any) -> None:
    heading = page.locator("#cases th", has_text="psnr")

    def cases() -> list[str]:
        return [name.split("_")[0] for name in page.locator("#cases tbody th a").all_inner_texts()]

    assert cases() == list(NAMES)
    heading.locator("button").focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending" and cases() == list(NAMES)  # the level rises, and with it the range
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending" and cases() == list(NAMES[::-1])


@pytest.mark.parametrize("width", [1400, 800, 400])
def test_nothing_is_wider_than_the_page(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    images = page.locator(f"#case-{NAMES[0]}_{BUNDLE} img")
    assert images.count() == 6 and images.first.bounding_box()["width"] > 100 * min(1, width / 800)
    page.set_viewport_size({"width": 800, "height": 900})
