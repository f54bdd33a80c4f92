"""``report.html``: one file that holds the whole report and needs nothing else, neither files nor a network."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench import __version__
from bench.base.errors import BenchError
from bench.base.files import write_problem, write_text
from bench.base.text import one_line
from bench.leaderboard import Board, RecordedPlan, across_pairs
from bench.matrix.baseline import BASELINE
from bench.report.figures.measured import Curves, finished, read_curves
from bench.report.lines import on_pair
from bench.report.page.data import script_data
from bench.report.page.definitions import definitions
from bench.report.page.gallery import read_gallery
from bench.report.page.images import MOST_IMAGES, ImageReader
from bench.report.page.records import all_cells, environments, failures, protocols
from bench.report.page.views import board_views, published_lines
from bench.report.values import difference, within

__all__ = ["FILE", "write_page"]

FILE = "report.html"
SECURITY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""The page may load nothing: it works from a file and tells nobody that it was opened."""
MOST_ACROSS = 10
_SCRIPTS = ("core", "table", "scatter", "classes", "images", "gallery", "curves", "start")
_STATES = ("done", "stale", "planned", "interrupted", "failed", "diverged", "corrupt", "skipped")


def write_page(
    run_folder: Path,
    plan: RecordedPlan,
    boards: Sequence[Board],
    problems: Sequence[str] = (),
    *,
    curves: Mapping[str, Curves] | None = None,
    image_names: Mapping[str, Sequence[str]] | None = None,
) -> Path:
    """Write the report as one page; the same run gives the same bytes.

    Args:
        run_folder: the folder of the run.
        plan: its plan.
        boards: its tables.
        problems: what could not be read or shown.
        curves: what the cells wrote down while training, by cell id, as from
            :func:`bench.report.figures.measured.read_curves`; read where not given.
        image_names: names of the images of a board's evaluation split, in its order, by the board's title; without them
            the page tells positions.

    Returns:
        The file.

    Raises:
        BenchError: it cannot be written.
    """
    text = page(run_folder, plan, boards, problems, curves=curves, image_names=image_names)
    path = run_folder / FILE
    try:
        write_text(path, text)
    except OSError as error:
        raise BenchError(write_problem(path, error)) from error
    return path


def page(
    run_folder: Path,
    plan: RecordedPlan,
    boards: Sequence[Board],
    problems: Sequence[str] = (),
    *,
    curves: Mapping[str, Curves] | None = None,
    image_names: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Return the text of the page; see :func:`write_page`."""
    cells = all_cells(boards)
    views = board_views(boards)
    reader = ImageReader()
    images = [reader.of(view.board) for view in views]
    gallery = read_gallery(run_folder, {board.title: board.metric for board in boards})
    found, newest = environments(cells)
    told, n_more = failures(cells)
    known_curves = read_curves(boards)[0] if curves is None else curves
    text = (
        _environment()
        .get_template("page.html")
        .render(
            plan=plan,
            created=newest.replace("T", " ").replace("+00:00", " UTC"),
            version=__version__,
            security=SECURITY,
            views=views,
            definitions=definitions(boards),
            across=across_pairs([view.board for view in views])[:MOST_ACROSS],
            published=[published_lines(view) for view in views],
            counts=_counts(cells),
            n_cells=len(cells),
            banners=_banners(boards, cells, problems),
            limits=_limits(boards, views, reader, images),
            failures=told,
            n_more_failures=n_more,
            environments=found,
            protocols=protocols(boards),
            gallery_problems=gallery.problems if gallery else [],
            style=_source("page.css"),
            script=_source(*(f"page_{name}.js" for name in _SCRIPTS)),
            data=embedded(script_data(views, known_curves, images, image_names or {})),
            gallery=embedded(asdict(gallery) if gallery else None),
        )
    )
    # Half of a surrogate pair, which a hostile name may hold, has no UTF-8.
    return text.encode("utf-8", "replace").decode()


def embedded(value: Any) -> Markup:
    """Return JSON for a script element: nothing in it can end the element or a line of JavaScript."""
    text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for char in ("<", ">", "&", "\u2028", "\u2029"):
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)


def _finite(value: Any) -> Any:
    """Replace what JSON lacks, NaN and infinities, by null."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("bench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"one_line": one_line}
    environment.globals |= {"BASELINE": BASELINE, "difference": difference, "on_pair": on_pair, "within": within}
    return environment


def _source(*names: str) -> Markup:
    folder = Path(__file__).parent.parent / "templates"
    return Markup("\n".join((folder / name).read_text(encoding="utf-8") for name in names))


def _counts(cells: Sequence[dict[Any, Any]]) -> list[tuple[str, int]]:
    counted = Counter(str(cell["state"]) for cell in cells)
    order = {state: position for position, state in enumerate(_STATES)}
    return sorted(counted.items(), key=lambda item: (order.get(item[0], len(order)), item[0]))


def _banners(boards: Sequence[Board], cells: Sequence[dict[Any, Any]], problems: Sequence[str]) -> list[str]:
    """Return the warnings that stand above everything else."""
    counted = Counter(str(cell["state"]) for cell in cells)
    said = list(problems)
    if not counted["done"]:
        said.append("No cell has finished: there is no score to show.")
    if counted["corrupt"]:
        said.append(f"Results that cannot be trusted and are left out of every score: {counted['corrupt']}.")
    if n_stale := sum(bool(cell["stale"]) for cell in cells):
        said.append(
            f"Results made with other code, versions or data than the run's own, accepted as they are: {n_stale}."
        )
    marked = [board for board in boards if board.watermark]
    if marked and counted["done"]:
        each = "every table" if len(marked) == len(boards) else f"{len(marked)} of {len(boards)} tables"
        said += [f"{text} ({each})" for text in dict.fromkeys(str(board.watermark) for board in marked)]
    return said


def _limits(
    boards: Sequence[Board],
    views: Sequence[Any],
    reader: ImageReader,
    images: Sequence[Any],
) -> list[str]:
    """Return what the page leaves out to stay light."""
    said = []
    if len(boards) > len(views):
        said.append(f"Tables: the first {len(views)} of {len(boards)} are shown; all are in leaderboard.md.")
    if n_rows := sum(view.n_left_out for view in views):
        said.append(f"Rows of long tables: {n_rows} are left out; all are in leaderboard.md.")
    if len(views) > (n_curves := len(finished(boards))):
        said.append(f"Training curves are drawn for the first {n_curves} tables with scores only.")
    if reader.left_out:
        said.append(f"Scores of single images are left out for {len(reader.left_out)} tables.")
    if reader.unreadable:
        said.append(f"Scores of single images: counts.npz of {len(reader.unreadable)} cells cannot be read.")
    if any(scores and scores["n_images"] > MOST_IMAGES for scores in images):
        said.append(f"Scores of single images: the first {MOST_IMAGES} of a split are shown.")
    return said
