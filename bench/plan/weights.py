"""What ``weights:`` in a matrix may name: a file, a URL, or weights that a library publishes."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bench.base.errors import BenchError, did_you_mean
from bench.models.weights.hub import HubFile
from bench.models.weights.pretrained import PublishedFile

FORMS = (
    "a file, a URL, torchvision:FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1, timm:NAME, smp:OWNER/NAME or "
    "hf:OWNER/NAME[/FILE]"
)


def find_weights(text: str, folder: Path) -> Path | PublishedFile:
    """Return the file that a text names, or the published one that it stands for.

    Args:
        text: as in the matrix.
        folder: where the matrix lies; paths are looked up in the current folder first.

    Raises:
        BenchError: no such file, no such published weights.
    """
    for path in (Path(text).expanduser(), folder / text):
        if path.is_file():
            return path
    published = _published(text)
    if published is None:
        raise BenchError(
            f"weights not found: {text} (looked in the current folder and beside the matrix, {folder}). Give {FORMS}"
        )
    return published


def _published(text: str) -> PublishedFile | None:
    if text.startswith(("https://", "http://")):
        name = unquote(Path(urlsplit(text).path).name)
        if not name:
            raise BenchError(f"weights {text}: the URL ends in no file name")
        return PublishedFile(text, name)
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
    return PublishedFile(url, f"{repository.replace('/', '--')}--{file.replace('/', '--')}")
