"""What the pupil sees."""

import numpy as np
import pytest
from PIL import Image

from sightline.training.recipe_features import ViewAugment
from sightline.training.views import clean, spoilt

pytestmark = pytest.mark.train


def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (96, 128, 3)).astype(np.uint8))


def test_a_clean_view_is_the_picture_or_its_mirror() -> None:
    wanted = clean(picture(), 64)
    augment = ViewAugment(clean=1.0)
    seen = [spoilt(picture(), 64, augment, np.random.default_rng(i)) for i in range(20)]
    mirrored = clean(picture().transpose(Image.Transpose.FLIP_LEFT_RIGHT), 64)
    kinds = {
        0 if np.array_equal(view, wanted) else 1 if np.array_equal(view, mirrored) else 2 for view in seen
    }
    assert kinds == {0, 1}


def test_a_spoilt_view_has_lost_its_details() -> None:
    augment = ViewAugment(clean=0.0, smallest=8, colour=0.0, blur=0.0, crop=1.0)
    sharp = np.abs(np.diff(clean(picture(), 64).astype(int), axis=1)).mean()
    seen = [spoilt(picture(), 64, augment, np.random.default_rng(i)) for i in range(20)]
    assert all(view.shape == (64, 64, 3) for view in seen)
    assert np.median([np.abs(np.diff(view.astype(int), axis=1)).mean() for view in seen]) < 0.7 * sharp


def test_the_same_draw_gives_the_same_view() -> None:
    one, other = (spoilt(picture(), 64, ViewAugment(), np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one, other)


def test_a_picture_of_one_pixel_is_no_obstacle() -> None:
    for seed in range(10):
        view = spoilt(Image.new("RGB", (1, 1)), 32, ViewAugment(), np.random.default_rng(seed))
        assert view.shape == (32, 32, 3)
