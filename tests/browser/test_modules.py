"""The pure modules of the page, run in the browser, against our own Python where it knows the answer."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from sightline.types import Mask
from sightline.vision import colors, masks

pytestmark = pytest.mark.browser


def run(page: Page, module: str, body: str, argument: Any = None) -> Any:
    """Run `body` with the module as `m` and the argument as `a`."""
    script = f"async (a) => {{ const m = await import('/static/js/{module}'); {body} }}"
    return page.evaluate(script, argument)


@pytest.mark.parametrize("seed", range(4))
def test_masks_are_unpacked_as_python_packed_them(page: Page, seed: int) -> None:
    random = np.random.default_rng(seed)
    height, width = (int(value) for value in random.integers(1, 90, 2))
    bits = random.random((height, width)) < random.random()
    counts = masks.to_rle(Mask(bits, 0, 0), width, height)["counts"]
    got = run(
        page,
        "rle.js",
        """const [height, width, counts] = a;
        const pixels = new Uint32Array(height * width);
        m.paint(pixels, width, height, 1, { size: [height, width], counts }, 7);
        return [...pixels];""",
        [height, width, counts],
    )
    assert np.array_equal(np.array(got).reshape(height, width) == 7, bits)


def test_large_masks_are_painted_small(page: Page) -> None:
    bits = np.zeros((40, 60), bool)
    bits[8:24, 12:48] = True
    got = run(
        page,
        "rle.js",
        """const pixels = new Uint32Array(15 * 10);
        m.paint(pixels, 15, 10, 4, { size: [40, 60], counts: a }, 1);
        return [...pixels];""",
        masks.to_rle(Mask(bits, 0, 0), 60, 40)["counts"],
    )
    assert np.array_equal(np.array(got).reshape(10, 15) == 1, bits[::4, ::4])


def test_chips_stay_in_view_and_off_each_other(page: Page) -> None:
    random = np.random.default_rng(5)
    corners = random.uniform(0, 360, (60, 2))
    boxes = np.hstack([corners, corners + random.uniform(5, 160, (60, 2))])
    items = [{"box": box.tolist(), "full": 90, "short": 22} for box in boxes]
    for count in (4, 60):
        spots = run(
            page, "parts/chips.js", "return m.layOut(a, { width: 500, height: 500 }, 20);", items[:count]
        )
        placed = [spot for spot in spots if spot]
        assert len(placed) >= min(count, 20)
        for at, one in enumerate(placed):
            assert one["x"] >= 0 <= one["y"]
            assert one["x"] + one["w"] <= 500 >= one["y"] + one["h"]
            for other in placed[at + 1 :]:
                apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
                apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
                assert apart_x or apart_y
        assert all(spot["short"] for spot in placed) == (count == 60)


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ([0, 0, 20, 20], ["top", "left"]),
        ([40, 40, 60, 60], ["middle", "center"]),
        ([80, 70, 100, 100], ["bottom", "right"]),
        ([5, 5, 95, 95], ["whole"]),
    ],
)
def test_places_have_words(page: Page, box: list[int], words: list[str]) -> None:
    assert run(page, "filter.js", "return m.whereIs(a, 100, 100);", box) == words


def test_filters_are_pure_and_inclusive(page: Page) -> None:
    found = run(
        page,
        "filter.js",
        """const rows = [["dog", 0.9], ["cat", 0.35], ["dog", 0.2]];
        const items = rows.map(([label, score], index) => ({ label, score, index }));
        const nothing = { min: 0.35, hidden: new Set(["dog", "cat"]) };
        const state = { min: 0.35, hidden: new Set(["dog"]) };
        return {
          shown: m.visible(items, state).map((item) => item.index),
          best: m.bestBelow(items, { min: 0.95, hidden: new Set() }).index,
          counts: m.countLabels(items, 0.1).map((entry) => [entry.label, entry.count]),
          query: m.filterQuery({ predictions: items }, state).toString(),
          none: m.filterQuery({ predictions: items }, nothing).toString(),
        };""",
    )
    assert found == {
        "shown": [1],
        "best": 0,
        "counts": [["dog", 2], ["cat", 1]],
        "query": "min_score=0.35&labels=cat",
        "none": "min_score=1",
    }


def test_colours_are_those_of_the_server(page: Page) -> None:
    ids = [*range(30), 1000]
    got = run(page, "colors.js", "return a.map((id) => [m.rgbOf(id), m.inkOn(m.rgbOf(id))]);", ids)
    inks = {(0, 0, 0): "#000", (255, 255, 255): "#fff"}
    assert [tuple(rgb) for rgb, _ in got] == [colors.color_of(each) for each in ids]
    assert [ink for _, ink in got] == [inks[colors.ink_on(colors.color_of(each))] for each in ids]


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ([], "Nothing found"),
        ([["person", 1]], "person"),
        ([["person", 2], ["bus", 3], ["dog", 1]], "2 people, 3 buses, dog"),
        ([["a", 1], ["b", 1], ["c", 1], ["d", 1], ["e", 1], ["f", 1]], "a, b, c, d, +2"),
    ],
)
def test_counts_become_a_sentence(page: Page, counts: list[list[Any]], sentence: str) -> None:
    body = "return m.describe(a.map(([label, count]) => ({ label, count })));"
    assert run(page, "strings.js", body, counts) == sentence


def test_times_are_said_as_people_say_them(page: Page) -> None:
    body = "return a.map((s) => m.ago(new Date(1e12 - s * 1000), 1e12));"
    got = run(page, "strings.js", body, [0, 35, 130, 7300, 90_000])
    assert got == ["now", "30 seconds ago", "2 minutes ago", "2 hours ago", "yesterday"]


def test_copied_names_cannot_leave_their_quotes(page: Page) -> None:
    evil = "a'; rm -rf ~; '\"$(x)`y`.jpg"
    safe = run(page, "parts/snippets.js", "return m.safeName(a);", evil)
    assert re.fullmatch(r"[\w. -]+", safe)
    assert json.loads(json.dumps(safe)) == safe


@dataclass(frozen=True, slots=True)
class Script:
    """A module of the page: what it says in quotes, and which tables of words it brings along."""

    quoted: frozenset[str]
    called: frozenset[str]
    """Keys that it hands to `t` as they stand."""
    begun: tuple[str, ...]
    """Beginnings of keys that are made while it runs: t(`jobs.state.${state}`)."""
    ended: tuple[str, ...]
    """Their ends: t(`${key}.note`)."""
    brings: frozenset[str]

    def says(self, key: str, ends: tuple[str, ...]) -> bool:
        """``ends``: those of all modules, for one hands the beginning to another."""
        if key in self.quoted or key.startswith(self.begun):
            return True
        return any(
            key.endswith(end) and key.removesuffix(end) in self.quoted
            for end in ends
            if "." in key.removesuffix(end)
        )


def script(path: Path) -> Script:
    code = path.read_text("utf-8")
    return Script(
        frozenset(re.findall(r'"([a-z0-9_]+(?:\.[a-z0-9_]+)*)"', code)),
        frozenset(re.findall(r'\bt\("([^"]+)"', code)),
        tuple(re.findall(r"`([a-z0-9_.]+\.)\$\{", code)),
        tuple(re.findall(r"`\$\{\w+\}(\.[a-z0-9_.]+)`", code)),
        frozenset(re.findall(r'^import "[./]*/words/([a-z]+)\.js";$', code, re.MULTILINE)),
    )


def test_every_word_is_said_and_who_says_it_brings_it_along(root: Path) -> None:
    folder = root / "src" / "sightline" / "web" / "static" / "js"
    tables = {
        path.stem: set(re.findall(r'^  "([a-z][a-z0-9_.]*)":', path.read_text("utf-8"), re.MULTILINE))
        for path in (folder / "words").glob("*.js")
    }
    keys = [key for table in tables.values() for key in table]
    assert len(keys) == len(set(keys)), "a key is in two tables"
    scripts = {path: script(path) for path in folder.rglob("*.js") if path.parent.name != "words"}
    begun = ("place.", "model.", "where.", "time.", "result.unsure", "result.unknown")
    ends = tuple({end for one in scripts.values() for end in one.ended})
    unsaid = {key for key in keys if not key.startswith(begun)}
    for path, one in scripts.items():
        own = {name for name, table in tables.items() if any(one.says(key, ends) for key in table)}
        assert own - {"common"} == one.brings, f"{path.name} should bring along the words that it says"
        assert one.called <= set(keys), f"{path.name} says words that do not exist"
        unsaid = {key for key in unsaid if not one.says(key, ends)}
    assert unsaid == set()
