"""What ``weights:`` in a matrix may name: a file, a URL, or weights that a library publishes."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from bench.base.errors import BenchError, did_you_mean
from bench.base.files import digest
from bench.base.text import one_line
from bench.matrix.settings import Settings
from bench.models.weights.addressed import AddressedFile
from bench.models.weights.hub import HubFile
from bench.models.weights.pretrained import PublishedFile

FOLDER = "weights"
"""Folder of the cache for files of addresses."""
FORMS = (
    "a file, a URL, torchvision:FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1, timm:NAME, smp:OWNER/NAME or "
    "hf:OWNER/NAME[/FILE]"
)


def find_weights(text: str, folder: Path, cache: Path | None = None, sha256: str | None = None) -> Path | PublishedFile:
    """Return the file that a text names, or the published one that it stands for.

    Args:
        text: as in the matrix.
        folder: where the matrix lies; paths are looked up in the current folder first.
        cache: the folder of derived files, where those of addresses are kept; the usual one where not given.
        sha256: what the content is to have, where the matrix tells it.

    Raises:
        BenchError: no such file, no such published weights.
    """
    for path in (_at_home(text), folder / text):
        if os.path.isfile(path):  # noqa: PTH113 - unlike Path.is_file it takes a name of any length
            return path
    published = _addressed(text, cache or Settings().locations.cache) or _published(text)
    if published is not None:
        return replace(published, sha256=sha256)
    raise BenchError(
        f"weights not found: {text} (looked in the current folder and beside the matrix, {folder}). Give {FORMS}"
    )


def _at_home(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # nobody has that name
        return Path(text)


def _addressed(text: str, cache: Path) -> AddressedFile | None:
    """Return the file at an address; its name is for messages alone."""
    if not text.startswith(("https://", "http://")):
        return None
    if not text.isprintable() or " " in text:
        raise BenchError(f"weights {one_line(text)}: a URL holds no spaces and no control characters")
    try:
        last = PurePosixPath(urlsplit(text).path).name
    except ValueError as error:
        raise BenchError(f"weights {text}: no URL ({error})") from error
    if not last:
        raise BenchError(f"weights {text}: the URL ends in no file name")
    name = unquote(last)
    return AddressedFile(text, name if name.isprintable() and not set(name) & set("/\\") else last, home=cache / FOLDER)


def _published(text: str) -> PublishedFile | None:
    prefix, _, rest = text.partition(":")
    if prefix == "torchvision" or re.fullmatch(r"\w+_Weights\.\w+", text):
        return _torchvision(rest or text)
    if prefix == "timm" and rest:
        return _hub(f"timm/{rest}", "model.safetensors", text)
    if prefix in ("smp", "hf") and rest:
        owner, _, name = rest.partition("/")
        name, _, file = name.partition("/")
        return _hub(f"{owner}/{name}", file or "model.safetensors", text)
    return None


def _torchvision(name: str) -> PublishedFile:
    from torchvision import models

    family = name.partition(".")[0]
    try:
        weights = models.get_weight(name)
    except (ValueError, KeyError):
        known = [
            f"{enum.__name__}.{member}"
            for builder in models.list_models()
            for enum in [models.get_model_weights(builder)]
            for member in enum.__members__
        ]
        same = [entry for entry in known if entry.startswith(f"{family}.")]
        shown = f" Known: {', '.join(same)}" if same else did_you_mean(name, known)
        raise BenchError(f"weights torchvision:{name}: torchvision publishes no such weights.{shown}") from None
    url = str(weights.url)
    return PublishedFile(url, Path(urlsplit(url).path).name)


def _hub(repository: str, file: str, text: str) -> PublishedFile:
    url = HubFile(repository, file).url
    if HubFile.at(url) is None:
        raise BenchError(f"weights {text}: a repository is written OWNER/NAME, a file in it FOLDER/FILE")
    name = f"{repository.replace('/', '--')}--{file.replace('/', '--')}"
    # one hyphen in two would let two files have one name
    return PublishedFile(url, f"{digest(url, 8)}--{name}" if "--" in file else name)
