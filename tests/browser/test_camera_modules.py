"""The pure modules of the camera, run in the browser: pace, change, rule, doctor, settings."""

from typing import Any

import pytest
from playwright.sync_api import Page
from tests.browser.test_modules import run

pytestmark = pytest.mark.browser


def test_the_pace_is_that_of_the_last_four_seconds(page: Page) -> None:
    fps, delay, later, none = run(
        page,
        "parts/camera-pace.js",
        """const pace = new m.Pace();
        const none = [pace.fps(0), pace.delay(), pace.depth()];
        for (let at = 100; at <= 10000; at += 100) pace.answered(at - 40, at, 30);
        return [pace.fps(10000), pace.delay(), pace.fps(12000), none];""",
    )
    assert none == [None, None, 1]
    assert fps == pytest.approx(10)
    assert delay == 40
    assert 4 < later < 6, "two seconds without an answer count"


def test_a_long_way_allows_a_second_picture(page: Page) -> None:
    depths = run(
        page,
        "parts/camera-pace.js",
        """return a.map(([delay, work]) => {
          const pace = new m.Pace();
          for (let at = 0; at < 1000; at += 100) pace.answered(at - delay, at, work);
          return pace.depth();
        });""",
        [[40, 30], [50, 30], [200, 30], [1000, 900]],
    )
    assert depths == [1, 2, 2, 1]


@pytest.mark.parametrize(
    ("last", "now", "due"), [(None, 500, 500), (0, 400, 1000), (0, 1000, 1000), (0, 3700, 3700)]
)
def test_captures_do_not_pile_up(page: Page, last: int | None, now: int, due: int) -> None:
    assert run(page, "parts/camera-pace.js", "return m.nextDue(a[0], 1000, a[1]);", [last, now]) == due


