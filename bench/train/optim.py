"""Optimisers and schedules of a recipe."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from bench.matrix.recipe import Recipe, Schedule


def build_optimizer(parameters: Iterable[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimiser over the parameters that need a gradient."""
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    settings = recipe.optimizer
    if settings.name == "sgd":
        return torch.optim.SGD(
            trainable, lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay
        )
    return torch.optim.AdamW(trainable, lr=settings.lr, weight_decay=settings.weight_decay)


def build_schedule(optimizer: torch.optim.Optimizer, recipe: Recipe) -> LRScheduler:
    """Return the recipe's schedule, to be stepped once an iteration."""
    return LambdaLR(optimizer, lambda iteration: rate_factor(recipe.schedule, iteration, recipe.iterations))


def rate_factor(schedule: Schedule, iteration: int, iterations: int) -> float:
    """Return the learning rate of an iteration as a share of the peak.

    Args:
        schedule: the recipe's schedule; ``one_cycle`` rises from 1/25 of the peak and falls to 1/250,000 of it, both by
            a cosine (the form and the shares of torch's OneCycleLR, defined here for runs of any length).
        iteration: 0 for the first.
        iterations: how many there will be.
    """
    warmup = schedule.warmup * iterations
    if schedule.name == "one_cycle":
        low, last = 1 / 25, 1 / 25e4
        if iteration < warmup:
            return low + (1 - low) * _half_cosine(iteration / warmup)
        return 1 - (1 - last) * _half_cosine((iteration - warmup) / max(1.0, iterations - 1 - warmup))
    rising = min(1.0, (iteration + 1) / warmup) if warmup >= 1 else 1.0
    if schedule.name == "constant":
        return rising
    return float(rising * max(0.0, 1 - iteration / iterations) ** schedule.power)


def _half_cosine(share: float) -> float:
    return (1 - math.cos(math.pi * min(1.0, share))) / 2
