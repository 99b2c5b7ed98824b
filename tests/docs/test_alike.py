"""``tools/alike.py`` finds the same photograph again, small, packed or mirrored, and nothing else."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

TOOL = Path(__file__).resolve().parents[2] / "tools" / "alike.py"


def photograph(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 255, (12, 12, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((240, 180), Image.Resampling.BICUBIC)


def test_the_same_photograph_is_found_again(tmp_path: Path) -> None:
    for folder in ("trained", "judged"):
        (tmp_path / folder).mkdir()
    for number in range(4):
        photograph(number).save(tmp_path / "trained" / f"{number}.png")
    photograph(1).resize((90, 90)).save(tmp_path / "judged" / "small.jpg", quality=60)
    ImageOps.mirror(photograph(2)).save(tmp_path / "judged" / "mirrored.png")
    photograph(3).save(tmp_path / "judged" / "left_out.png")
    photograph(9).save(tmp_path / "judged" / "other.png")
    images = ", ".join(f'{{"file_name": "{i}.png", "coco_url": "/{i}/"}}' for i in range(4))
    (tmp_path / "a.json").write_text(f'{{"images": [{images}]}}')
    words = [sys.executable, str(TOOL), "a.json", "trained", "judged", "--without", "/3/"]
    told = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert [line.split()[1:] for line in told.splitlines()[:-1]] in (
        [["small.jpg", "1.png"], ["mirrored.png", "2.png"]],
        [["mirrored.png", "2.png"], ["small.jpg", "1.png"]],
    )
    assert told.splitlines()[-1] == "2 of 4 judged pictures are like one of 3"
