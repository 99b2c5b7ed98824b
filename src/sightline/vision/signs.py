"""A rule over boxes: what stands around an object, turned into a score.

A sign is a kind of thing and a zone around the object. The zone is told in the object's own width and
height, so it grows with the object: (0, 0, 1, 1) is the box itself, y 1 its lower edge. A thing is as
strong a sign as the product of its score and the share of its box that lies inside the zone.
"""

from typing import TYPE_CHECKING

import numpy as np

from sightline.types import Classification, Detections, Float32

if TYPE_CHECKING:  # plain numbers in, plain numbers out: nothing here needs pydantic at run time
    from sightline.manifest.pipeline import Sign, SignRule


def strengths(found: Detections, rows: list[int], labels: tuple[str, ...], sign: "Sign") -> Float32:
    """How strong a sign is at each row of ``found``: (len(rows),) float32 in 0..1.

    ``labels``: all labels of the model that found them, by label id. Boxes without an area have no share.
    """
    kinds = [number for number, label in enumerate(labels) if label in sign.labels]
    things = found.take(np.isin(found.label, kinds) & (found.score >= sign.min_score))
    if not rows or not len(things):
        return np.zeros(len(rows), np.float32)
    box = found.xyxy[rows].astype(np.float64)
    corner, size = box[:, :2], np.maximum(box[:, 2:] - box[:, :2], 1e-6)
    zone = np.concatenate([corner + size * sign.zone[:2], corner + size * sign.zone[2:]], axis=1)
    thing = things.xyxy.astype(np.float64)
    low = np.maximum(zone[:, None, :2], thing[None, :, :2])
    high = np.minimum(zone[:, None, 2:], thing[None, :, 2:])
    inside = np.prod(np.clip(high - low, 0, None), axis=2)
    area = np.prod(np.clip(thing[:, 2:] - thing[:, :2], 0, None), axis=1)
    share = np.where(area > 0, inside / np.maximum(area, 1e-6), 0.0)
    large = area[None, :] >= sign.least * np.prod(size, axis=1)[:, None]
    return np.asarray(np.max(share * things.score * large, axis=1, initial=0.0), np.float32)


def judge(
    found: Detections, rows: list[int], labels: tuple[str, ...], rule: "SignRule"
) -> list[Classification]:
    """The rule's answer about each of these rows: two labels, strongest first.

    Label 0 is ``rule.says``, label 1 ``rule.otherwise``; their scores add up to 1.
    """
    total = np.full(len(rows), rule.bias, np.float64)
    for sign in rule.signs:
        total += sign.weight * strengths(found, rows, labels, sign)
    likely = 1 / (1 + np.exp(-np.clip(total, -60, 60)))
    answers = []
    for value in likely.tolist():
        score = np.array([value, 1 - value], np.float32)
        order = np.argsort(-score, kind="stable").astype(np.int64)
        answers.append(Classification(order, score[order]))
    return answers
