import pytest

from bench.data.read.palette import voc_colormap

VOC_20_AND_255 = {
    0: (0, 0, 0),
    1: (128, 0, 0),
    2: (0, 128, 0),
    3: (128, 128, 0),
    4: (0, 0, 128),
    7: (128, 128, 128),
    8: (64, 0, 0),
    15: (192, 128, 128),
    16: (0, 64, 0),
    20: (0, 64, 128),
    255: (224, 224, 192),
}
"""Read in the published palette of the label files."""


def test_the_colours_are_those_of_voc_label_files():
    colours = voc_colormap(256)
    assert {index: colours[index] for index in VOC_20_AND_255} == VOC_20_AND_255


def test_all_colours_differ():
    assert len(set(voc_colormap(256))) == 256


def test_fewer_colours_are_the_first_ones():
    assert voc_colormap(21) == voc_colormap(256)[:21]
    assert voc_colormap(0) == ()


@pytest.mark.parametrize("n", [-1, 257])
def test_more_colours_than_there_are_is_an_error(n):
    with pytest.raises(ValueError, match="256 colours"):
        voc_colormap(n)
