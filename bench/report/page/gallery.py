"""The pictures of a run's gallery as data URIs that fit into one page."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from bench.tasks.metric import Metric

FOLDER, INDEX = "gallery", "gallery.json"
GALLERY_SCHEMA = 1
BUDGET = 8_000_000
"""Bytes of all pictures together before base64, which adds a third."""
MOST_PICTURES = 1200
_SIZES = ((1280, 85), (960, 80), (640, 80), (512, 75), (384, 70), (256, 65), (192, 55), (128, 45), (96, 40))
"""Longest side in pixels and WebP quality, tried in this order."""
_SAMPLE = 10
_MIME = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}


@dataclass
class PageGallery:
    """What the page shows of the gallery.

    Attributes:
        boards: boards with their images, panels and legend; a panel's ``file`` and ``error`` are positions in
            ``pictures``.
        pictures: data URIs.
        problems: what could not be read or was left out, and what its writer noted, as sentences.
    """

    boards: list[dict[str, Any]] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_gallery(run_folder: Path, metrics: Mapping[str, Metric]) -> PageGallery | None:
    """Read ``gallery/gallery.json`` and its pictures.

    Args:
        run_folder: the run.
        metrics: the primary metric of each board, by its title.

    Returns:
        The gallery, without boards but with the problem where it cannot be used; None where the run has none.
    """
    folder = run_folder / FOLDER
    if not (folder / INDEX).is_file():
        return None
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        if index["schema"] != GALLERY_SCHEMA:
            return PageGallery(problems=[f"{INDEX} has schema {index['schema']}, this version reads {GALLERY_SCHEMA}"])
        boards = [_board(board, metrics.get(str(board["board"]))) for board in index["boards"]]
        notes = [str(note) for note in index.get("notes") or []]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return PageGallery(problems=[f"the gallery is not shown, {INDEX} cannot be read: {error!r}"])
    gallery = PageGallery(boards=boards, problems=notes)
    _embed(folder.resolve(), gallery)
    gallery.boards = [board for board in gallery.boards if board["images"]]
    return gallery


def _board(record: dict[str, Any], metric: Metric | None) -> dict[str, Any]:
    return {
        "board": str(record["board"]),
        "images": [_image(image, metric) for image in record["images"]],
        "legend": [_legend_entry(entry) for entry in record.get("legend") or []],
    }


def _image(record: dict[str, Any], metric: Metric | None) -> dict[str, Any]:
    # Galleries of versions that knew one task have the scores under the name of its metric.
    scores = record.get("scores") or (metric and record.get(metric.key)) or {}
    return {
        "name": str(record["name"]),
        "kind": str(record.get("kind") or ""),
        "why": str(record.get("why") or ""),
        "scores": {str(label): float(value) for label, value in scores.items() if value is not None},
        "panels": [
            {"label": str(panel["label"]), "file": str(panel["file"]), "error": panel.get("error") or None}
            for panel in record["panels"]
        ],
    }


def _legend_entry(record: dict[str, Any]) -> dict[str, Any]:
    return {"name": str(record["name"]), "colour": [int(channel) for channel in record["colour"]][:3]}


def _embed(folder: Path, gallery: PageGallery) -> None:
    """Replace file names by positions of data URIs, in a size at which all fit."""
    _leave_out_images(gallery)
    names = list(dict.fromkeys(_names(gallery)))
    files = {name: path for name in names if (path := _inside(folder, name))}
    size, quality = _fitting(list(files.values()))
    places: dict[str, int] = {}
    shrunk = used = 0
    full = []
    for name, path in files.items():
        encoded = _encode(path, size, quality)
        if encoded is None:
            continue
        content, mime, smaller = encoded
        if used + len(content) > BUDGET:
            full.append(name)
            continue
        used += len(content)
        shrunk += smaller
        places[name] = len(gallery.pictures)
        gallery.pictures.append(f"data:{mime};base64,{base64.b64encode(content).decode()}")
    for board in gallery.boards:
        for image in board["images"]:
            image["panels"] = [_placed(panel, places) for panel in image["panels"] if panel["file"] in places]
        board["images"] = [image for image in board["images"] if image["panels"]]
    gallery.problems += _told(len(names) - len(places) - len(full), len(full), shrunk, size, quality)


def _told(n_unreadable: int, n_full: int, n_shrunk: int, size: int, quality: int) -> list[str]:
    said = []
    if n_unreadable:
        said.append(f"pictures that are missing or cannot be read: {n_unreadable}")
    if n_full:
        said.append(f"pictures left out to keep the page below 15 MB: {n_full}")
    if n_shrunk:
        said.append(
            f"{n_shrunk} pictures were compressed again (WebP, longest side at most {size} pixels, quality {quality}); "
            f"the originals are in {FOLDER}/"
        )
    return said


def _names(gallery: PageGallery) -> Iterator[str]:
    for board in gallery.boards:
        for image in board["images"]:
            for panel in image["panels"]:
                yield panel["file"]
                if panel["error"]:
                    yield str(panel["error"])


def _placed(panel: dict[str, Any], places: dict[str, int]) -> dict[str, Any]:
    return {"label": panel["label"], "file": places[panel["file"]], "error": places.get(str(panel["error"]))}


def _leave_out_images(gallery: PageGallery) -> None:
    """Keep as many images a board as keep all pictures within the limit, the first of each kind first."""
    most = max((sum(1 + bool(p["error"]) for i in b["images"] for p in i["panels"]) for b in gallery.boards), default=0)
    per_board = MOST_PICTURES // max(len(gallery.boards), 1)
    if most <= per_board:
        return
    n_before = sum(len(board["images"]) for board in gallery.boards)
    for board in gallery.boards:
        kept: list[dict[str, Any]] = []
        room = per_board
        for image in _in_turns(board["images"]):
            room -= sum(1 + bool(panel["error"]) for panel in image["panels"])
            if kept and room < 0:
                break
            kept.append(image)
        board["images"] = [image for image in board["images"] if image in kept]
    n_after = sum(len(board["images"]) for board in gallery.boards)
    gallery.problems.append(
        f"images of the gallery left out to keep the page small: {n_before - n_after} of {n_before}"
    )


def _in_turns(images: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Order images so that the first of every kind come first, then the second of every kind."""
    seen: dict[str, int] = {}
    turns = []
    for image in images:
        seen[image["kind"]] = seen.get(image["kind"], 0) + 1
        turns.append((seen[image["kind"]], image))
    return [image for _, image in sorted(turns, key=lambda turn: turn[0])]


