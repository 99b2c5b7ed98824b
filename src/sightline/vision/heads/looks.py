"""Several looks at one picture become one answer: what they found competes, as what one look finds does."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from sightline.types import Classification, Detections, Fit, Seen, Segments
from sightline.vision import boxes
from sightline.vision.heads.reading import Need
from sightline.vision.masks import LaterMasks

LEAST_SIDE = 0.075
"""Of what a further look finds, as a share of its canvas's side (24 of 320): the first saw smaller things
larger."""


def worth(seen: Seen, fit: Fit) -> Seen:
    """Of what a look at a smaller canvas found, that whose box has a side of at least ``LEAST_SIDE`` there
    (the root of its area): each look answers for the sizes that it sees best (Singh and Davis, "An Analysis
    of Scale Invariance in Object Detection", 2018, arXiv 1711.08189).
    """
    if isinstance(seen, Classification):
        return seen
    found = seen.detections if isinstance(seen, Segments) else seen
    box = fit.to_canvas(found.xyxy)
    area = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
    kept = np.flatnonzero(area >= LEAST_SIDE**2 * fit.canvas_width * fit.canvas_height)
    if not isinstance(seen, Segments):
        return found.take(kept)
    masks = seen.masks
    return Segments(found.take(kept), LaterMasks(len(kept), lambda position: masks[int(kept[position])]))


def together(found: Sequence[Seen], need: Need, *, agnostic: bool = False) -> Seen:
    """What each look found, overlapping objects suppressed across looks; each keeps the mask of its own look.

    Greedy, with the limits that each look obeyed already. A network that has learned objects of some tens to
    hundreds of pixels sees the small ones in a large canvas and the large ones in a small one (the image
    pyramid of Adelson et al. 1984, as detectors use it since Felzenszwalb et al. 2010).
    """
    first, *others = found
    if not others or isinstance(first, Classification):
        return first
    parts = [look.detections if isinstance(look, Segments) else look for look in found]
    boxed = [part for part in parts if isinstance(part, Detections)]
    every = Detections(
        np.concatenate([part.xyxy for part in boxed]),
        np.concatenate([part.score for part in boxed]),
        np.concatenate([part.label for part in boxed]),
    )
    kept = boxes.nms(every.xyxy, every.score, None if agnostic else every.label, need.iou, need.max_results)
    if not isinstance(first, Segments):
        return every.take(kept)
    masks = [
        partial(look.masks.__getitem__, row)
        for look in found
        if isinstance(look, Segments)
        for row in range(len(look.masks))
    ]
    return Segments(every.take(kept), LaterMasks(len(kept), lambda position: masks[kept[position]]()))
