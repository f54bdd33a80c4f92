"""Run folders with counts of every image, scores of every class and a gallery, for the tests of the page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from bench.base.files import write_json
from bench.leaderboard import Board, leaderboard, load, read_plan
from bench.report.page.page import write_page
from bench.store.folders import COUNTS, CellFolder, read_result
from bench.tasks.segmentation.counts import Counts
from bench.tasks.segmentation.scores import scores
from tests.run_builder import RunBuilder

CLASSES = ["sky", "road", "person", "bicycle", "tree", "traffic sign"]
METHODS = ["none", "kd", "cwd", "skd", "dkd", "mgd", "bpkd", "cirkd"]
LEGEND = [{"name": name, "colour": [40 * place, 90, 220 - 30 * place]} for place, name in enumerate(CLASSES)]


def with_counts(folder: CellFolder, score: float, seed: int, n_images: int = 30) -> None:
    """Give a finished cell counts of every image about ``score`` and the scores that follow from them."""
    noise = np.random.default_rng(seed)
    k = len(CLASSES)
    matrices = np.zeros((n_images, k, k), dtype=np.int64)
    for image in range(n_images):
        for true in noise.choice(k, size=4, replace=False):
            hits = float(np.clip(score + noise.normal(0, 0.12) - 0.05 * true + 0.15, 0.02, 0.99))
            matrices[image, true, true] = round(1000 * hits)
            matrices[image, true, (true + 1) % k] = 1000 - round(1000 * hits)
    counts = Counts.from_dense(matrices)
    counts.save(folder.path / COUNTS)
    record = {key: value for key, value in read_result(folder.path).items() if key not in ("digest", "files", "schema")}
    record["metrics"] = scores(counts.total(), CLASSES)
    if record["teacher"]:
        record["teacher"]["metrics"]["iou"] = dict.fromkeys(CLASSES, 0.72)
    record["environment"] = {"device": "cpu: test, 2 threads", "python": "3.11", "packages": {"torch": "2.6.0"}}
    folder.finish(record)


def fill(builder: RunBuilder, pairs: int = 2, seeds: int = 3, methods: Sequence[str] = METHODS) -> None:
    """Write finished cells of every method, pair and seed, and three that failed."""
    for pair in range(pairs):
        for place, method in enumerate(methods):
            for seed in range(seeds):
                score = 0.5 + 0.012 * place - 0.03 * pair
                folder = builder.done(
                    method,
                    score,
                    seed,
                    student=f"student{pair}",
                    train_s=10.0 + 1.7 * place * place,
                    fps=850.0 - 20 * place,
                )
                with_counts(folder, score, 1000 * pair + 10 * place + seed)
        builder.failed("diverging", 0, student=f"student{pair}")
        builder.failed("broken", 1, status="failed", reason="RuntimeError: shapes differ", student=f"student{pair}")
    builder.plan(skipped=[builder.cell("needs-embedding", 0, student="student0")])


def add_gallery(
    run: Path, titles: Sequence[str], methods: Sequence[str] = METHODS, n_images: int = 3, side: int = 96
) -> None:
    """Write a gallery as its own writer does: panels of every method and their error maps."""
    noise = np.random.default_rng(0)
    boards = []
    for place, title in enumerate(titles):
        images = []
        for number in range(n_images):
            panels = []
            for label in ("image", "truth", "teacher", *methods):
                name = f"{place}-{number}-{label}.png"
                pixels = noise.integers(0, 255, (side // 8, side // 6, 3), dtype=np.uint8)
                picture = Image.fromarray(pixels).resize((side * 4 // 3, side), Image.Resampling.BICUBIC)
                (run / "gallery").mkdir(exist_ok=True)
                picture.save(run / "gallery" / name)
                error = None
                if label not in ("image", "truth"):
                    error = f"error-{name}"
                    Image.fromarray((pixels > 128).astype(np.uint8) * 255).save(run / "gallery" / error)
                panels.append({"label": label, "file": name, "error": error})
            miou = {label: 0.4 + 0.01 * position for position, label in enumerate(("teacher", *methods))}
            kind = ("best", "worst", "improved")[number % 3]
            why = f"{kind} of the split by the mean over the methods"
            images.append({"name": f"val_{number:04d}.png", "kind": kind, "why": why, "miou": miou, "panels": panels})
        boards.append(
            {"board": title, "dataset": "digits", "student": "s", "teacher": "t", "images": images, "legend": LEGEND}
        )
    write_json(
        run / "gallery" / "gallery.json",
        {"schema": 1, "boards": boards, "notes": ["digits: one method has no weights"]},
    )


def boards_of(builder: RunBuilder) -> list[Board]:
    """Return the boards of a run."""
    return leaderboard(load(builder.run, read_plan(builder.run)))


def written(builder: RunBuilder, **given: object) -> str:
    """Write the page and return its text."""
    path = write_page(builder.run.path, read_plan(builder.run), boards_of(builder), **given)  # type: ignore[arg-type]
    return path.read_text(encoding="utf-8")


def data_of(text: str, name: str = "data") -> object:
    """Return the data that the page holds for its scripts."""
    start = text.index(">", text.index(f'<script type="application/json" id="{name}"')) + 1
    return json.loads(text[start : text.index("</script>", start)])
