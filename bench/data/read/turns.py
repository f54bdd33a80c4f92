"""How EXIF tags turn an image and its mask, and what is wrong where the two do not lie alike."""

from __future__ import annotations

from pathlib import Path

from PIL import ExifTags, Image, ImageFile, ImageOps

from bench.base.errors import BenchError
from bench.data.read.opening import opened

QUARTERS = frozenset({5, 6, 7, 8})
"""EXIF orientations that exchange height and width."""
_WORDS = {
    1: "not turned",
    2: "mirrored left to right",
    3: "turned by half",
    4: "mirrored top to bottom",
    5: "mirrored and turned by a quarter anticlockwise",
    6: "turned by a quarter clockwise",
    7: "mirrored and turned by a quarter clockwise",
    8: "turned by a quarter anticlockwise",
}

Size = tuple[int, int]
"""Height and width in pixels."""


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation of an opened, not yet decoded file, 1..8; 1 where it has none or a senseless one."""
    told = image.getexif().get(ExifTags.Base.Orientation, 1)
    return told if told in _WORDS else 1


def upright(image: Image.Image) -> Image.Image:
    """Return an opened, not yet decoded image, turned as its EXIF tag says."""
    if isinstance(image, ImageFile.ImageFile) and image.format == "TIFF" and orientation_of(image) in QUARTERS:
        image.filename = ""  # Pillow maps the file into memory with the turned width, which scrambles the pixels
    return ImageOps.exif_transpose(image)


def turned_size(image: Image.Image) -> Size:
    """Return height and width of an opened, not yet decoded file, turned as its EXIF tag says."""
    width, height = image.size
    # Pillow has turned the size of a TIFF already.
    turned = image.format != "TIFF" and orientation_of(image) in QUARTERS
    return (width, height) if turned else (height, width)


def turn_of(path: Path) -> int:
    """Return the EXIF orientation of a file, 1..8; 1 where it has none or cannot be read."""
    try:
        with opened(path) as image:
            return orientation_of(image)
    except BenchError:
        return 1  # a MATLAB file, or a fault that reading tells


def misfit(image: Path, mask: Path, image_size: Size, mask_size: Size) -> str:
    """Return the sentence for a mask of another size than its image, both as turned by their own tags.

    A mask that only lies otherwise than its image must not be resized: the turn is named instead.
    """
    told = (
        f"{mask}: labels of {mask_size[1]} x {mask_size[0]} pixels do not fit the image of {image_size[1]} x "
        f"{image_size[0]} pixels, {image}."
    )
    if image_size != mask_size[::-1]:
        return f"{told} Make both the same size."
    of_image, of_mask = turn_of(image), turn_of(mask)
    if of_image in QUARTERS and of_mask not in QUARTERS:
        return (
            f"{told} The image is {_WORDS[of_image]} by its EXIF tag, the mask fits the image as it is stored. Turn "
            "the mask alike, or take the tag out of the image (exiftool -Orientation= FILE); do not resize."
        )
    if of_mask in QUARTERS and of_image not in QUARTERS:
        return (
            f"{told} The mask is {_WORDS[of_mask]} by its EXIF tag, its stored pixels fit the image. Take the tag out "
            "of the mask (exiftool -Orientation= FILE), or turn the image alike; do not resize."
        )
    return f"{told} The mask lies across its image: turn one of them by a quarter; do not resize."


def doubtful_turn(image: Path, mask: Path) -> str:
    """Return how a mask may lie otherwise than its image though the sizes fit; empty where there is no doubt.

    Tags that differ are no fault where the sizes fit in one way alone: a mask drawn over the turned photograph needs
    none.
    """
    try:
        with opened(image) as of_image, opened(mask) as of_mask:
            turns = orientation_of(of_image), orientation_of(of_mask)
            square = of_image.size[0] == of_image.size[1]
    except BenchError:
        return ""
    either_way = square or (turns[0] in QUARTERS) == (turns[1] in QUARTERS)
    if turns[0] == turns[1] or not either_way:
        return ""
    return f"by their EXIF tags the image is {_WORDS[turns[0]]} and the mask is {_WORDS[turns[1]]}"
