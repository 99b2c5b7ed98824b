"""Import: the real weights with few or no hints, and everything that must be refused with a plain reason."""

import io
import json
import pickle
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sightline.errors import BadOption, InputError, ModelRefused, NotFound, SightlineError, StorageFull
from sightline.registry import Registry, file_sha256
from sightline.registry.labels import COCO, VOC
from sightline.sandbox import Limits
from sightline.serving import importer, sources
from sightline.serving.importer import ImportReport, import_model, inspect_model
from sightline.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=str(tmp_path / "data"), disk_reserve_mb=0)


@pytest.fixture
def registry(settings: Settings, tmp_path: Path) -> Registry:
    return Registry(settings, bundled=tmp_path / "none")


def tiny(path: Path, *, classes: int = 3, edit: Any = None, batch: int | str = "n") -> Path:
    """A classifier of 32x32 pictures with random weights and no softmax."""
    weight = np.random.default_rng(1).normal(0, 1, (classes, 3, 1, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["p"]),
        helper.make_node("Flatten", ["p"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 32, 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, classes])],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if edit:
        edit(model)
    path.write_bytes(model.SerializeToString())
    return path


REAL: list[tuple[str, dict[str, Any], tuple[str, ...], tuple[int, int], tuple[str, ...]]] = [
    ("yolox_nano_416", {}, ("detect", "yolox", "BGR", "NCHW"), (416, 416), COCO),
    ("fastestdet_352", {}, ("detect", "fastestdet", "BGR", "NCHW"), (352, 352), COCO),
    ("yunet_n_dynamic", {}, ("detect", "yunet", "BGR", "NCHW"), (640, 640), ("face",)),
    ("yunet_n_dynamic", {"width": 320, "height": 256}, ("detect", "yunet", "BGR", "NCHW"), (320, 256), ()),
    ("ultraface_rfb_320", {}, ("detect", "ultraface", "RGB", "NCHW"), (320, 240), ("face",)),
    ("deeplab_v3_mnv2_voc_257", {}, ("segment", "deeplab", "RGB", "NHWC"), (257, 257), VOC[1:]),
    ("bodypix_mnv1_050_stride16", {}, ("segment", "bodypix", "RGB", "NHWC"), (513, 513), ("person",)),
    ("mobilenet_v2_1.0_224_dequantised", {"labels": "imagenet_labels_1001.txt"},
     ("classify", "softmax", "RGB", "NCHW"), (224, 224), ("tench, Tinca tinca",)),
]  # fmt: skip
"""(file, hints, (task, head, colours, layout), size, the first labels)."""


@pytest.mark.parametrize("row", REAL, ids=[f"{row[0]}-{len(row[1])}" for row in REAL])
def test_real_models_need_few_hints(shared: Path, registry: Registry, settings: Settings, row: Any) -> None:
    name, hints, kinds, size, labels = row
    if "labels" in hints:
        hints = {"labels": shared / "weights" / hints["labels"]}
    report = import_model(shared / "weights" / f"{name}.onnx", registry, settings, **hints)
    manifest = report.bundle.manifest
    contract = manifest.input
    assert (manifest.task, manifest.head.kind, contract.color, contract.layout) == kinds
    assert (contract.width, contract.height) == size
    assert manifest.labels[: len(labels)] == labels
    assert all(why for _, _, why in report.proposals)
    assert {"head", "task", "licence"} <= {field for field, _, _ in report.proposals}
    assert report.bundle.ref == registry.resolve(manifest.name).ref
    assert report.trial.run_ms > 0


@pytest.mark.parametrize(
    ("outputs", "head"),
    [
        ({"logits": (1, 7, 92), "pred_boxes": (1, 7, 4)}, "detr"),
        ({"logits": (1, 7, 80), "pred_boxes": (1, 7, 4)}, "detr"),
        ({"boxes": (7, 4), "labels": (7,), "scores": (7,)}, "ssd"),
        ({"bboxes": (1, 7, 4), "labels": (1, 7), "scores": (1, 7)}, "ssd"),
        ({"boxes": (7, 4), "labels": (7,), "scores": (7,), "masks": (7, 1, 28, 28)}, "maskrcnn_torchvision"),
        ({"output": (1, 21, 85)}, "yolox"),
    ],
)
def test_families_without_weights_here_get_through_the_dry_run(
    tmp_path: Path, registry: Registry, settings: Settings, outputs: dict[str, tuple[int, ...]], head: str
) -> None:
    """Graphs of the right shapes with made-up numbers: proposal, manifest and head must fit together."""
    report = import_model(_shaped(tmp_path / "m.onnx", outputs), registry, settings)
    assert report.bundle.manifest.head.kind == head
    assert report.bundle.labels == COCO


