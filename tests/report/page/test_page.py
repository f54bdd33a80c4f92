from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bench.base.errors import BenchError
from bench.base.files import write_json
from bench.leaderboard import PaperScore, read_plan
from bench.report.page import page as page_module
from bench.report.page.gallery import BUDGET, read_gallery
from bench.report.page.page import FILE, SECURITY, embedded, write_page
from bench.report.page.views import MOST_ROWS, board_views
from bench.store.folders import COUNTS, HISTORY, RESULT
from bench.tasks.segmentation.counts import Counts, ImageCounts
from tests.report.page import page_run
from tests.report.page.page_run import add_gallery, boards_of, data_of, fill, with_counts, written
from tests.run_builder import RunBuilder

HOSTILE = "</script><script>alert(1)</script>\"'&amp;{{7*7}}\u2028\u2029\u202eأ名😀" + "x" * 160


class Reader(HTMLParser):
    """Collects tags with their attributes, and checks that they are closed in order."""

    VOID = ("meta", "link", "input", "br", "img", "hr")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of every element of a tag."""
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> RunBuilder:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)  # only the making of the run would be slow
        made = RunBuilder(tmp_path_factory.mktemp("page") / "run")
        fill(made, seeds=2)
    add_gallery(made.run.path, [board.title for board in boards_of(made)])
    return made


@pytest.fixture(scope="module")
def text(builder: RunBuilder) -> str:
    return written(builder)


def test_page_is_well_formed_and_has_every_section(text: str) -> None:
    reader = Reader(text)
    assert (reader.unbalanced, reader.open) == ([], [])
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    sections = {"main", "across", "tradeoff", "classes", "images", "gallery", "curves", "failures", "environment"}
    assert sections | {"protocol", "definitions"} <= set(ids)
    linked = {str(a["href"])[1:] for a in reader.all("a") if a.get("href")}
    assert linked <= set(ids)


def test_every_control_has_a_name(text: str) -> None:
    labelled = re.sub(r"<label.*?</label>", "", text[: text.index('<div id="tip"')], flags=re.DOTALL)
    reader = Reader(labelled)
    assert [
        tag for tag, attributes in reader.tags if tag in ("input", "select") and not attributes.get("aria-label")
    ] == []
    buttons = re.findall(r"<button[^>]*>(.*?)</button>", text, flags=re.DOTALL)
    assert buttons
    assert all(re.sub(r"<[^>]+>", "", button).strip() for button in buttons)
    assert all(th.get("scope") in ("col", "row") for th in reader.all("th"))


def test_nothing_is_loaded_from_elsewhere(text: str) -> None:
    reader = Reader(text)
    policy = [meta["content"] for meta in reader.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy == [SECURITY]
    for _, attributes in reader.tags:
        for name in ("src", "href", "srcset", "action", "poster", "data"):
            assert str(attributes.get(name) or "#").startswith(("#", "data:")), attributes
    assert set(re.findall(r"https?://[^\s\"'<]+", text)) == {"http://www.w3.org/2000/svg"}  # a name, never fetched
    assert "url(" not in text.replace("createObjectURL(", "").replace("revokeObjectURL(", "")
    assert "@import" not in text


def test_same_run_gives_the_same_bytes(builder: RunBuilder, text: str) -> None:
    assert written(builder) == text


def test_tables_stand_in_the_page_without_a_script(builder: RunBuilder, text: str) -> None:
    body = text[: text.index('<script type="application/json"')]
    for board in boards_of(builder):
        for row in board.rows:
            assert f">{row.label}</button>" in body
            if row.gain_mean is not None:
                assert f"{100 * row.gain_mean:+.2f}".replace("-", "\N{MINUS SIGN}") in body
    assert "failed: RuntimeError: shapes differ" in body
    assert "python -m bench run quick" in body
    assert ">skipped</span> <b>needs-embedding</b>" in body


def test_data_holds_what_the_boards_hold(builder: RunBuilder, text: str) -> None:
    data: Any = data_of(text)
    boards = boards_of(builder)
    assert [entry["title"] for entry in data] == [board.title for board in boards]
    for entry, board in zip(data, boards, strict=True):
        by_name = {row["name"]: row for row in entry["rows"] if row["kind"] != "teacher"}
        for row in board.rows:
            assert by_name[row.label]["values"]["score"] == row.score_mean
            if row.gain_low is not None:
                assert by_name[row.label]["intervals"]["gain"] == [row.gain_low, row.gain_high]
        assert entry["classes"]["names"] == page_run.CLASSES
        assert len(entry["curves"]["rows"]) == len(page_run.METHODS)


def test_scores_of_classes_are_means_over_the_seeds(builder: RunBuilder, text: str) -> None:
    data: Any = data_of(text)
    board = boards_of(builder)[0]
    cells = board.cells[(board.cells["row"] == "kd") & (board.cells["state"] == "done")]
    line = next(row for row in data[0]["classes"]["rows"] if row["label"] == "kd")
    mean = sum(iou["road"] for iou in cells["per_class"]) / len(cells)
    assert line["score"][page_run.CLASSES.index("road")] == round(100 * mean, 2)


def test_scores_of_images_are_means_over_the_seeds_of_their_own_miou(builder: RunBuilder, text: str) -> None:
    data: Any = data_of(text)
    board = boards_of(builder)[0]
    images = data[0]["images"]
    assert (images["n_images"], images["names"], images["n_methods_left_out"]) == (30, [], 0)
    seeds = []
    for folder in board.cells[(board.cells["row"] == "kd") & (board.cells["state"] == "done")]["folder"]:
        counts = Counts.load(Path(folder) / COUNTS)
        dense = np.zeros((counts.n_images, counts.num_classes, counts.num_classes))
        dense[counts.image, counts.target, counts.prediction] = counts.count
        image = dense[3]
        union = image.sum(0) + image.sum(1) - np.diag(image)
        seeds.append(np.mean(np.diag(image)[union > 0] / union[union > 0]))
    assert images["values"][images["labels"].index("kd")][3] == round(100 * float(np.mean(seeds)), 2)


def test_image_without_a_scored_pixel_has_no_miou() -> None:
    matrices = np.zeros((2, 3, 3), dtype=np.int64)
    matrices[0, 0, 0] = 5
    found = ImageCounts.of(Counts.from_dense(matrices)).miou_by_image()
    assert found[0] == 1.0
    assert np.isnan(found[1])


def test_images_are_named_where_names_are_given(builder: RunBuilder) -> None:
    title = boards_of(builder)[0].title
    names = [f"frankfurt_{place:03d}.png" for place in range(30)]
    data: Any = data_of(written(builder, image_names={title: names}))
    assert data[0]["images"]["names"] == names
    assert data[1]["images"]["names"] == []


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run", dataset="digits", student="</style><b>s", teacher=HOSTILE[:60])
    builder.done("none", 0.5)
    builder.done("evil", 0.6, label=HOSTILE)
    builder.failed("bad", reason="</pre><img src=x onerror=alert(2)>")
    builder.plan()
    page = written(builder)
    reader = Reader(page)
    assert (reader.unbalanced, reader.open) == ([], [])
    assert len(reader.all("script")) == 3
    assert not [name for _, attributes in reader.tags for name in attributes if name.startswith("on")]
    assert reader.all("img") == []
    assert "{{7*7}}" in page
    data: Any = data_of(page)
    assert data[0]["rows"][-2]["name"] == HOSTILE or HOSTILE in [row["name"] for row in data[0]["rows"]]


@given(
    st.recursive(st.none() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_embedded_data_cannot_end_its_element(value: Any) -> None:
    text = str(embedded(value))
    assert not set("<>&\u2028\u2029") & set(text)
    json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))


@pytest.mark.parametrize("scripts", [page_module._SCRIPTS])
def test_scripts_do_not_parse_names_as_markup(scripts: tuple[str, ...]) -> None:
    source = str(page_module._source(*(f"page_{name}.js" for name in scripts)))
    for unsafe in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch(", "</script"):
        assert unsafe not in source


def test_run_without_any_cell_gives_a_page(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    builder.run.path.mkdir()
    builder.plan()
    page = written(builder)
    assert "The run has no cell yet." in page
    assert "No cell has finished" in page
    assert data_of(page) == []


def test_run_without_a_finished_cell_shows_why(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    builder.failed("none", status="failed", reason="out of memory")
    builder.plan(more=[builder.cell("kd")])
    page = written(builder)
    assert "No cell has finished" in page
    assert "failed: out of memory" in page
    assert ">kd</button>" in page


def test_warnings_stand_on_top(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    builder.done("kd", 0.5, stale=True)
    record = builder.done("cwd", 0.6).path / RESULT
    record.write_text(record.read_text().replace("0.6", "0.9"))
    head = written(builder).split("<main", maxsplit=1)[0]
    assert "no baseline: gains cannot be told" in head
    assert "cannot be trusted and are left out of every score: 1" in head
    assert "accepted as they are: 1" in head


def test_problems_of_the_report_are_told(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    builder.done("none", 0.5)
    assert "plan.json &lt;is&gt; odd" in written(builder, problems=["plan.json <is> odd"])


def test_failure_tells_iteration_terms_and_the_end_of_its_traceback(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    folder = builder.failed("kd")
    record = json.loads((folder.path / "failure.json").read_text())
    trace = "Traceback <begin>\n" + "line\n" * 4000 + "ValueError: <the end>"
    write_json(folder.path / "failure.json", {**record, "terms": {"ce": 1.25, "kd": None}, "traceback": trace})
    page = written(builder)
    assert "ce = 1.25, kd = not finite" in page
    assert "<dt>Iteration</dt><dd>17</dd>" in page
    assert "ValueError: &lt;the end&gt;</pre>" in page
    assert "&lt;begin&gt;" not in page


def test_protocols_of_one_dataset_are_compared(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    builder.done("none", 0.5)
    builder.done("none", 0.5, crop=128)
    page = written(builder)
    differences = page[page.index("Where the protocols of this dataset differ") :]
    row = differences[differences.index("<tbody>") : differences.index("</tbody>")]
    assert row.count("<tr>") == 1
    assert "recipe.crop" in row
    assert "<td>64</td><td>128</td>" in row or "<td>128</td><td>64</td>" in row


def test_broken_files_cost_only_their_view(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    with_counts(builder.done("none", 0.5), 0.5, 0)
    folder = builder.done("kd", 0.6)
    (folder.path / COUNTS).write_bytes(b"PK\x03\x04 no archive")  # of a result that lists no counts
    (folder.path / HISTORY).write_text("{")
    page = written(builder)
    data: Any = data_of(page)
    assert "counts.npz of 1 cells cannot be read" in page
    assert [row["label"] for row in data[0]["curves"]["rows"]] == ["none"]
    assert data[0]["images"]["labels"] == ["none"]


def test_page_that_cannot_be_written_is_the_users_to_mend(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    builder.done("none", 0.5)
    (builder.run.path / FILE).mkdir()
    with pytest.raises(BenchError, match="cannot write to"):
        write_page(builder.run.path, read_plan(builder.run), boards_of(builder))
    assert [path.name for path in builder.run.path.iterdir() if path.name.endswith(".tmp")] == []


def test_gallery_is_embedded(builder: RunBuilder, text: str) -> None:
    gallery: Any = data_of(text, "gallery-data")
    assert [board["board"] for board in gallery["boards"]] == [board.title for board in boards_of(builder)]
    image = gallery["boards"][0]["images"][0]
    assert [panel["label"] for panel in image["panels"]][:3] == ["image", "truth", "teacher"]
    assert all(gallery["pictures"][panel["file"]].startswith("data:image/") for panel in image["panels"])
    assert image["panels"][0]["error"] is None
    assert image["panels"][2]["error"] is not None
    assert [entry["name"] for entry in gallery["boards"][0]["legend"]] == page_run.CLASSES
    assert "digits: one method has no weights" in text


def test_absent_gallery_is_no_problem(tmp_path: Path) -> None:
    assert read_gallery(tmp_path, {}) is None


@pytest.mark.parametrize(
    "index", ["{", "[]", '{"schema": 2, "boards": []}', '{"schema": 1}', '{"schema": 1, "boards": [3]}']
)
def test_broken_gallery_is_told(tmp_path: Path, index: str) -> None:
    (tmp_path / "gallery").mkdir()
    (tmp_path / "gallery" / "gallery.json").write_text(index)
    gallery = read_gallery(tmp_path, {})
    assert gallery is not None
    assert gallery.boards == []
    assert len(gallery.problems) == 1


def test_gallery_takes_pictures_from_its_own_folder_only(tmp_path: Path) -> None:
    (tmp_path / "gallery").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "gallery" / "own.png")
    (tmp_path / "gallery" / "broken.png").write_bytes(b"\x89PNG no picture")
    names = ["own.png", "../secret.png", str(tmp_path / "secret.png"), "broken.png", "absent.png", "x" * 5000, "a\0b"]
    panels = [{"label": str(place), "file": name, "error": None} for place, name in enumerate(names)]
    boards = [{"board": "b", "images": [{"name": "i", "panels": panels}]}]
    write_json(tmp_path / "gallery" / "gallery.json", {"schema": 1, "boards": boards, "legend": []})
    gallery = read_gallery(tmp_path, {})
    assert gallery is not None
    assert [panel["label"] for panel in gallery.boards[0]["images"][0]["panels"]] == ["0"]
    assert gallery.problems == ["pictures that are missing or cannot be read: 6"]


def test_large_pictures_are_shrunk_until_all_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.report.page.gallery.BUDGET", 60_000)
    monkeypatch.setattr("bench.report.page.gallery.MOST_PICTURES", 20)
    add_gallery(tmp_path, ["a", "b"], methods=["none", "kd"], n_images=4, side=240)
    gallery = read_gallery(tmp_path, {})
    assert gallery is not None
    assert 0 < sum(len(picture) * 3 // 4 for picture in gallery.pictures) <= 60_000
    assert {len(board["images"]) for board in gallery.boards} == {1}
    assert any("6 of 8" in problem for problem in gallery.problems)
    assert any("compressed again" in problem for problem in gallery.problems)


def test_hundred_cells_with_a_gallery_stay_below_15_mb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    builder = RunBuilder(tmp_path / "run")
    methods = ["none", *(f"method{place}" for place in range(24))]
    for place, method in enumerate(methods):
        for seed in range(4):
            with_counts(builder.done(method, 0.5 + 0.002 * place, seed), 0.5, place, n_images=50)
    builder.plan()
    # noise is what compresses worst: one picture stands for all, as files of a name each
    add_gallery(builder.run.path, [boards_of(builder)[0].title], methods, n_images=3, side=48)
    buffer = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 255, (360, 640, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG", quality=92)
    assert buffer.tell() > 200_000
    pictures = list((builder.run.path / "gallery").glob("*.png"))
    for path in pictures:
        path.write_bytes(buffer.getvalue())
    assert len(pictures) * buffer.tell() > 3 * BUDGET
    page = written(builder)
    assert 2_000_000 < len(page.encode()) < 15_000_000
    assert "compressed again" in page


def test_five_thousand_cells_take_seconds_and_tell_what_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = RunBuilder(tmp_path / "run")
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    for method in ("none", "kd"):
        builder.done(method, 0.5)
    builder.plan(more=[builder.cell(f"method{place}") for place in range(4998)])
    boards = boards_of(builder)
    start = time.process_time()
    path = write_page(builder.run.path, read_plan(builder.run), boards)
    assert time.process_time() - start < 15  # on a loaded machine
    page = path.read_text()
    assert path.stat().st_size < 5_000_000
    assert f"Rows of long tables: {5000 - MOST_ROWS} are left out" in page
    assert "<b>4998</b> planned" in page


def test_many_boards_are_limited_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    builder = RunBuilder(tmp_path / "run")
    for place in range(70):
        builder.done("none", 0.5, student=f"s{place}")
    page = written(builder)
    assert len(data_of(page)) == 60  # type: ignore[arg-type]
    assert "the first 60 of 70" in page


def test_published_values_tell_their_source(builder: RunBuilder) -> None:
    from dataclasses import replace

    boards = boards_of(builder)
    value = PaperScore(0.7137, "mIoU", "A Paper <2020>", "table 3", "with 40k steps", gap=-0.051)
    rows = tuple(replace(row, published=(value,)) if row.label == "kd" else row for row in boards[0].rows)
    path = write_page(builder.run.path, read_plan(builder.run), [replace(boards[0], rows=rows), *boards[1:]])
    page = path.read_text(encoding="utf-8")
    table = page[page.index("<h4>Published values</h4>") :].split("</table>")[0]
    for shown in ("kd", "71.37", "\N{MINUS SIGN}5.10", "A Paper &lt;2020&gt;", "table 3", "with 40k steps"):
        assert shown in table


def test_page_does_not_import_torch(tmp_path: Path) -> None:
    code = "import sys, bench.report.page.page\nassert not {'torch', 'matplotlib.pyplot'} & set(sys.modules)"
    root = Path(__file__).resolve().parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_long_intervals_do_not_squeeze_the_means_together(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    for method, mious in {"none": (0.50, 0.51), "kd": (0.40, 0.70), "cwd": (0.56, 0.57)}.items():
        for seed, miou in enumerate(mious):
            builder.done(method, miou, seed)
    view = board_views(boards_of(builder))[0]
    bars = {row.label: row.cells[0].bar for row in view.rows if row.kind != "teacher"}
    places = {label: bar.point for label, bar in bars.items() if bar}
    assert places["none"] < places["kd"] < places["cwd"]
    assert places["cwd"] - places["none"] > 30
    kd = bars["kd"]
    assert kd
    assert (kd.left, kd.width) == (0.0, 100.0)  # 55 ± 190 points


def test_tiers_are_shown_only_where_there_are_two(builder: RunBuilder, tmp_path: Path) -> None:
    alone = RunBuilder(tmp_path / "run")
    alone.done("none", 0.5)
    alone.done("kd", 0.6)
    assert {row.tier for row in boards_of(alone)[0].rows} == {1}
    assert 'class="tier' not in written(alone)
    for board in boards_of(builder):
        shown = {row.label: row.tier for row in board_views([board])[0].rows if row.kind != "teacher"}
        several = len({row.tier for row in board.rows} - {None}) > 1
        assert shown == {row.label: str(row.tier) if several and row.tier else "" for row in board.rows}
