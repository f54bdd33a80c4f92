"""DIST: what the relations do not depend on."""

from __future__ import annotations

import pytest
import torch
from bench.methods.dist import relation_distances


def test_neither_batch_size_nor_resolution_nor_the_order_of_pixels_matters():
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(2, 5, 3, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    expected = pytest.approx([one.item() for one in relation_distances(student, teacher, 2.0)], rel=1e-6)
    changes = (
        lambda maps: maps.repeat(3, 1, 1, 1),
        lambda maps: maps.repeat_interleave(2, 2).repeat_interleave(2, 3),
        lambda maps: maps.flip(0).mT,
    )
    for change in changes:
        assert [one.item() for one in relation_distances(change(student), change(teacher), 2.0)] == expected
    assert [one.item() for one in relation_distances(teacher, teacher, 2.0)] == pytest.approx([0, 0], abs=1e-6)
