"""The page in a browser, as a reader uses it; skipped where Playwright or a Chromium is absent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.report.page.page import FILE
from tests.depth_run import depth_run, with_errors
from tests.report.page.page_run import METHODS, add_gallery, boards_of, fill, written
from tests.run_builder import RunBuilder

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright for Python is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
BOARD = ".board:not([hidden])"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        builder = RunBuilder(tmp_path_factory.mktemp("browser") / "run")
        fill(builder, seeds=2)
        add_gallery(builder.run.path, [board.title for board in boards_of(builder)])
        written(builder)
    return builder.run.path / FILE


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


class Visit:
    """A page with everything that it said and asked for."""

    def __init__(self, context: Any, path: Path) -> None:
        self.page = context.new_page()
        self.page.set_default_timeout(15_000)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def labels(self) -> list[str]:
        """Return the methods of the shown leaderboard, in their order, without hidden rows."""
        return self.page.eval_on_selector_all(
            f"{BOARD} .leaderboard tbody tr:not([hidden]) .pick-row", "nodes => nodes.map(node => node.textContent)"
        )

    def cells(self, column: str) -> list[str]:
        """Return the raw values of a column of the shown leaderboard."""
        return self.page.eval_on_selector_all(
            f"{BOARD} .leaderboard tbody td[data-col={column}]", "nodes => nodes.map(node => node.dataset.v)"
        )

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.fixture
def visit(browser: Any, report: Path) -> Iterator[Visit]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    visited = Visit(context, report)
    yield visited
    context.close()
    assert visited.said == []
    assert [url for url in visited.asked if not url.startswith("data:")] == [report.as_uri()]


def test_a_press_on_a_header_sorts_and_a_third_restores_the_order(visit: Visit) -> None:
    before = visit.labels()
    header = visit.page.locator(f"{BOARD} th[data-col=cost]")
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    costs = [float(value) for value in visit.cells("cost") if value]
    assert costs == sorted(costs, reverse=True)
    assert visit.cells("cost")[-3:] == ["", "", ""]  # rows without a value stay last
    assert visit.labels()[0] == "teacher big"  # which is not ranked
    header.locator("button").press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    costs = [float(value) for value in visit.cells("cost") if value]
    assert costs == sorted(costs)
    assert visit.cells("cost")[-3:] == ["", "", ""]
    header.locator("button").press("Enter")
    assert header.get_attribute("aria-sort") == "none"
    assert visit.labels() == before


def test_filter_leaves_the_rows_that_hold_the_words(visit: Visit) -> None:
    field = visit.page.locator(f"{BOARD} .filter")
    field.fill("DKD")
    assert visit.labels() == ["dkd"]
    assert "1 of" in visit.page.locator(f"{BOARD} .found").inner_text()
    field.fill("diverged finite")
    assert visit.labels() == ["diverging"]
    visit.page.locator(f"{BOARD} .reset").click()
    assert len(visit.labels()) == len(METHODS) + 4


def test_columns_can_be_chosen(visit: Visit) -> None:
    flops = visit.page.locator(f"{BOARD} th[data-col=flops]")
    assert not flops.is_visible()
    visit.page.locator(f"{BOARD} .menu summary").click()
    visit.page.locator(f"{BOARD} [data-toggle=flops]").check()
    visit.page.locator(f"{BOARD} [data-toggle=macc]").uncheck()
    assert flops.is_visible()
    assert not visit.page.locator(f"{BOARD} th[data-col=macc]").is_visible()
    visit.page.keyboard.press("Escape")
    assert not visit.page.locator(f"{BOARD} .menu fieldset").is_visible()


def test_definitions_show_by_hover_and_by_keyboard_focus(visit: Visit) -> None:
    tip = visit.page.locator("#tip")
    button = visit.page.locator(f"{BOARD} th[data-col=miou] button")
    button.hover()
    assert "TP / (TP + FP + FN)" in tip.inner_text()
    visit.page.mouse.move(5, 5)
    assert not tip.is_visible()
    visit.page.locator(f"{BOARD} thead th[data-col=method] button").focus()
    visit.page.keyboard.press("Tab")
    assert "TP / (TP + FP + FN)" in tip.inner_text()
    assert button.get_attribute("aria-describedby") == "tip"
    visit.page.keyboard.press("Escape")
    assert not tip.is_visible()


def test_method_tells_all_its_numbers_on_focus(visit: Visit) -> None:
    visit.page.locator(f"{BOARD} .pick-row", has_text="cirkd").focus()
    text = visit.page.locator("#tip").inner_text()
    assert "Gain (points)" in text
    assert "Cost" in text


def test_another_table_changes_every_view(visit: Visit) -> None:
    point = visit.page.locator("#scatter .point[data-name=kd]").get_attribute("aria-label")
    title = visit.page.locator(f"{BOARD} h3").inner_text()
    first = visit.page.locator("#class-table").inner_text()
    visit.page.locator("#board").select_option("1")
    assert visit.page.locator(BOARD).count() == 1
    assert visit.page.locator(f"{BOARD} h3").inner_text() != title
    assert visit.page.locator("#scatter .point[data-name=kd]").get_attribute("aria-label") != point
    assert visit.page.locator("#class-table").inner_text() != first


def test_axes_of_the_scatter_plot_change(visit: Visit) -> None:
    place = "nodes => nodes.map(node => node.getAttribute('cx'))"
    before = visit.page.eval_on_selector_all("#scatter circle.point", place)
    visit.page.locator("#axis-log").check()
    assert visit.page.eval_on_selector_all("#scatter circle.point", place) != before
    visit.page.locator("#axis-x").select_option("fps")
    assert "FPS" in visit.page.locator("#scatter svg").get_attribute("aria-label")
    assert visit.page.locator("#scatter path.teacher").count() == 1  # which has an FPS, but no cost
    visit.page.locator("#axis-y").select_option("gain")
    assert visit.page.locator("#scatter rect.baseline").get_attribute("aria-label").startswith("none: Gain")
    assert visit.page.locator("#scatter line.error").count() > 0
    visit.page.locator("#axis-all").check()
    assert visit.page.locator("#scatter .point.other").count() == len(METHODS)


def test_point_of_the_scatter_plot_tells_and_marks_its_row(visit: Visit) -> None:
    point = visit.page.locator("#scatter .point[data-name=mgd]")
    point.focus()
    assert "mgd" in visit.page.locator("#tip").inner_text()
    visit.page.keyboard.press("Enter")
    chosen = visit.page.locator(f"{BOARD} tr.chosen")
    assert chosen.locator(".pick-row").inner_text() == "mgd"
    assert chosen.is_visible()


def test_pareto_front_holds_what_nothing_beats(visit: Visit) -> None:
    found = visit.page.evaluate(
        """() => {
          const points = [[1, 30], [2, 29], [3, 40], [3, 39], [4, 40], [5, 50]];
          const made = points.map(([x, y]) => ({ x, y, row: { kind: "method" } }));
          return [paretoFront([...made], "low"), paretoFront([...made], "high")].map((f) => f.map((p) => [p.x, p.y]));
        }"""
    )
    assert found == [[[1, 30], [3, 40], [5, 50]], [[5, 50]]]


@pytest.fixture
def of_errors(browser: Any, tmp_path: Path) -> Iterator[Visit]:
    made = depth_run(tmp_path / "run")
    images = np.linspace(0.2, 0.4, 12)
    for method, error, cost in (("none", 0.5, 10.0), ("kd", 0.4, 12.0), ("cwd", 0.6, 15.0), ("mgd", 0.35, 30.0)):
        with_errors(made.done(method, error, train_s=cost), error * images)
    visited = Visit(browser, written_page(made))
    yield visited
    visited.page.close()
    assert visited.said == []


def written_page(builder: RunBuilder) -> Path:
    builder.plan()
    written(builder)
    return builder.run.path / FILE


def test_an_error_is_shown_in_its_unit_and_the_front_holds_the_lowest(of_errors: Visit) -> None:
    page = of_errors.page
    assert page.locator("#axis-y option").all_inner_texts() == ["RMSE (m), lower is better", "Gain over none (m)"]
    on_front = page.eval_on_selector_all(".on-front[data-name]", "nodes => nodes.map(node => node.dataset.name)")
    assert sorted(on_front) == ["kd", "mgd", "none"]
    page.locator("#axis-y").select_option("gain")
    on_front = page.eval_on_selector_all(".on-front[data-name]", "nodes => nodes.map(node => node.dataset.name)")
    assert sorted(on_front) == ["kd", "mgd", "none"]


def test_classes_and_images_of_an_error_are_better_where_it_is_lower(of_errors: Visit) -> None:
    page = of_errors.page
    assert page.locator("#class-what option").all_inner_texts() == ["RMSE (m)", "Gain over none (m)"]
    assert "The bluer, the lower." in page.locator("#class-table").inner_text()
    page.locator("#image-a").select_option("kd")
    text = page.locator("#image-view").inner_text()
    assert "kd is better on 12 images, worse on 0" in text
    assert "RMSE of each image, none minus kd, in m, from the most improved to the worst" in text
    page.locator("#image-a").select_option("cwd")
    assert "cwd is better on 0 images, worse on 12" in page.locator("#image-view").inner_text()
    assert page.locator("#curve-view figure").first.locator("svg").get_attribute("aria-label") == (
        "none: RMSE over 900 iterations, 0.500 m at the end"
    )


def test_classes_show_gains_and_sort(visit: Visit) -> None:
    visit.page.locator("#class-what").select_option("gain")
    table = visit.page.locator("#class-table table")
    assert "none" not in table.locator("thead").inner_text().split()
    table.locator("thead button", has_text="cirkd").click()
    values = table.evaluate("node => [...node.tBodies[0].rows].map(row => Number(row.cells[1].dataset.v))")
    assert values == sorted(values, reverse=True)
    visit.page.locator("#class-filter").fill("traffic")
    assert table.locator("tbody tr:visible").count() == 1


def test_images_are_compared_and_read_with_the_arrow_keys(visit: Visit) -> None:
    visit.page.locator("#image-a").select_option("kd")
    visit.page.locator("#image-b").select_option("cirkd")
    assert "kd is better on" in visit.page.locator("#image-view").inner_text()
    visit.page.locator("#image-view svg").focus()
    visit.page.keyboard.press("End")
    last = visit.page.locator("#tip").inner_text()
    assert "30 of 30" in last
    visit.page.keyboard.press("ArrowLeft")
    assert "29 of 30" in visit.page.locator("#tip").inner_text()
    worst = visit.page.locator("#image-view .two > div").nth(1).locator("tbody th").first.inner_text()
    assert worst in last


def test_gallery_slides_between_two_panels_and_shows_errors(visit: Visit) -> None:
    visit.page.locator("#gallery").scroll_into_view_if_needed()
    left = visit.page.locator("#compare img").nth(1)
    assert "50%" in left.evaluate("node => node.style.clipPath")
    slider = visit.page.locator("#gallery-slider")
    slider.focus()
    for _ in range(5):
        visit.page.keyboard.press("ArrowRight")
    assert "45%" in left.evaluate("node => node.style.clipPath")
    visit.page.locator("#panel-left").select_option("truth")
    assert visit.page.locator("#compare .name.left").inner_text() == "ground truth"
    before = visit.page.locator("#compare img").first.get_attribute("src")
    visit.page.locator("#gallery-errors").check()
    assert visit.page.locator("#compare img").first.get_attribute("src") != before
    visit.page.locator(".thumb").nth(1).click()
    assert visit.page.locator(".thumb[aria-pressed=true]").count() == 1
    assert "val_0001.png" in visit.page.locator("#stage h4").inner_text()
    assert visit.page.locator("#compare img").first.evaluate("node => node.complete && node.naturalWidth > 0")


def test_every_method_has_a_training_curve(visit: Visit) -> None:
    assert visit.page.locator("#curve-view figure").count() == len(METHODS)


def test_dark_mode_follows_the_system_and_the_button(browser: Any, report: Path) -> None:
    context = browser.new_context(color_scheme="dark")
    visited = Visit(context, report)
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = visited.page.evaluate(paper)
    button = visited.page.locator("#theme")
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert visited.page.evaluate(paper) != dark
    assert button.get_attribute("aria-pressed") == "false"
    visited.page.reload()
    assert visited.page.evaluate(paper) != dark  # the choice is kept
    assert visited.said == []
    context.close()


@pytest.mark.parametrize("width", [375, 768])
def test_narrow_screens_need_no_sideways_scrolling(browser: Any, report: Path, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 700})
    visited = Visit(context, report)
    visited.page.evaluate("document.querySelectorAll('details').forEach(node => { node.open = true; })")
    assert visited.overflow() == 0
    assert visited.page.locator("#scatter svg").bounding_box()["width"] <= width
    assert visited.said == []
    context.close()


def test_tables_can_be_read_without_javascript(browser: Any, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator(".board").count() == 2
    assert page.locator(".board").nth(1).is_visible()
    assert page.locator("th[data-col=flops]").first.is_visible()
    assert not page.locator("#scatter").is_visible()
    assert "JavaScript is off" in page.locator("body").inner_text()
    context.close()


def test_skip_link_is_the_first_stop(visit: Visit) -> None:
    visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.className") == "skip"
    visit.page.keyboard.press("Enter")
    visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("Boolean(document.activeElement.closest('main'))")


def test_shown_rows_can_be_saved(visit: Visit, tmp_path: Path) -> None:
    visit.page.locator(f"{BOARD} .filter").fill("cirkd")
    with visit.page.expect_download() as saving:
        visit.page.locator(f"{BOARD} .save").click()
    saving.value.save_as(tmp_path / "saved.csv")
    lines = (tmp_path / "saved.csv").read_text().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith('"Method","mIoU (%)","Gain (points)"')
    assert lines[1].startswith('"cirkd","0.')
    visit.asked = [url for url in visit.asked if not url.startswith("blob:")]


def test_hostile_names_run_nothing(browser: Any, tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run", student="<img src=x onerror=alert(1)>")
    builder.done("none", 0.5)
    builder.done("evil", 0.6, label="</script><script>alert(2)</script>" + "\u202e名" * 80)
    builder.failed("bad", reason="<svg onload=alert(3)>")
    written(builder)
    context = browser.new_context(viewport={"width": 375, "height": 700})
    visited = Visit(context, builder.run.path / FILE)
    visited.page.on("dialog", lambda dialog: visited.said.append(dialog.message))
    visited.page.locator(f"{BOARD} .pick-row").nth(1).hover()
    visited.page.locator("#scatter .point").first.focus()
    visited.page.locator("#class-table td").first.hover()
    assert visited.page.locator("main img").count() == 0
    assert visited.said == []
    assert visited.overflow() == 0
    context.close()


def test_empty_run_opens_without_an_error(browser: Any, tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    builder.run.path.mkdir()
    builder.plan()
    written(builder)
    context = browser.new_context()
    visited = Visit(context, builder.run.path / FILE)
    assert "The run has no cell yet." in visited.page.locator("main").inner_text()
    assert visited.said == []
    context.close()


def test_run_without_a_score_opens_without_an_error(browser: Any, tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    builder.failed("none")
    builder.plan(more=[builder.cell("kd")])
    written(builder)
    context = browser.new_context()
    visited = Visit(context, builder.run.path / FILE)
    assert "there is nothing to plot" in visited.page.locator("#scatter").inner_text()
    assert visited.said == []
    context.close()


def test_tip_of_a_focused_element_goes_along_when_the_page_scrolls(visit: Visit) -> None:
    point = visit.page.locator("#scatter .point[data-name=mgd]")
    point.focus()
    visit.page.evaluate("window.scrollBy({ top: 40, behavior: 'instant' })")
    visit.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    tip = visit.page.locator("#tip")
    assert "mgd" in tip.inner_text()
    box, area = tip.bounding_box(), point.bounding_box()
    assert min(abs(box["y"] - area["y"] - area["height"]), abs(area["y"] - box["y"] - box["height"])) < 12
