"""Random streams that do not disturb each other."""

from __future__ import annotations

import io
import random

import numpy as np
import torch

from bench.train.streams import RandomStream

CPU = torch.device("cpu")


def draw() -> tuple:
    return random.random(), float(np.random.rand()), float(torch.rand(())), random.gauss(0, 1)


def drawn(stream: RandomStream, times: int = 1) -> list:
    found = []
    for _ in range(times):
        with stream.active():
            found.append(draw())
    return found


def test_a_stream_goes_on_where_it_stood_whatever_happens_between():
    alone = drawn(RandomStream(3, CPU), 4)
    first, second = RandomStream(3, CPU), RandomStream(4, CPU)
    mixed = []
    for _ in range(4):
        mixed += drawn(first)
        drawn(second)
        draw()
    assert mixed == alone


def test_the_outer_generators_are_left_as_they_were():
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    expected = draw()
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    drawn(RandomStream(7, CPU), 3)
    assert draw() == expected


def test_the_state_survives_a_checkpoint_read_without_running_code():
    stream = RandomStream(5, CPU)
    drawn(stream, 3)
    file = io.BytesIO()
    torch.save(stream.state_dict(), file)
    expected = drawn(stream, 3)
    restored = RandomStream(0, CPU)
    file.seek(0)
    restored.load_state_dict(torch.load(file, weights_only=True))
    assert drawn(restored, 3) == expected


def test_an_exception_inside_puts_the_outer_generators_back():
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    expected = draw()
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    try:
        with RandomStream(1, CPU).active():
            raise ValueError
    except ValueError:
        pass
    assert draw() == expected
