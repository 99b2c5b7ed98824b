"""A piece of a picture as two see it: the teacher a clean one, the pupil what a bad camera makes of it."""

import io

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from sightline.training.recipe_features import ViewAugment
from sightline.types import UInt8

_FILTERS = (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
_GOOD = 95
"""Quality of JPEG from which nothing is seen."""


def clean(picture: Image.Image, size: int) -> UInt8:
    """Stretched as it is served: (size, size, 3) RGB."""
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=2.0))


def spoilt(picture: Image.Image, size: int, augment: ViewAugment, draw: np.random.Generator) -> UInt8:
    """Mirrored half of the time; cut a little, recoloured, scaled down, blurred, packed, and scaled up again.

    The side in between is drawn evenly on a logarithmic scale, so that 32 pixels, as small sets and far
    objects have them, are as frequent as 128.
    """
    if draw.random() < 0.5:
        picture = ImageOps.mirror(picture)
    if draw.random() < augment.clean:
        return clean(picture, size)
    picture = _cut(picture, augment.crop, draw)
    side = round(float(np.exp(draw.uniform(np.log(augment.smallest), np.log(size)))))
    picture = picture.resize((side, side), _FILTERS[int(draw.integers(len(_FILTERS)))], reducing_gap=2.0)
    picture = _coloured(picture, augment.colour, draw)
    if draw.random() < 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(draw.uniform(0, augment.blur)))
    picture = _packed(picture, int(draw.integers(augment.quality, _GOOD + 1)))
    return clean(picture, size)


def _cut(picture: Image.Image, least: float, draw: np.random.Generator) -> Image.Image:
    wide, high = (side * draw.uniform(least, 1) for side in picture.size)
    x, y = draw.uniform(0, picture.width - wide), draw.uniform(0, picture.height - high)
    return picture.crop((int(x), int(y), max(int(x) + 1, int(x + wide)), max(int(y) + 1, int(y + high))))


def _coloured(picture: Image.Image, most: float, draw: np.random.Generator) -> Image.Image:
    for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = kind(picture).enhance(1 + draw.uniform(-most, most))
    return picture


def _packed(picture: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")
