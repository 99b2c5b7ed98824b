"""Any mode and profile that Pillow reads -> 8-bit sRGB without transparency.

Transparent pixels lie over white, as on a page. Sixteen bits are scaled, not cut. A colour profile is
honoured when it is sound and not sRGB already; a broken one is ignored, as every browser does.
"""

from functools import lru_cache
from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image, ImageCms

PROFILE_BYTES_MAX: Final = 4 << 20
"""Larger profiles are ignored: real ones have at most about 2 MiB (CMYK print profiles)."""


def to_srgb(image: Image.Image) -> Image.Image:
    """A loaded picture of any mode -> mode RGB in sRGB, same size; ``image`` itself may become it."""
    profile = image.info.get("icc_profile")
    plain = _opaque(image)
    if isinstance(profile, bytes) and 128 < len(profile) <= PROFILE_BYTES_MAX:
        plain = _through_profile(plain, profile)
    if plain.mode == "LAB":
        plain = _from_lab(plain)
    return plain if plain.mode == "RGB" else plain.convert("RGB")


def _opaque(image: Image.Image) -> Image.Image:
    """Alpha over white, deep grey to 8 bits, palettes resolved; left are RGB, L, CMYK and odd modes."""
    if image.mode.startswith(("I", "F")):
        return _from_deep(image)
    if image.mode == "1":
        image = image.convert("L")
    if image.mode == "P" and "transparency" not in image.info:
        return image.convert("RGB")
    if image.mode in {"RGBA", "RGBa", "LA", "La", "PA"} or "transparency" in image.info:
        return _over_white(image)
    return image


def _over_white(image: Image.Image) -> Image.Image:
    gray = image.mode in {"LA", "La"}
    image = image.convert("LA") if image.mode == "La" else image
    image = image if image.mode in {"LA", "RGBA"} else image.convert("RGBA")
    alpha = image.getchannel("A")
    kind = "L" if gray else "RGB"
    opaque = image.convert(kind)
    if alpha.getextrema()[0] == 255:
        return opaque
    opaque.paste("white", mask=alpha.point([255 - value for value in range(256)]))
    return opaque


def _from_deep(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and floating grey -> L.

    Files do not say what white is. Integers: 255, 65535 or the largest value, the first that holds all of
    them. Floats: 1, 255 or the largest value. Values below zero and NaN are black.
    """
    values = np.asarray(image).astype(np.float32)
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    if image.mode.startswith("I;16"):
        white = 65535.0
    else:
        top = float(values.max(initial=0.0))
        steps = (1.0, 255.0) if image.mode == "F" else (255.0, 65535.0)
        white = next((step for step in steps if top <= step), top)
    return Image.fromarray(np.clip(values * (255.0 / white) + 0.5, 0, 255).astype(np.uint8))


def _through_profile(image: Image.Image, profile: bytes) -> Image.Image:
    if image.mode not in {"RGB", "L", "CMYK", "LAB"}:
        return image
    try:
        transform = _transform(profile, image.mode)
        if transform is None:
            return image
        if image.mode == "RGB":
            return transform.apply_in_place(image)  # a second picture of 64 megapixels would be 256 MB more
        return transform.apply(image)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image


@lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The way to sRGB, or None where the profile is sRGB already. Kept: a camera always sends the same."""
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    if mode == "RGB" and "srgb" in (source.profile.profile_description or "").lower():
        return None
    return ImageCms.ImageCmsTransform(source, _srgb(), mode, "RGB", ImageCms.Intent.PERCEPTUAL)


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@lru_cache(maxsize=1)
def _lab_transform() -> ImageCms.ImageCmsTransform:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    return ImageCms.ImageCmsTransform(lab, _srgb(), "LAB", "RGB")


def _from_lab(image: Image.Image) -> Image.Image:
    return _lab_transform().apply(image)


def warm_up() -> None:
    """Build the profiles that are always needed."""
    _srgb()
    _lab_transform()
