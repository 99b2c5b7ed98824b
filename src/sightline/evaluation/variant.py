"""An int8 file that belongs to its model: made, judged on labelled pictures beside the float one, and kept if
it loses little.

The variant goes into a new version of the model. A version is never changed once it is on a shelf, and both
files are one model: the same name in requests, one card, one contract, and whoever goes back to the version
before has exactly what was there.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sightline.errors import BadOption
from sightline.evaluation.data import open_dataset
from sightline.evaluation.evaluate import Rules, evaluate
from sightline.evaluation.report import Report
from sightline.manifest import LOSS_MAX, Manifest, Variant
from sightline.registry import CARD_FILE, INT8_FILE, MANIFEST_FILE, MODEL_FILE, Bundle, Registry, file_sha256
from sightline.runtime.engine import EngineName
from sightline.runtime.quantize import Quantised, quantize
from sightline.serving.importer import free_version, import_model
from sightline.serving.quantizing import calibration
from sightline.serving.road import Road
from sightline.settings import Settings

MAIN = ("AP", "mask_AP", "top1")
"""The figures that decide, of those that a report has; the one that loses most counts."""
_POINTS = 100
_NEW = "candidate"


@dataclass(frozen=True, slots=True)
class Exam:
    """Labelled pictures, as ``evaluate`` reads them, and how to judge on them."""

    data: Path
    rules: Rules = field(default_factory=Rules)

    def without(self, pictures: Iterable[bytes]) -> Iterator[bytes]:
        """The pictures themselves, made sure that none of them is judged.

        Raises:
            BadOption: One is.
        """
        folder = Path(self.rules.pictures) if self.rules.pictures else None
        judged = open_dataset(self.data, pictures=folder, first=self.rules.first).pictures
        marks = {hashlib.sha256(picture.read()).digest() for picture in judged}
        for data in pictures:
            if hashlib.sha256(data).digest() in marks:
                raise BadOption(
                    f"A calibration picture is among the judged ones of {self.data.name}.",
                    next_step="Calibrate with other pictures: figures on seen ones say too much.",
                )
            yield data


@dataclass(frozen=True, slots=True)
class Varied:
    """What became of it."""

    folder: Path
    """The finished bundle."""
    bundle: Bundle | None
    """The same on the shelf; None if it was only to be written."""
    made: Quantised
    variant: Variant


def make_variant(
    reference: str,
    pictures: Iterable[bytes],
    exam: Exam,
    settings: Settings,
    *,
    out: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Varied:
    """Give the model ``reference`` an int8 file and put the result on the shelf as its next version.

    Args:
        reference: ``name`` or ``name@version``.
        pictures: To calibrate with; none of them may be among the labelled ones.
        exam: The labelled pictures.
        settings: Where models live. Both files are judged with ONNX Runtime; another engine that computes the
            int8 file alike is judged too, and may run it only if it loses as little.
        out: Only write the bundle to this folder, under the version that it has.
        tell: Told what is going on.

    Raises:
        NotFound: No such model.
        BadOption: Too few pictures, some of them judged, or data of another kind.
        ModelRefused, ModelFailed: It is quantised already, or every way loses too much.
    """
    registry = Registry(settings)
    source = registry.resolve(reference)
    if source.stages:
        raise BadOption(
            f"{source.reference} is a pipeline: it has no network of its own.", next_step="Name a model."
        )
    tell("Reading the calibration pictures")
    tensors = calibration(source.manifest, exam.without(pictures), settings)
    with tempfile.TemporaryDirectory(prefix="sightline-int8-") as place:
        folder = out or Path(place) / "bundle"
        folder.mkdir(parents=True, exist_ok=True)
        trial = _Trial(source, exam, settings, Path(place) / "data", tell)
        made = quantize(source.model_path, folder / INT8_FILE, tensors, source.manifest, tell, trial.loses)
        trial.elsewhere(folder / INT8_FILE, made.engines)
        variant = _variant(folder, made, len(tensors), trial)
        version = source.version if out else free_version(registry, source.name, source.version)
        _write(folder, source, variant, version)
        bundle = None if out else import_model(folder, registry, settings).bundle
    return Varied(folder, bundle, made, variant)


class _Trial:
    """Judges quantised files beside the float one: the same pictures, run and rules."""

    def __init__(
        self,
        source: Bundle,
        exam: Exam,
        settings: Settings,
        place: Path,
        tell: Callable[[str], None],
    ) -> None:
        self._source, self._exam, self._tell = source, exam, tell
        self._settings = replace(settings, data_dir=str(place), precision="fp32")
        self.float: Report | None = None
        self.int8: Report | None = None
        self.others: dict[EngineName, Report] = {}

    def loses(self, path: Path) -> float:
        """Points that the file loses against the float one; the worst of the main figures."""
        if self.float is None:
            self._tell("Judging the float model")
            self.float = self._judge(self._source.model_path, "fp32")
        self._tell("Judging the int8 file")
        self.int8 = self._judge(path, "int8")
        return lost(self.float, self.int8)

    def elsewhere(self, path: Path, engines: Iterable[EngineName]) -> None:
        """Judge the file in the engines besides ONNX Runtime: each rounds at other places."""
        for engine in engines:
            if engine != "onnxruntime":
                self._tell(f"Judging the int8 file with {_TITLES[engine]}")
                self.others[engine] = self._judge(path, f"int8.{engine}", engine)

    def _judge(self, graph: Path, version: str, engine: EngineName = "onnxruntime") -> Report:
        """As a model of its own, so that nothing but the file differs."""
        home = Path(self._settings.data_dir) / "models" / _NEW / version
        manifest = self._source.manifest.model_copy(
            update={
                "name": _NEW,
                "version": version,
                "sha256": file_sha256(graph),
                "bytes": graph.stat().st_size,
                "variants": (),
            }
        )
        home.mkdir(parents=True, exist_ok=True)
        (home / MODEL_FILE).write_bytes(graph.read_bytes())
        (home / MANIFEST_FILE).write_text(manifest.model_dump_json(), "utf-8")
        with Road.open(replace(self._settings, engine=engine)) as road:
            road.pool.get(f"{_NEW}@{version}")
            return evaluate(road, f"{_NEW}@{version}", self._exam.data, rules=self._exam.rules)


def lost(before: Report, after: Report) -> float:
    """Points that the worst main figure of ``after`` lies below that of ``before``.

    Raises:
        BadOption: They have no main figure in common.
    """
    names = [name for name in MAIN if name in before.figures and name in after.figures]
    if not names:
        raise BadOption(
            f"The data set gives none of the figures {', '.join(MAIN)}.",
            next_step="Judge on another data set.",
        )
    return _POINTS * max(before.figures[name].value - after.figures[name].value for name in names)


def may_run(before: Report, others: Mapping[EngineName, Report]) -> tuple[EngineName, ...]:
    """ONNX Runtime, and of the other engines those in which the file loses as little against ``before``."""
    return ("onnxruntime", *(name for name, report in others.items() if lost(before, report) <= LOSS_MAX))


def figures(report: Report) -> dict[str, Any]:
    """The main figures as the manifest keeps them: value and interval, in shares."""
    kept = {name: report.figures[name] for name in MAIN if name in report.figures}
    return {
        name: {"value": round(item.value, 5), "interval": _interval(item.low, item.high)}
        for name, item in kept.items()
    }


def _interval(low: float | None, high: float | None) -> list[float] | None:
    return None if low is None or high is None else [round(low, 5), round(high, 5)]


def _variant(folder: Path, made: Quantised, pictures: int, trial: _Trial) -> Variant:
    path = folder / INT8_FILE
    assert trial.float is not None  # the last attempt was judged, or quantize had raised
    assert trial.int8 is not None
    others = {name: figures(report) for name, report in trial.others.items()}
    return Variant(
        sha256=file_sha256(path),
        bytes=path.stat().st_size,
        loses=round(made.chosen.loses or 0.0, 3),
        metrics=figures(trial.int8) | {"float": figures(trial.float)} | others,
        engines=may_run(trial.float, trial.others),
        calibration=f"{pictures} pictures, {made.calibration}; {made.chosen.title}",
        judged_on=f"{trial.int8.dataset}, {trial.int8.pictures} pictures, ONNX Runtime",
    )


def _write(folder: Path, source: Bundle, variant: Variant, version: str) -> None:
    manifest: Manifest = source.manifest.model_copy(update={"version": version, "variants": (variant,)})
    (folder / MODEL_FILE).write_bytes(source.model_path.read_bytes())
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=1), "utf-8")
    (folder / CARD_FILE).write_text(_card(source.card, variant), "utf-8")


def _card(card: str, variant: Variant) -> str:
    """The model's card with a section about the int8 file, in place of an older one."""
    main, rest = variant.metrics, variant.metrics["float"]
    others = [name for name in _TITLES if name in main]
    rows = [
        " | ".join(
            [f"| {name}", _told(rest[name]), _told(main[name]), *(_told(main[o][name]) for o in others)]
        )
        + " |"
        for name in rest
    ]
    head = ["figure, %", "float", "int8", *(f"int8, {_TITLES[name]}" for name in others)]
    about = (
        f"Made by `sightline models quantize` from the same network: {variant.bytes / 1e6:.2f} MB; "
        f"calibrated with {variant.calibration}. Judged on {variant.judged_on}, both files in one run, "
        f"95 % intervals in brackets; {variant.loses:.2f} points lost where most are. It runs where the "
        "setting `precision` says `int8`, and with `auto` where it is clearly faster on the machine. "
        f"Engines that may run it: {', '.join(variant.engines)}."
    )
    table = [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *rows]
    section = "\n".join([_HEADING, "", about, "", *table, ""])
    return f"{card.partition(_HEADING)[0].rstrip()}\n\n{section}".lstrip()


_HEADING = "## The int8 file"
_TITLES: Mapping[EngineName, str] = {"openvino": "OpenVINO"}
"""Engines that a file is judged with besides ONNX Runtime."""


def _told(figure: dict[str, Any]) -> str:
    text = f"{_POINTS * figure['value']:.1f}"
    if figure["interval"] is None:
        return text
    low, high = (f"{_POINTS * bound:.1f}" for bound in figure["interval"])
    return f"{text} [{low}, {high}]"
