"""What was handed to the importer: a file, a folder or a zip, copied to a private place."""

import lzma
import os
import shutil
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from sightline.errors import BadOption, ModelRefused, NotFound
from sightline.registry.bundle import (
    CARD_BYTES_MAX,
    CARD_FILE,
    INT8_FILE,
    MANIFEST_BYTES_MAX,
    MANIFEST_FILE,
    MODEL_BYTES_MAX,
    MODEL_FILE,
)
from sightline.registry.room import room_for_it
from sightline.storage.archive import open_zip

LIMITS = {
    MODEL_FILE: MODEL_BYTES_MAX,
    INT8_FILE: MODEL_BYTES_MAX,
    MANIFEST_FILE: MANIFEST_BYTES_MAX,
    CARD_FILE: CARD_BYTES_MAX,
}
MEMBERS_MAX = 1000
_CHUNK = 1 << 20
_PLAIN = "Make a plain zip of model.onnx and model.json."
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    OSError,
)
"""What `zipfile` and its decompressors raise at bytes that are not as they should be."""
_CODE = "Formats that can hold code are never opened."
_CONVERT = (
    f"Export the model to ONNX where it was made (`torch.onnx.export`, tf2onnx) and import that. {_CODE}"
)
_MAGIC = (
    (b"\x80", "a Python pickle", _CONVERT),
    (b"\x89HDF", "an HDF5 file (Keras)", _CONVERT),
    (b"7767517", "an ncnn network", "Use the ONNX file it was converted from."),
    (b"<?xml", "an OpenVINO network or another XML file", "Use the ONNX file it was converted from."),
    (b"<net", "an OpenVINO network", "Use the ONNX file it was converted from."),
    (b"\x1f\x8b", "a gzip archive", "Unpack it and import the .onnx file inside."),
    (b"BZh", "a bzip2 archive", "Unpack it and import the .onnx file inside."),
    (b"\xfd7zXZ", "an xz archive", "Unpack it and import the .onnx file inside."),
    (b"7z\xbc\xaf", "a 7-zip archive", "Unpack it and import the .onnx file inside."),
    (
        b"version https://git-lfs",
        "a Git LFS pointer, not the model itself",
        "Fetch the real file: `git lfs pull`.",
    ),
    (b"<!DOCTYPE", "a web page", "The download went wrong; get the file itself."),
    (b"<html", "a web page", "The download went wrong; get the file itself."),
    (b"\xff\xd8\xff", "a JPEG picture", "Give a model file."),
    (b"\x89PNG", "a PNG picture", "Give a model file."),
    (b"%PDF", "a PDF", "Give a model file."),
    (b"\x7fELF", "a program", "Give a model file."),
)
_CODE_SUFFIXES = frozenset(
    {".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".h5", ".hdf5", ".keras", ".joblib", ".npy"}
)


@dataclass(frozen=True, slots=True)
class Collected:
    """A private copy: ``folder`` holds ``model.onnx`` and, if the source had them, manifest and card."""

    folder: Path
    name: str
    """What the source was called, for messages and as a proposal."""
    has_manifest: bool

    @property
    def model(self) -> Path:
        return self.folder / MODEL_FILE


def collect(source: Path, folder: Path) -> Collected:
    """Copy the source into ``folder`` under our own names.

    Raises:
        NotFound: There is nothing at this path.
        ModelRefused: It is no ONNX file, bundle folder or bundle zip, or leaves the limits.
        StorageFull: No room for the copy.
    """
    try:
        mode = source.stat().st_mode
    except (OSError, ValueError) as error:
        raise NotFound(
            f"There is no file or folder {source.name!r} to import.", next_step="Check the path."
        ) from error
    if stat.S_ISDIR(mode):
        _from_folder(source, folder)
    elif not stat.S_ISREG(mode):
        raise ModelRefused(f"{source.name!r} is neither a file nor a folder.")
    elif _is_zip(source):
        _from_zip(source, folder)
    else:
        _refuse_strangers(source)
        _copy(source, folder / MODEL_FILE, MODEL_BYTES_MAX)
    _refuse_strangers(folder / MODEL_FILE)
    return Collected(folder, source.name, (folder / MANIFEST_FILE).exists())


def _from_folder(source: Path, folder: Path) -> None:
    for name, limit in LIMITS.items():
        try:
            mode = (source / name).lstat().st_mode
        except OSError as error:
            if name == MODEL_FILE:
                raise ModelRefused(
                    f"The folder {source.name!r} holds no {MODEL_FILE}.",
                    next_step="A bundle is a folder with model.onnx and model.json.",
                ) from error
            continue
        if not stat.S_ISREG(mode):
            raise ModelRefused(
                f"{name} in {source.name!r} is a link or no regular file; links are not followed."
            )
        _copy(source / name, folder / name, limit)


def _is_zip(source: Path) -> bool:
    # By its first bytes: other formats (TensorFlow Lite) carry a small zip at their end.
    with source.open("rb") as stream:
        return stream.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def _from_zip(source: Path, folder: Path) -> None:
    try:
        with source.open("rb") as file, open_zip(file, repr(source.name), members=MEMBERS_MAX) as archive:
            for name, member in _members(archive).items():
                with archive.open(member) as stream:
                    _write(stream, folder / name, LIMITS[name])
    except BadOption as error:
        raise ModelRefused(f"The archive {error.message}", next_step=_PLAIN) from error
    except _DAMAGED as error:
        raise ModelRefused(
            f"The archive {source.name!r} is damaged or uses what Sightline does not read: {error}."[:300],
            next_step=_PLAIN,
        ) from error


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The members worth unpacking, by our own names; one suspicious member refuses the whole archive."""
    infos = archive.infolist()
    if any(info.filename.endswith(("data.pkl", "model.weights.h5")) for info in infos):
        raise ModelRefused("This is a PyTorch or Keras archive, which can hold code.", next_step=_CONVERT)
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        path = PurePosixPath(info.filename)
        _check_member(info, path)
        if path.name in LIMITS and len(path.parts) <= 2 and not info.is_dir():
            if path.name in found:
                raise ModelRefused(f"The archive holds {path.name} more than once.")
            if info.file_size > LIMITS[path.name]:
                raise ModelRefused(f"{path.name} may have {LIMITS[path.name]} bytes, got {info.file_size}.")
            found[path.name] = info
    if MODEL_FILE not in found:
        raise ModelRefused(
            f"The archive holds no {MODEL_FILE}.", next_step="Put model.onnx and model.json at its top level."
        )
    return found


def _check_member(info: zipfile.ZipInfo, path: PurePosixPath) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    strange_name = (
        path.is_absolute() or ".." in path.parts or "\\" in info.filename or ":" in info.filename
        or not info.filename.isprintable()
    )  # fmt: skip
    if strange_name or kind not in (0, stat.S_IFREG, stat.S_IFDIR) or info.flag_bits & 0x1:
        raise ModelRefused(
            "The archive holds a link, a device, an encrypted member or a path that leaves it.",
            next_step=_PLAIN,
        )


def _refuse_strangers(path: Path) -> None:
    """Say what a file is when it is certainly no ONNX, before anything parses it."""
    with path.open("rb") as stream:
        head = stream.read(64)
    if path.suffix.lower() in _CODE_SUFFIXES:
        raise ModelRefused(f"{path.name!r} can hold code that runs when it is opened.", next_step=_CONVERT)
    if head[4:8] == b"TFL3":
        raise ModelRefused(
            "This is a TensorFlow Lite model.", next_step="Convert it: `python -m tf2onnx.convert --tflite`."
        )
    if head[8:11] == b'{"_' or head[8:10] == b'{"' or path.suffix.lower() == ".safetensors":
        raise ModelRefused(
            "This is a safetensors file: weights without the network around them.", next_step=_CONVERT
        )
    for magic, what, advice in _MAGIC:
        if head.startswith(magic):
            raise ModelRefused(f"This is {what}, not an ONNX model.", next_step=advice)
    if not head:
        raise ModelRefused("The file is empty.", next_step="Copy or download it again.")


def _copy(source: Path, target: Path, limit: int) -> None:
    try:
        handle = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ModelRefused(f"{source.name!r} cannot be read: {error.strerror}.") from error
    with os.fdopen(handle, "rb") as stream:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode):
            raise ModelRefused(f"{source.name!r} is no regular file.")
        if state.st_size > limit:
            raise ModelRefused(f"{source.name!r} may have {limit} bytes, it has {state.st_size}.")
        _write(stream, target, limit)


def _write(stream: IO[bytes], target: Path, limit: int) -> None:
    """Copy at most ``limit`` bytes: what an archive claims about a size is only a claim."""
    left = limit
    with room_for_it(f"copy {target.name}"), target.open("wb") as writer:
        while chunk := stream.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise ModelRefused(f"{target.name} has more than {limit} bytes.")
            writer.write(chunk)


def room_for(folder: Path, size: int, reserve: int) -> bool:
    """Whether the disk has room for ``size`` bytes beside the reserve."""
    return shutil.disk_usage(folder).free > size + reserve