def _inside(folder: Path, name: str) -> Path | None:
    """Return the path of a picture, None for one outside the gallery's folder or not there."""
    try:
        path = (folder / name).resolve()
        return path if path.is_relative_to(folder) and path.is_file() else None
    except (OSError, ValueError):  # such as a name that is too long, or holds a null character
        return None


def _fitting(files: Sequence[Path]) -> tuple[int, int]:
    """Return the largest size and its quality at which a sample says that all files fit."""
    if not files:
        return _SIZES[0]
    # Predictions and their error maps take turns: an even step would see one of the two alone.
    sample = files[:: (len(files) // _SAMPLE) | 1]
    for size, quality in _SIZES:
        encoded = [found for path in sample if (found := _encode(path, size, quality))]
        mean = sum(len(content) for content, _, _ in encoded) / max(len(encoded), 1)
        if mean * len(files) <= 0.9 * BUDGET:
            return size, quality
    return _SIZES[-1]


def _encode(path: Path, size: int, quality: int) -> tuple[bytes, str, bool] | None:
    """Return a picture's bytes, its type and whether it was changed; None where it cannot be read.

    A file that is small enough and no larger than its WebP stays as it is.
    """
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as picture:
            largest = max(picture.size)
            picture.draft("RGB", (size, size))
            pixels = picture.convert("RGBA" if "transparency" in picture.info or picture.mode == "RGBA" else "RGB")
        mime = _MIME.get(path.suffix.lower())
        if mime and largest <= size and len(content) <= BUDGET // MOST_PICTURES:
            return content, mime, False
        pixels.thumbnail((size, size), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        pixels.save(buffer, "WEBP", quality=quality, method=2)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    if mime and largest <= size and len(content) <= buffer.tell():
        return content, mime, False
    return buffer.getvalue(), "image/webp", True
