"""Batches that depend on the seed and the iteration alone, whatever the number of workers."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import pickle
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision import tv_tensors

from bench.base.errors import BenchError
from bench.base.registry import load_plugin, loaded_plugins
from bench.data.base import TargetSamples

T = TypeVar("T")
Key = tuple[int, int, int]
Sample = tuple[tv_tensors.Image, Any]
"""An image, uint8 3 x H x W, and its target, whose tensors are tv_tensors."""
Stacked = tuple[Tensor, Any]
"""Images, uint8 N x 3 x H x W, and their targets as the task collates them."""
Collate = Callable[[Sequence[Sample]], list[Stacked]]
"""Stacks samples in order; several batches where they do not fit into one."""


def derived_seed(*parts: int | str) -> int:
    """Return a 63-bit seed that differs wherever any part differs."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


class BatchOrder:
    """Which samples make which batch, without any state, so that training can begin at any iteration.

    Every epoch is a new permutation; its last incomplete batch is dropped. Where the batch is larger than the split,
    permutations are chained until it is full.

    Args:
        n_samples: size of the split.
        batch_size: samples in a batch.
        seed: of the permutations.
    """

    def __init__(self, n_samples: int, batch_size: int, seed: int) -> None:
        if n_samples < 1:
            raise BenchError("the training split is empty")
        self.n_samples, self.batch_size, self.seed = n_samples, batch_size, seed
        self.batches_per_epoch = max(1, n_samples // batch_size)
        self._permutation = lru_cache(maxsize=4)(self._draw)

    def _draw(self, epoch: int, part: int) -> tuple[int, ...]:
        generator = torch.Generator().manual_seed(derived_seed("order", self.seed, epoch, part))
        return tuple(torch.randperm(self.n_samples, generator=generator).tolist())

    def indices(self, iteration: int) -> list[int]:
        """Return the samples of the batch of an iteration."""
        epoch, number = divmod(iteration, self.batches_per_epoch)
        if self.batch_size <= self.n_samples:
            start = number * self.batch_size
            return list(self._permutation(epoch, 0)[start : start + self.batch_size])
        chained = itertools.chain.from_iterable(self._permutation(epoch, part) for part in itertools.count())
        return list(itertools.islice(chained, self.batch_size))


class _KeySampler(Sampler[list[Key]]):
    def __init__(self, order: BatchOrder, start: int, stop: int) -> None:
        self.order, self.start, self.stop = order, start, stop

    def __iter__(self) -> Iterator[list[Key]]:
        for iteration in range(self.start, self.stop):
            yield [(iteration, position, index) for position, index in enumerate(self.order.indices(iteration))]

    def __len__(self) -> int:
        return max(0, self.stop - self.start)


@contextlib.contextmanager
def own_stream(seed: int) -> Iterator[None]:
    """Let the global generators of python, numpy and torch begin at a seed; what they were before is put back."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


class _Portable(Dataset[Any]):
    """Can be sent to a worker that starts from nothing: plug-ins are loaded there before their classes are needed."""

    def __getstate__(self) -> dict[str, Any]:
        return {"plugins": loaded_plugins(), "content": pickle.dumps(self.__dict__)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for path in state["plugins"]:
            load_plugin(path)
        self.__dict__.update(pickle.loads(state["content"]))


@dataclass(frozen=True)
class Augmentation:
    """A transform whose random numbers depend on the seed and the place in the training alone.

    Attributes:
        transform: takes and returns an image and its target.
        seed: of the training.
    """

    transform: Callable[..., Sample]
    seed: int

    def __call__(self, key: Key, image: tv_tensors.Image, target: Any) -> Sample:
        """Return the augmented sample; the image's device is where it is computed, the numbers are drawn on the CPU."""
        iteration, position, _ = key
        with own_stream(derived_seed("augment", self.seed, iteration, position)):
            return self.transform(image, target)


class _Augmented(_Portable):
    """Samples by key, augmented where that is wanted here. A fault is returned, not raised."""

    def __init__(self, samples: TargetSamples[Any], augmentation: Augmentation | None) -> None:
        self.samples, self.augmentation = samples, augmentation

    def __getitem__(self, key: Key) -> Sample | BenchError:
        try:
            image, target = self.samples[key[2]]
            return self.augmentation(key, image, target) if self.augmentation else (image, target)
        except BenchError as error:
            return error


class _Plain(_Portable):
    def __init__(self, samples: TargetSamples[Any]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample | BenchError:
        try:
            return self.samples[index]
        except BenchError as error:
            return error


@dataclass(frozen=True)
class _Together:
    """Stacks samples; faults are handed on, as an exception that crosses processes arrives wrapped.

    Attributes:
        collate: the task's way to stack.
    """

    collate: Collate

    def __call__(self, items: Sequence[Sample | BenchError]) -> list[Stacked] | BenchError:
        """Return the batches, or every fault in one."""
        return _problems(items) or self.collate([item for item in items if not isinstance(item, BenchError)])


@dataclass
class _Raw:
    """Samples one by one, to be augmented and stacked elsewhere; the kinds of their tensors survive pinning.

    Attributes:
        samples: images with their targets.
    """

    samples: list[Sample]

    def pin_memory(self) -> _Raw:
        """Return the same in page-locked memory."""
        return _Raw([tree_map(_pinned, sample) for sample in self.samples])

    def to(self, device: torch.device) -> list[Sample]:
        """Return the samples on a device."""
        return [tree_map(partial(_on, device), sample) for sample in self.samples]


def _pinned(value: Any) -> Any:
    return _like(value, value.pin_memory()) if isinstance(value, Tensor) else value


def _on(device: torch.device, value: Any) -> Any:
    return _like(value, value.to(device, non_blocking=True)) if isinstance(value, Tensor) else value


def _like(kind: Tensor, tensor: Tensor) -> Tensor:
    """Return a tensor of any shape as the kind of tv_tensor that another is."""
    return tv_tensors.wrap(tensor, like=kind) if isinstance(kind, tv_tensors.TVTensor) else tensor


def _collate_raw(items: Sequence[Sample | BenchError]) -> _Raw | BenchError:
    return _problems(items) or _Raw([item for item in items if not isinstance(item, BenchError)])


def _problems(items: Sequence[Sample | BenchError]) -> BenchError | None:
    problems = [problem for item in items if isinstance(item, BenchError) for problem in item.problems]
    return BenchError(*dict.fromkeys(problems)) if problems else None


def _checked(batch: T | BenchError) -> T:
    if isinstance(batch, BenchError):
        raise batch
    return batch


GRACE_S = 600
"""Longer than any step of the parent; workers notice by themselves when the parent is gone."""


def _start_worker(_: int) -> None:
    """Leave signals to the parent: Ctrl-C and a scheduler's SIGTERM reach the whole process group.

    A worker that died of one would fail the step that the parent is finishing; it ends when the parent lets it go, or
    after a while where the parent does not.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(GRACE_S))
    torch.set_num_threads(1)


def train_loader(
    samples: TargetSamples[Any],
    transform: Callable[..., Sample],
    collate: Collate,
    order: BatchOrder,
    *,
    seed: int,
    start_iteration: int,
    iterations: int,
    workers: int = 0,
    pin_memory: bool = False,
    augment_on: torch.device | None = None,
) -> Iterator[Stacked]:
    """Yield the batches of iterations ``start_iteration`` to ``iterations - 1``.

    The batches are the same for any number of workers, and the caller's random generators are left as they are.

    Args:
        samples: the training split.
        transform: takes and returns an image and its target.
        collate: the task's way to stack samples.
        order: which samples make which batch.
        seed: of the augmentation.
        start_iteration: first iteration to yield.
        iterations: one past the last.
        workers: processes that load; 0 loads in this one.
        pin_memory: put batches into page-locked memory, for faster copies to CUDA.
        augment_on: compute the augmentation on this device, with the same random numbers; None leaves it to those who
            load.

    Yields:
        Images, uint8 N x 3 x H x W, and the targets as the task collates them.

    Raises:
        BenchError: a sample cannot be read, or the samples of a batch differ in size.
    """
    augmentation = Augmentation(transform, seed)
    sampler = _KeySampler(order, start_iteration, iterations)
    loader = DataLoader(
        _Augmented(samples, None if augment_on else augmentation),
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=_collate_raw if augment_on else _Together(collate),
        worker_init_fn=_start_worker,
        pin_memory=pin_memory,
        generator=torch.Generator().manual_seed(seed),
    )
    for keys, batch in zip(sampler, loader, strict=True):
        loaded = _checked(batch)
        if augment_on:
            moved = zip(keys, loaded.to(augment_on), strict=True)
            loaded = collate([augmentation(key, image, target) for key, (image, target) in moved])
        runs: list[Stacked] = loaded
        if len(runs) > 1:
            sizes = sorted({tuple(images.shape[-2:]) for images, _ in runs})
            raise BenchError(
                f"images of several sizes in one batch: {sizes}. Set recipe.augment.crop to the size to train at."
            )
        yield runs[0]


def eval_loader(samples: TargetSamples[Any], collate: Collate, batch_size: int, workers: int = 0) -> Iterator[Stacked]:
    """Yield a split in its order; only neighbours that the task can stack share a batch.

    Args:
        samples: the split.
        collate: the task's way to stack samples.
        batch_size: the most samples of a batch.
        workers: processes that load; 0 loads in this one.

    Yields:
        Images, uint8 N x 3 x H x W, and the targets as the task collates them; N is at most ``batch_size``.

    Raises:
        BenchError: a sample cannot be read.
    """
    loader = DataLoader(
        _Plain(samples),
        batch_size=batch_size,
        num_workers=workers,
        collate_fn=_Together(collate),
        worker_init_fn=_start_worker,
        generator=torch.Generator(),
    )
    for batch in loader:
        yield from _checked(batch)


class InMemory(TargetSamples[Any]):
    """Samples decoded at their first use and kept, up to a limit.

    Args:
        samples: what to keep.
        limit_bytes: the most to keep; what comes after that is decoded every time.
    """

    def __init__(self, samples: TargetSamples[Any], limit_bytes: int) -> None:
        self.samples = samples
        self.names = samples.names
        self._free_bytes = limit_bytes
        self._kept: dict[int, Sample] = {}

    @property
    def is_decoded(self) -> bool:
        """They are read from memory, after the first time."""
        return True

    def __getitem__(self, index: int) -> Sample:
        """Return the sample at ``index``."""
        if index in self._kept:
            return self._kept[index]
        sample = self.samples[index]
        self._free_bytes -= sample_bytes(sample)
        if self._free_bytes >= 0:
            self._kept[index] = sample
        return sample


def sample_bytes(sample: Sample) -> int:
    """Return the memory of a sample's tensors."""
    return sum(leaf.numel() * leaf.element_size() for leaf in tree_leaves(sample) if isinstance(leaf, Tensor))


def cached_in_memory(samples: TargetSamples[Any], limit_bytes: int = 2**30) -> TargetSamples[Any]:
    """Return the samples kept in memory once decoded, or unchanged where that would take too much.

    Args:
        samples: a split.
        limit_bytes: the most to keep; whether it is worth it is judged by the first sample's size.
    """
    if len(samples) == 0:
        return samples
    fits = len(samples) * sample_bytes(samples[0]) <= limit_bytes
    return InMemory(samples, limit_bytes) if fits else samples
