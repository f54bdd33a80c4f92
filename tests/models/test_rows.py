"""Layers in a row: which results are kept, and where a head is cut."""

from __future__ import annotations

import torch
from torch import nn

from bench.models.rows import through_head, through_stages


def blocks(*strides: int) -> nn.Sequential:
    return nn.Sequential(*(nn.Conv2d(2, 2, 3, stride=stride, padding=1) for stride in strides))


def test_the_stages_are_what_the_blocks_at_the_ends_give():
    row, images = blocks(2, 1, 2, 1), torch.rand(1, 2, 8, 8)
    last, stages = through_stages(row, images, ends=(0, 2))
    assert [stage.shape[-1] for stage in stages] == [4, 2]
    assert torch.equal(stages[0], row[0](images))
    assert torch.equal(last, row(images))
    assert not torch.equal(stages[-1], last)


def test_without_ends_every_block_ends_a_stage():
    row = blocks(2, 2)
    last, stages = through_stages(row, torch.rand(1, 2, 8, 8))
    assert [stage.shape[-1] for stage in stages] == [4, 2]
    assert stages[-1] is last


def test_a_head_is_cut_before_its_last_layer():
    head, feature = blocks(1, 2, 1), torch.rand(1, 2, 8, 8)
    embedding, logits = through_head(head, feature)
    assert torch.equal(embedding, head[:-1](feature))
    assert torch.equal(logits, head(feature))


def test_a_head_of_one_layer_classifies_what_it_is_given():
    head, feature = blocks(1), torch.rand(1, 2, 8, 8)
    embedding, logits = through_head(head, feature)
    assert embedding is feature
    assert torch.equal(logits, head(feature))
