"""``python -m tests.benchmarks.data``: how fast images come, and how long a training step waits for them.

CamVid where ``BENCH_DATA`` names a folder that holds it, else photographs of its size cut from those of scikit-image.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from skimage import data as photographs

from bench.base.environment import device_name
from bench.base.errors import BenchError
from bench.base.registry import discover
from bench.data.base import Samples
from bench.data.facts import DatasetInfo, Locations
from bench.data.feed.augment import Augment
from bench.data.feed.cache import GIB, keep_decoded
from bench.data.feed.loader import BatchOrder, train_loader
from bench.data.feed.transforms import build_train_transform
from bench.data.read.files import FilePair, FileSamples
from bench.data.read.labels import IndexLabels
from bench.data.sets.camvid import CamVid
from bench.models.base import build_model
from bench.tasks.segmentation.task import Segmentation

HEIGHT, WIDTH, BATCH = 360, 480, 8
AUGMENT = Augment(scale=(0.5, 2.0), crop=(360, 360), flip=0.5)
"""That of the preset ``camvid-small``."""


@dataclass(frozen=True)
class Source:
    """Where the images are from.

    Attributes:
        name: for the reader of the figures.
        samples: the training split.
        info: facts of the dataset.
    """

    name: str
    samples: FileSamples
    info: DatasetInfo


def find_source(folder: Path, n: int = 64) -> Source:
    """Return CamVid's training split, or ``n`` made photographs of its size written to ``folder``."""
    roots = tuple(Path(part) for part in os.environ.get("BENCH_DATA", "").split(os.pathsep) if part)
    camvid = CamVid(Locations(folder, roots))
    try:
        return Source("CamVid train, 480 x 360", camvid.split("train"), camvid.info)
    except BenchError:
        pictures = [photographs.astronaut(), photographs.rocket(), photographs.coffee()]
        rng, pairs = np.random.default_rng(0), []
        for index in range(n):
            image, label = folder / f"{index}.jpg", folder / f"{index}.png"
            picture = pictures[index % len(pictures)]
            top, left = (
                int(rng.integers(0, side - want + 1))
                for side, want in zip(picture.shape, (HEIGHT, WIDTH), strict=False)
            )
            cut = picture[top : top + HEIGHT, left : left + WIDTH]
            Image.fromarray(cut).save(image, quality=90)
            Image.fromarray((cut[..., 0] // 24).astype(np.uint8)).save(label)
            pairs.append(FilePair(str(index), image, label))
        labels = IndexLabels({index: index for index in range(11)}, camvid.info.ignore_index)
        return Source(f"{n} photographs of scikit-image, 480 x 360", FileSamples(pairs, labels), camvid.info)


def read_all(samples: Samples) -> Callable[[], None]:
    """Return a pass over a split."""

    def step() -> None:
        for index in range(len(samples)):
            samples[index]

    return step


def batches(samples: Samples, info: DatasetInfo, iterations: int, workers: int = 0) -> Iterator[tuple]:
    """Yield training batches as the preset ``camvid-small`` makes them."""
    order = BatchOrder(len(samples), BATCH, 0)
    transform = build_train_transform(AUGMENT, info, Segmentation.fills(info))
    yield from train_loader(
        samples,
        transform,
        Segmentation.collate,
        order,
        seed=0,
        start_iteration=0,
        iterations=iterations,
        workers=workers,
    )


def share_waiting(samples: Samples, info: DatasetInfo, iterations: int, workers: int) -> float:
    """Return the share of a training step of ``tiny_fpn_8`` that is spent waiting for its batch.

    The first quarter of the iterations starts workers and is not counted.
    """
    discover()
    torch.manual_seed(0)
    model = build_model("tiny_fpn_8", info.num_classes, {}).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(model.parameters())
    loader = batches(samples, info, iterations, workers)
    waited = worked = 0.0
    for iteration in range(iterations):
        begun = time.perf_counter()
        images, target = next(loader)
        there = time.perf_counter()
        logits = model((images.float() / 255).contiguous(memory_format=torch.channels_last)).logits
        loss = F.cross_entropy(F.interpolate(logits, size=target.shape[-2:]), target.long(), ignore_index=255)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if iteration >= iterations // 4:
            waited += there - begun
            worked += time.perf_counter() - there
    loader.close()
    return waited / (waited + worked)


def _rate(step: Callable[[], None], images: int) -> float:
    begun = time.perf_counter()
    step()
    return images / (time.perf_counter() - begun)


def main() -> None:
    """Measure on an idle machine and print a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.data")
    parser.add_argument("--iterations", type=int, default=80)
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 1, 2])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = find_source(Path(folder))
        kept = keep_decoded(source.samples, "benchmark", Path(folder), 8 * GIB).samples
        n, count = len(kept), 4 * BATCH
        rows = [("decoded from the files", _rate(read_all(source.samples), n))]
        read_all(kept)()
        rows.append(("kept decoded", _rate(read_all(kept), n)))
        rows.append(("kept decoded and augmented", _rate(lambda: _drain(kept, source.info), count)))
        print("| images/s, one process | |\n| --- | ---: |")  # noqa: T201
        for name, rate in rows:
            print(f"| {name} | {rate:,.0f} |")  # noqa: T201
        print("\n| workers | share of a step spent waiting |\n| ---: | ---: |")  # noqa: T201
        for workers in options.workers:
            share = share_waiting(kept, source.info, options.iterations, workers)
            print(f"| {workers} | {100 * share:.1f} % |")  # noqa: T201
    print(  # noqa: T201
        f"\n{source.name}; batches of {BATCH}, crop 360 x 360, scale 0.5 to 2, flip; tiny_fpn_8; "
        f"{device_name(torch.device('cpu'))}, {torch.get_num_threads()} threads, torch "
        f"{torch.__version__.partition('+')[0]}."
    )


def _drain(samples: Samples, info: DatasetInfo) -> None:
    for _ in batches(samples, info, 4):
        pass


if __name__ == "__main__":
    main()