def _shaped(path: Path, outputs: dict[str, tuple[int, ...]]) -> Path:
    """A graph of one 32x32 picture whose outputs are constants (plus nothing of the picture)."""
    generator = np.random.default_rng(3)
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], keepdims=0),
        helper.make_node("Sub", ["m", "m"], ["nil"]),
    ]
    values, ports = [], []
    for name, shape in outputs.items():
        numbers: Any = generator.uniform(0.1, 0.9, shape)
        if name == "labels":
            numbers = generator.integers(1, 80, shape)
        values.append(numpy_helper.from_array(numbers.astype(np.float32), f"{name}_"))
        whole = name == "labels"
        nodes.append(helper.make_node("Add", [f"{name}_", "nil"], [f"{name}_f" if whole else name]))
        if whole:
            nodes.append(helper.make_node("Cast", [f"{name}_f"], [name], to=TensorProto.INT64))
        kind = TensorProto.INT64 if whole else TensorProto.FLOAT
        ports.append(helper.make_tensor_value_info(name, kind, shape))
    picture = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 32, 32])
    graph = helper.make_graph(nodes, "g", [picture], ports, values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def test_imagenet_labels_are_asked_for(shared: Path, registry: Registry, settings: Settings) -> None:
    with pytest.raises(BadOption, match="1001 classes") as caught:
        import_model(shared / "weights" / "mobilenet_v2_1.0_224_dequantised.onnx", registry, settings)
    assert "--labels" in caught.value.next_step


def test_a_model_that_loads_but_fails_when_run_is_refused_in_plain_words(
    shared: Path, registry: Registry, settings: Settings
) -> None:
    with pytest.raises(ModelRefused) as caught:
        import_model(shared / "weights" / "bodypix_mnv1_050_stride8.onnx", registry, settings)
    assert "opens the model but cannot run it" in caught.value.message
    assert "dilation and automatic padding" in caught.value.message
    assert "Dilation not supported for AutoPadType::SAME_UPPER" in caught.value.message
    assert registry.list() == []
    assert list(registry.root.iterdir()) == []


def test_hints_win_over_proposals(tmp_path: Path, registry: Registry, settings: Settings) -> None:
    report = import_model(
        tiny(tmp_path / "My Model (1).onnx"),
        registry,
        settings,
        labels=["a", "b", "c"],
        mean=(0, 0, 0),
        std=(1, 1, 1),
        color="BGR",
        head="sigmoid",
        licence="MIT",
        title="Mine",
        card="# Mine",
        min_score=0.5,
    )
    manifest = report.bundle.manifest
    assert (manifest.name, manifest.input.color, manifest.head.kind) == ("my-model-1", "BGR", "sigmoid")
    assert (manifest.licence, report.bundle.title, report.bundle.card) == ("MIT", "Mine", "# Mine")
    assert manifest.thresholds.min_score == 0.5
    proposed = {field for field, _, _ in report.proposals}
    assert not proposed & {"input.color", "head", "licence", "labels"}
    assert "name" in proposed


@pytest.mark.parametrize(
    ("hints", "reason"),
    [
        ({"labels": ["a"]}, "3 classes, but 1 labels"),
        ({"labels": ["a", "b", " "]}, "labels"),
        ({"labels": ["a", "b", "c"], "width": 64}, "fixes the input's width at 32"),
        ({"labels": ["a", "b", "c"], "head": "magic"}, "no head 'magic'"),
        ({"labels": ["a", "b", "c"], "name": "../evil"}, "name"),
        ({"labels": ["a", "b", "c"], "std": (1, 0, 1)}, "std"),
        ({"labels": ["a", "b", "c"], "color": "GRB"}, "color"),
        ({"labels": ["a", "b", "c"], "task": "detect"}, "task"),
        ({"lables": ["a", "b", "c"]}, "no import option 'lables'"),
        ({"labels": ["a", "b", "c"], "layout": "NHWC"}, "layout"),
        ({"labels": ["a", "b", "c"], "head": "yolox"}, "yolox"),
        ({"labels": ["a", "b", "c"], "sha256": "0" * 64}, "should have SHA-256"),
    ],
)
def test_hints_that_cannot_be_are_refused(
    tmp_path: Path, registry: Registry, settings: Settings, hints: dict[str, Any], reason: str
) -> None:
    with pytest.raises((InputError, ModelRefused), match=reason):
        import_model(tiny(tmp_path / "m.onnx"), registry, settings, **hints)
    assert registry.list() == []


def test_labels_in_the_files_own_metadata_are_used(
    tmp_path: Path, registry: Registry, settings: Settings
) -> None:
    def edit(model: Any) -> None:
        helper.set_model_props(model, {"names": "{0: 'cat', 1: 'dog', 2: 'cow'}"})

    report = import_model(tiny(tmp_path / "m.onnx", edit=edit), registry, settings)
    assert report.bundle.labels == ("cat", "dog", "cow")
    assert report.bundle.manifest.head.kind == "logits"


def test_the_same_file_twice_is_one_version_and_another_is_the_next(
    tmp_path: Path, registry: Registry, settings: Settings
) -> None:
    labels = ["a", "b", "c"]
    first = import_model(tiny(tmp_path / "m.onnx"), registry, settings, labels=labels)
    again = import_model(tiny(tmp_path / "m.onnx"), registry, settings, labels=labels)
    other = import_model(tiny(tmp_path / "m.onnx"), registry, settings, labels=["x", "y", "z"])
    assert [report.bundle.version for report in (first, again, other)] == ["1", "1", "2"]
    assert registry.resolve("m").labels == ("x", "y", "z")
    with pytest.raises(ModelRefused, match="exists already"):
        import_model(tiny(tmp_path / "m.onnx"), registry, settings, labels=["p", "q", "r"], version="1")


PICKLE = b"cos\nsystem\n(S'touch CANARY'\ntR."


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


STRANGERS: dict[str, tuple[str, bytes, str]] = {
    "pickle 0": ("m.pkl", PICKLE, "can hold code"),
    "pickle 2": ("m.onnx", b"\x80\x02" + PICKLE, "Python pickle"),
    "pickle 4": ("m.onnx", pickle.dumps({"a": 1}, 4), "Python pickle"),
    "pth": ("m.pth", b"\x08\x08" + PICKLE, "can hold code"),
    "ckpt": ("m.ckpt", b"anything", "can hold code"),
    "joblib": ("m.joblib", b"anything", "can hold code"),
    "h5": ("m.onnx", b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
    "h5 by name": ("m.h5", b"anything", "can hold code"),
    "keras": ("m.keras", _zip({"config.json": b"{}", "model.weights.h5": b""}), "can hold code"),
    "torch zip": ("m.pt", _zip({"archive/data.pkl": PICKLE, "archive/data/0": b""}), "can hold code"),
    "torch zip as onnx": ("m.onnx", _zip({"archive/data.pkl": PICKLE}), "can hold code"),
    "tflite": ("m.onnx", b"\x1c\x00\x00\x00TFL3" + bytes(100), "TensorFlow Lite"),
    "safetensors": ("m.safetensors", bytes(100), "safetensors"),
    "safetensors by content": ("m.onnx", (10).to_bytes(8, "little") + b'{"a":{}}  ', "safetensors"),
    "ncnn": ("m.param", b"7767517\n1 1\n", "ncnn"),
    "openvino": ("m.xml", b"<?xml version='1.0'?><net/>", "OpenVINO"),
    "lfs pointer": (
        "m.onnx",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "Git LFS pointer",
    ),
    "web page": ("m.onnx", b"<!DOCTYPE html><html>", "web page"),
    "picture": ("m.onnx", b"\xff\xd8\xff\xe0" + bytes(50), "JPEG"),
    "program": ("m.onnx", b"\x7fELF" + bytes(50), "program"),
    "gzip": ("m.onnx.gz", b"\x1f\x8b" + bytes(50), "gzip"),
    "empty": ("m.onnx", b"", "empty"),
    "text": ("m.onnx", b"this is a text file", "not a whole ONNX model"),
}


@pytest.mark.parametrize("kind", STRANGERS)
def test_what_is_no_onnx_is_refused_by_name(
    tmp_path: Path, registry: Registry, settings: Settings, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name, data, reason = STRANGERS[kind]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ModelRefused, match=reason) as caught:
        import_model(tmp_path / name, registry, settings)
    assert caught.value.next_step
    assert not (tmp_path / "CANARY").exists()


def test_a_path_that_is_not_there(tmp_path: Path, registry: Registry, settings: Settings) -> None:
    with pytest.raises(NotFound):
        import_model(tmp_path / "none.onnx", registry, settings)
    with pytest.raises(NotFound):
        import_model(Path("a\0b"), registry, settings)


@pytest.mark.parametrize("kind", ["file", "folder", "zip"])
def test_a_disk_that_fills_while_copying_is_said_to_be_full(
    tmp_path: Path, registry: Registry, settings: Settings, kind: str
) -> None:
    """``/dev/full`` takes a write as a full disk does."""
    (tmp_path / "toy").mkdir()
    source = tiny(tmp_path / "toy" / "model.onnx")
    if kind == "folder":
        source = source.parent
    if kind == "zip":
        source = Path(shutil.make_archive(str(tmp_path / "toy"), "zip", source.parent))
    target = tmp_path / "target"
    target.mkdir()
    (target / "model.onnx").symlink_to("/dev/full")
    with pytest.raises(StorageFull, match="no room to copy"):
        sources.collect(source, target)


def test_a_disk_that_fills_later_is_said_to_be_full_too(
    tmp_path: Path, registry: Registry, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = importer._write

    def full(folder: Path, *rest: Any) -> None:
        (folder / "model.json").symlink_to("/dev/full")
        write(folder, *rest)

    monkeypatch.setattr(importer, "_write", full)
    path = tiny(tmp_path / "toy.onnx")
    with pytest.raises(StorageFull, match=r"no room to import 'toy\.onnx'.*nothing has changed"):
        import_model(path, registry, settings, task="classify", labels=["a", "b", "c"], name="toy")
    assert [left.name for left in registry.root.iterdir()] == []


def test_no_room_is_said_at_once(tmp_path: Path, registry: Registry) -> None:
    settings = Settings(data_dir=str(registry.root.parent), disk_reserve_mb=1 << 40)
    with pytest.raises(StorageFull):
        import_model(tiny(tmp_path / "m.onnx"), registry, settings)


def _hostile(name: str, model: Any) -> None:
    node = model.graph.node
    match name:
        case "endless loop":
            body = helper.make_graph(
                [helper.make_node("Identity", ["c"], ["c2"]), helper.make_node("Identity", ["v"], ["v2"])],
                "b",
                [
                    helper.make_tensor_value_info("i", TensorProto.INT64, []),
                    helper.make_tensor_value_info("c", TensorProto.BOOL, []),
                    helper.make_tensor_value_info("v", TensorProto.FLOAT, None),
                ],
                [
                    helper.make_tensor_value_info("c2", TensorProto.BOOL, []),
                    helper.make_tensor_value_info("v2", TensorProto.FLOAT, None),
                ],
            )
            node[2].output[0] = "f"
            model.graph.initializer.extend(
                [
                    numpy_helper.from_array(np.array(2**62, np.int64), "many"),
                    numpy_helper.from_array(np.array(1, bool), "yes"),
                ]
            )
            node.append(helper.make_node("Loop", ["many", "yes", "f"], ["y"], body=body))
        case "a giant made while running":
            node[2].output[0] = "f"
            shape = numpy_helper.from_array(np.array([1 << 20, 1 << 20], np.int64), "shape")
            model.graph.initializer.append(shape)
            node.append(helper.make_node("ConstantOfShape", ["shape"], ["big"]))
            node.append(helper.make_node("ReduceSum", ["big"], ["s"], keepdims=0))
            node.append(helper.make_node("Add", ["f", "s"], ["y"]))
        case "no numbers":
            node[2].output[0] = "f"
            node.append(helper.make_node("Exp", ["f"], ["e"]))
            node.append(helper.make_node("Neg", ["e"], ["n"]))
            node.append(helper.make_node("Sqrt", ["n"], ["y"]))
        case "a batch that mixes pictures":
            node[2].output[0] = "f"
            node.append(helper.make_node("ReduceMean", ["f"], ["m"], axes=[0], keepdims=1))
            node.append(helper.make_node("Add", ["f", "m"], ["y"]))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run may take 4 s here, not a minute."""
    monkeypatch.setattr(importer, "_trial_limits", lambda _facts: Limits(memory_mb=1024, cpu_s=4, wall_s=4))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("endless loop", "could not be run within|broke down"),
        ("a giant made while running", "memory"),
        ("no numbers", "no numbers"),
        ("a batch that mixes pictures", "several pictures at once"),
    ],
)
def test_models_that_misbehave_while_running_are_refused(
    tmp_path: Path, registry: Registry, settings: Settings, name: str, reason: str, impatient: None
) -> None:
    path = tiny(tmp_path / "m.onnx", edit=lambda model: _hostile(name, model))
    began_s = time.monotonic()
    with pytest.raises(ModelRefused, match=reason):
        import_model(path, registry, settings, labels=["a", "b", "c"])
    assert time.monotonic() - began_s < 60
    assert registry.list() == []


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (
            lambda model: model.graph.input[0].type.tensor_type.shape.dim[1].__setattr__("dim_value", 1),
            "three colours",
        ),
        (lambda model: model.graph.input[0].type.tensor_type.__setattr__("elem_type", 10), "float16"),
        (lambda model: model.graph.input.append(helper.make_tensor_value_info("z", 1, [1])), "one picture"),
    ],
)
def test_inputs_that_are_no_pictures_are_refused(
    tmp_path: Path, registry: Registry, settings: Settings, edit: Any, reason: str
) -> None:
    with pytest.raises(ModelRefused, match=reason):
        import_model(tiny(tmp_path / "m.onnx", edit=edit), registry, settings, labels=["a", "b", "c"])


def test_a_fixed_batch_of_several_is_refused(tmp_path: Path, registry: Registry, settings: Settings) -> None:
    with pytest.raises(ModelRefused, match="exactly 4 pictures"):
        import_model(tiny(tmp_path / "m.onnx", batch=4), registry, settings, labels=["a", "b", "c"])


def test_inspection_runs_in_a_child(tmp_path: Path) -> None:
    facts = inspect_model(tiny(tmp_path / "m.onnx"))
    assert (facts.opset, facts.parameters) == (17, 9)
    assert onnx.__version__


def test_a_swarm_of_empty_operators_meets_the_limits_of_the_child(tmp_path: Path) -> None:
    """Two bytes in the file are a hundred in memory: 20 MB ask for more than the child may have."""
    body = b"\x0a\x00" * 10_000_000
    head = b"\x08\x08\x3a" + bytes([len(body) & 0x7F | 0x80, len(body) >> 7 & 0x7F | 0x80])
    size = bytes([len(body) >> 14 & 0x7F | 0x80, len(body) >> 21 & 0x7F])
    path = tmp_path / "m.onnx"
    path.write_bytes(head + size + body)
    began_s = time.monotonic()
    with pytest.raises(ModelRefused):
        inspect_model(path)
    assert time.monotonic() - began_s < 60


@pytest.fixture
def installed(tmp_path: Path, registry: Registry, settings: Settings) -> ImportReport:
    return import_model(
        tiny(tmp_path / "m.onnx"), registry, settings, labels=["a", "b", "c"], name="toy", card="# Card"
    )


def test_a_bundle_folder_and_its_zip_come_back_the_same(
    tmp_path: Path, registry: Registry, settings: Settings, installed: ImportReport
) -> None:
    copy = Path(shutil.copytree(installed.bundle.folder, tmp_path / "copy"))
    archive = Path(shutil.make_archive(str(tmp_path / "toy"), "zip", copy))
    registry.remove("toy")
    for source in (copy, archive):
        report = import_model(source, registry, settings)
        assert report.bundle.manifest == installed.bundle.manifest
        assert report.bundle.card == "# Card"
        assert report.proposals == ()
        registry.remove("toy")
    renamed = import_model(copy, registry, settings, name="other", licence="MIT")
    assert (renamed.bundle.reference, renamed.bundle.licence) == ("other@1", "MIT")


def test_a_folder_without_a_manifest_is_a_bare_model(
    tmp_path: Path, registry: Registry, settings: Settings
) -> None:
    (tmp_path / "cat").mkdir()
    tiny(tmp_path / "cat" / "model.onnx")
    report = import_model(tmp_path / "cat", registry, settings, labels=["a", "b", "c"])
    assert report.bundle.name == "cat"


def test_linked_files_in_a_folder_are_refused(
    tmp_path: Path, registry: Registry, settings: Settings, installed: ImportReport
) -> None:
    folder = Path(shutil.copytree(installed.bundle.folder, tmp_path / "copy"))
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").symlink_to(installed.bundle.model_path)
    with pytest.raises(ModelRefused, match="links are not followed"):
        import_model(folder, registry, settings)


def _special(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


ARCHIVES: dict[str, tuple[Any, str]] = {
    "a way out": ("../model.onnx", "leaves it"),
    "a way out below": ("a/../../model.onnx", "leaves it"),
    "absolute": ("/model.onnx", "leaves it"),
    "drive": ("C:\\model.onnx", "leaves it"),
    "backslash": ("..\\model.onnx", "leaves it"),
    "link": (_special("model.onnx", 0o120777), "link"),
    "device": (_special("a", 0o060666), "link"),
    "pipe": (_special("a", 0o010666), "link"),
    "control": ("a\x1b[31m", "leaves it"),
    "deep": ("a/b/c/model.onnx", "holds no model.onnx"),
    "other": ("readme.txt", "holds no model.onnx"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_hostile_archives_are_refused(
    tmp_path: Path, registry: Registry, settings: Settings, name: str
) -> None:
    member, reason = ARCHIVES[name]
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, b"../../etc/passwd")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(ModelRefused, match=reason):
        import_model(path, registry, settings)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "data") == before


def test_archives_that_lie_about_sizes_or_repeat_names_are_refused(
    tmp_path: Path, registry: Registry, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.onnx", bytes(1 << 20))
    monkeypatch.setitem(sources.LIMITS, "model.onnx", 1 << 16)
    with pytest.raises(ModelRefused, match="may have 65536 bytes"):
        import_model(path, registry, settings)
    lie = path.read_bytes().replace((1 << 20).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    path.write_bytes(lie)
    with pytest.raises(ModelRefused):
        import_model(path, registry, settings)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/model.onnx", b"1")
        archive.writestr("b/model.onnx", b"2")
    with pytest.raises(ModelRefused, match="more than once"):
        import_model(path, registry, settings)
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(1001):
            archive.writestr(str(index), b"")
    with pytest.raises(ModelRefused, match="1000 members"):
        import_model(path, registry, settings)


def test_an_archive_whose_compressed_bytes_are_damaged_is_refused(
    tmp_path: Path, registry: Registry, settings: Settings
) -> None:
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("model.onnx", bytes(range(256)) * 400)
    data = bytearray(path.read_bytes())
    data[44:60] = b"\xff" * 16
    path.write_bytes(data)
    with pytest.raises(ModelRefused, match="is damaged"):
        import_model(path, registry, settings)


def test_a_bundle_whose_weights_are_others_is_refused_before_anything_reads_them(
    tmp_path: Path, registry: Registry, settings: Settings, installed: ImportReport
) -> None:
    folder = Path(shutil.copytree(installed.bundle.folder, tmp_path / "copy"))
    manifest = json.loads((folder / "model.json").read_text())
    manifest["version"] = "2"
    (folder / "model.json").write_text(json.dumps(manifest))
    tiny(folder / "model.onnx", classes=4)
    with pytest.raises(ModelRefused, match="should have"):
        import_model(folder, registry, settings)
    assert registry.resolve("toy").version == "1"
    manifest["sha256"], manifest["bytes"] = file_sha256(folder / "model.onnx"), 0
    (folder / "model.json").write_text(json.dumps(manifest))
    with pytest.raises(SightlineError, match="4 classes"):
        import_model(folder, registry, settings)
    assert registry.resolve("toy").version == "1"
