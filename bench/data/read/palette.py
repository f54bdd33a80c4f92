"""Colours for classes that have none of their own."""

from __future__ import annotations

Colour = tuple[int, int, int]
_BITS = 8


def voc_colormap(n: int) -> tuple[Colour, ...]:
    """Return the first colours of the PASCAL VOC colour map.

    The bits of an index are dealt to red, green and blue in turn, lowest first, and fill each channel from its highest
    bit down. So neighbouring indices differ strongly, and 256 colours are distinct.

    Args:
        n: how many, 0..256.

    Returns:
        RGB, 0..255; index 0 is black.

    Raises:
        ValueError: more are asked for than there are.
    """
    if not 0 <= n <= 1 << _BITS:
        raise ValueError(f"the colour map has {1 << _BITS} colours, not {n}")
    return tuple((_channel(index, 0), _channel(index, 1), _channel(index, 2)) for index in range(n))


def _channel(index: int, channel: int) -> int:
    """Return one channel: every third bit of the index, the lowest of them as the highest bit of the value."""
    value = 0
    for place in range(_BITS):
        bit = index >> (3 * place + channel) & 1
        value |= bit << (_BITS - 1 - place)
    return value