CHANGES = {
    "the same": ("before", False),
    "one cell of noise": ("before.map((v, i) => (i === 7 ? 255 : v))", False),
    "a little noise everywhere": ("before.map((v, i) => v + (i % 3) * 5)", False),
    "brighter all over": ("before.map((v) => v + 60)", False),
    "a part moved": ("before.map((v, i) => (i % 32 < 8 && i < 256 ? 200 : v))", True),
    "a part moved and brighter": ("before.map((v, i) => 40 + (i % 32 < 8 && i < 256 ? 200 : v))", True),
    "the first": ("null", True),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_counts_as_news(page: Page, name: str) -> None:
    after, expected = CHANGES[name]
    script = f"""const before = new Float32Array(m.CELLS[0] * m.CELLS[1]).map((_, i) => 60 + (i % 32));
      const after = {after};
      return after ? m.changed(before, after) : m.changed(null, before);"""
    assert run(page, "parts/camera-change.js", script) is expected


def test_grey_is_weighed_as_eyes_do(page: Page) -> None:
    script = "return [...m.grey(new Uint8ClampedArray([255,0,0,255, 0,255,0,255, 0,0,255,255, 9,9,9,255]))];"
    assert run(page, "parts/camera-change.js", script) == pytest.approx([76.245, 149.685, 29.07, 9])


def _told(page: Page, rule: dict[str, Any], captures: list[tuple[float, dict[str, float]]]) -> list[Any]:
    """What the rule said to each capture: (seconds, {label: score})."""
    seen = [
        [1000 * at, [{"label": label, "score": score} for label, score in found.items()]]
        for at, found in captures
    ]
    body = (
        "const w = new m.Watcher(a[0]); return a[1].map(([now, found]) => w.see(found, now)?.label ?? null);"
    )
    told: list[Any] = run(page, "parts/camera-rule.js", body, [rule, seen])
    return told


def test_a_rule_needs_enough_of_the_last_captures(page: Page) -> None:
    rule = {"label": "Rider", "score": 0.8, "hits": 3, "of": 5, "quiet": 0}
    yes, weak, other = {"rider": 0.8}, {"rider": 0.79}, {"dog": 0.99}
    captures = [yes, weak, yes, other, yes, yes, {}, {}, yes, yes]
    told = _told(page, rule, [(1000.0 + at, found) for at, found in enumerate(captures)])
    assert told == [None, None, None, None, "rider", None, None, None, None, "rider"]


def test_after_it_spoke_it_is_quiet(page: Page) -> None:
    rule = {"label": "", "score": 0.5, "hits": 1, "of": 1, "quiet": 10}
    told = _told(
        page, rule, [(100, {"cat": 0.6, "dog": 0.9}), (130, {"cat": 1}), (699, {"cat": 1}), (700, {"cat": 1})]
    )
    assert told == ["dog", None, None, "cat"]


def test_rules_are_put_into_their_bounds(page: Page) -> None:
    wild = {"label": "  cat ", "score": 7, "hits": 9, "of": 4, "quiet": -3}
    found = run(page, "parts/camera-rule.js", "return m.soundRule(a);", wild)
    assert (found["label"], found["score"], found["hits"], found["of"], found["quiet"]) == ("cat", 1, 4, 4, 0)
    empty = run(page, "parts/camera-rule.js", "return m.soundRule({ hits: '', of: 'x', score: 'y' });")
    assert (empty["hits"], empty["of"], empty["score"]) == (1, 1, 0)


def test_another_label_forgets_what_was_seen(page: Page) -> None:
    script = """const w = new m.Watcher({ label: "cat", score: 0.5, hits: 3, of: 3, quiet: 0 });
      w.see([{ label: "cat", score: 1 }], 1); w.see([{ label: "cat", score: 1 }], 2);
      w.change({ label: "cat", score: 0.5, hits: 2, of: 2, quiet: 0 });
      const kept = w.count;
      w.change({ label: "dog", score: 0.5, hits: 2, of: 2, quiet: 0 });
      return [kept, w.count];"""
    assert run(page, "parts/camera-rule.js", script) == [2, 0]


FINE: dict[str, Any] = {"secure": True, "able": True, "allowed": True}
DIAGNOSES = [
    (FINE, None, None),
    ({**FINE, "secure": False, "able": False}, None, "insecure"),
    ({**FINE, "able": False}, None, "unsupported"),
    ({**FINE, "allowed": False}, None, "policy"),
    (FINE, ("NotAllowedError", "Permission denied"), "denied"),
    (FINE, ("NotAllowedError", "Permission dismissed"), "dismissed"),
    (FINE, ("NotAllowedError", "Permission denied by system"), "system"),
    (FINE, ("NotAllowedError", "Blocked by Permissions Policy"), "policy"),
    (FINE, ("NotAllowedError", ""), "denied"),
    (FINE, ("SecurityError", ""), "policy"),
    (FINE, ("NotFoundError", "Requested device not found"), "none"),
    (FINE, ("NotReadableError", "Could not start video source"), "busy"),
    (FINE, ("AbortError", ""), "busy"),
    (FINE, ("TrackEnded", ""), "lost"),
    (FINE, ("TypeError", "odd"), "other"),
]


@pytest.mark.parametrize(("facts", "error", "kind"), DIAGNOSES)
def test_the_doctor_tells_reasons_apart(
    page: Page, facts: dict[str, Any], error: tuple[str, str] | None, kind: str | None
) -> None:
    told = {"name": error[0], "message": error[1]} if error else None
    assert run(page, "parts/camera-doctor.js", "return m.diagnose(a);", {**facts, "error": told}) == kind


def test_every_trouble_has_words(page: Page) -> None:
    kinds = sorted({kind for _, _, kind in DIAGNOSES if kind})
    texts = run(
        page,
        "parts/camera-doctor.js",
        "return a.map((kind) => m.doctorBox(kind, { error: new Error('odd'), again() {} }).textContent);",
        kinds,
    )
    assert len(texts) == len(set(texts)) == 10
    for text in texts:
        assert "doctor." not in text.replace("doctor.again", "")
        assert "{" not in text


def test_names_of_captures_are_the_visitors_time(page: Page) -> None:
    script = "return m.captureName(new Date(2026, 0, 5, 7, 8, 9));"
    assert run(page, "parts/camera-every.js", script) == "camera-2026-01-05-07-08-09.jpg"


def test_broken_settings_are_the_defaults(page: Page) -> None:
    script = """return ["{", "[]", '{"seconds": 0}', '{"mode": "x", "seconds": 0.5}'].map((text) => {
        localStorage.setItem("sightline.camera", text);
        const { mode, seconds } = m.loadSettings();
        return [mode, seconds];
      });"""
    assert run(page, "parts/camera-panel.js", script) == [
        ["every", 10],
        ["every", 10],
        ["every", 10],
        ["every", 0.5],
    ]
