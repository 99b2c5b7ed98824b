"""The settings table: name, type, default, help. Defaults < ``sightline.toml`` < ``SIGHTLINE_*`` < flags.

This is the only module that reads the environment. Settings are loaded once at the edge and passed
on as a frozen value. ``docs/reference/settings.md`` is generated from the same table.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from sightline.errors import ConfigError


def _setting(default: Any, help_text: str, *, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"help": help_text, "choices": choices})


@dataclass(frozen=True, slots=True)
class Settings:
    """Every knob. Each field is also ``SIGHTLINE_<NAME>`` and a key of ``sightline.toml``."""

    data_dir: str = _setting(
        "",
        "Where models, results and caches live. Empty: $XDG_DATA_HOME/sightline or ~/.local/share/sightline.",
    )
    host: str = _setting("127.0.0.1", "Address that `serve` binds.")
    port: int = _setting(8000, "Port that `serve` binds; 0 takes a free one.")
    model: str = _setting(
        "", "Model that answers when a request names none. Empty: the first bundled detector."
    )
    engine: str = _setting("auto", "Engine that runs models.", choices=("auto", "onnxruntime", "openvino"))
    precision: str = _setting(
        "auto",
        "Arithmetic. auto takes bf16 where the CPU computes it natively and the trial agrees, and a "
        "model's int8 file where it is clearly faster here and was judged to lose at most 0.5 points.",
        choices=("auto", "fp32", "bf16", "int8"),
    )
    threads: int = _setting(0, "Threads for inference. 0: all processors that this process may use.")
    decoders: int = _setting(0, "Decode processes. 0: one per processor, at most 4.")
    batch_max: int = _setting(8, "Largest batch for models that take batches.")
    batch_wait_ms: float = _setting(0.0, "How long a batch waits for company once a runner is free.")
    waiting_max: int = _setting(
        64, "Requests that may wait for an answer; more are refused at once with 503."
    )
    deadline_s: float = _setting(30.0, "Longest time from request to answer.")
    infer_s: float = _setting(
        60.0, "Seconds that a model may compute one batch; then it is stopped. 0: no limit."
    )
    memory_mb: int = _setting(
        2048, "Budget for loaded models; the least recently used one is dropped beyond it."
    )
    upload_max_mb: float = _setting(25.0, "Largest request body, counted while it streams.")
    files_max: int = _setting(16, "Most pictures in one request.")
    jpeg_max_mp: float = _setting(64.0, "Most megapixels of a JPEG.")
    picture_max_mp: float = _setting(16.0, "Most megapixels of any other picture.")
    side_max: int = _setting(16384, "Longest side of a picture in pixels.")
    jpeg_scans_max: int = _setting(100, "Most scans of a progressive JPEG.")
    decode_memory_mb: int = _setting(512, "Memory that decoding one picture may take over the idle decoder.")
    decode_cpu_s: float = _setting(5.0, "Processor seconds that decoding one picture may take.")
    decode_wall_s: float = _setting(8.0, "Seconds that decoding one picture may take.")
    receive_s: float = _setting(30.0, "Seconds that a client may take to send its request.")
    stop_s: float = _setting(30.0, "Seconds that running requests get when the server stops.")
    fetch_total_s: float = _setting(10.0, "Seconds that fetching a picture from an address may take.")
    fetch_max_mb: float = _setting(25.0, "Largest picture fetched from an address.")
    fetch_allow: str = _setting(
        "",
        "Private hosts, RTSP cameras and devices that requests and rules may reach, comma separated: "
        "`camera.lan, 10.0.0.7:8080, /dev/video0`. Empty: none.",
    )
    retention_days: float = _setting(30.0, "Days that stored results are kept. 0: until deleted.")
    results_max: int = _setting(50_000, "Most stored results; the oldest give way. 0: no limit.")
    results_mb: float = _setting(5120.0, "MB of stored pictures; the oldest give way. 0: no limit.")
    disk_reserve_mb: int = _setting(500, "Free disk space under which nothing more is stored.")
    allowed_hosts: str = _setting(
        "",
        "Further Host names that requests may carry, comma separated "
        "(localhost and the bound address always may).",
    )
    tls: bool = _setting(
        False,  # noqa: FBT003 - a default
        "Serve https. Without a certificate of your own, one is made and kept in the data folder.",
    )
    tls_cert: str = _setting(
        "", "Your own certificate for https, PEM with the whole chain. Empty: one is made by `serve --tls`."
    )
    tls_key: str = _setting("", "The key of `tls_cert`, PEM without a password.")
    mail_server: str = _setting(
        "", "Server for e-mail of rules: `smtps://user:password@host` or `smtp://host:25`. Empty: none."
    )
    mail_from: str = _setting("", "Sender of that e-mail.")
    catalogue: str = _setting(
        "", "A catalogue file for `models pull`, instead of the one that ships with Sightline."
    )
    mirrors: str = _setting("", "Base addresses tried before the catalogue's own, comma separated.")
    database: str = _setting(
        "",
        "Where records live: `postgresql://user:password@host/name`. Empty: SQLite in the data folder.",
    )
    blobs: str = _setting(
        "", "Where stored pictures live: `s3://`, `gs://` or `abfs://` with a path. Empty: the data folder."
    )
    queue: str = _setting(
        "local",
        "Line of the jobs: `local` needs nothing else, `redis://host:6379/0` serves many machines.",
    )
    workers: int = _setting(
        1,
        "Worker processes for jobs that `serve` starts when there are some. 0: none; run `sightline worker`.",
    )
    job_attempts: int = _setting(3, "Attempts of a job that fails or kills its worker; then it is dead.")
    job_s: float = _setting(
        300.0, "Seconds that one attempt of a job, or of a part of a large one, may take. 0: no limit."
    )
    job_days: float = _setting(7.0, "Days that a job that has ended is kept with its results. 0: for ever.")
    jobs_max: int = _setting(1000, "Most jobs that may wait; more are refused with 503.")
    job_shard: int = _setting(64, "Pictures in one part of a large job.")
    job_prefixes: str = _setting(
        "",
        "Prefixes of object stores that jobs may read, comma separated: `s3://photos/2026/`. Empty: none.",
    )
    job_upload_mb: float = _setting(2048.0, "Largest form with pictures, or a zip of them, for a job.")
    job_pictures_max: int = _setting(20_000, "Most pictures or addresses in one job that came over HTTP.")
    lease_s: float = _setting(
        20.0, "Seconds after which a job whose worker gives no sign of life is given to another one."
    )

    @property
    def data_path(self) -> Path:
        """The data folder, resolved."""
        if self.data_dir:
            return Path(self.data_dir).expanduser().resolve()
        base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
        return Path(base).expanduser().resolve() / "sightline"

    @property
    def thread_count(self) -> int:
        """Threads for inference, resolved: containers lie about cores, the affinity mask does not."""
        return self.threads or len(os.sched_getaffinity(0))

    @property
    def decoder_count(self) -> int:
        """Decode processes, resolved."""
        return self.decoders or min(4, len(os.sched_getaffinity(0)))

    @property
    def scribe_count(self) -> int:
        """Processes of a worker that turn results into JSON, resolved."""
        return max(1, self.thread_count // 2)


def load_settings(
    overrides: Mapping[str, Any] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Settings:
    """Merge the four sources into one frozen value.

    Args:
        overrides: Flags; ``None`` values do not count.
        environment: Defaults to the process's own.
        file: Defaults to ``$SIGHTLINE_CONFIG`` or ``sightline.toml`` in the working directory, if it exists.

    Raises:
        ConfigError: An unknown key, or a value of the wrong type or outside its choices.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    values.update(_from_file(_file(file, environment)))
    values.update(_from_environment(environment))
    for name, value in (overrides or {}).items():
        if value is not None:
            typed = f"--{name.replace('_', '-')}" if name in _KINDS else "--set"
            values[name] = _coerce(name, value, typed)
    settings = Settings(**values)
    _check(settings)
    return settings


def origins(
    overrides: Mapping[str, Any] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> dict[str, str]:
    """Where each value of `load_settings` with the same arguments came from, for people.

    Returns:
        By setting: ``default``, the name of the file, the name of the variable, or ``command line``.
    """
    environment = os.environ if environment is None else environment
    path = _file(file, environment)
    found = dict.fromkeys(_KINDS, "default")
    found.update(dict.fromkeys(_from_file(path), str(path)))
    found.update({name: f"SIGHTLINE_{name.upper()}" for name in _from_environment(environment)})
    found.update({name: "command line" for name, value in (overrides or {}).items() if value is not None})
    return found


def _file(file: Path | None, environment: Mapping[str, str]) -> Path:
    named = environment.get("SIGHTLINE_CONFIG", "")
    path = file or Path(named or "sightline.toml")
    if (file or named) and not path.is_file():
        raise ConfigError(f"The settings file {path} does not exist.", next_step="Check its name.")
    return path


def _from_file(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path.name} cannot be read as TOML: {error}.") from error
    return {name: _coerce(name, value, path.name) for name, value in table.items()}


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    for variable, text in environment.items():
        name = variable.removeprefix("SIGHTLINE_").lower()
        if variable.startswith("SIGHTLINE_") and variable != "SIGHTLINE_CONFIG" and not _linked(name, text):
            found[name] = _coerce(name, text, variable)
    return found


def _linked(name: str, text: str) -> bool:
    """Whether the variable is empty, or made by a container's platform for a service called ``sightline``."""
    return (
        not text or name.startswith(("service_", "port_")) or (name == "port" and text.startswith("tcp://"))
    )


_KINDS = {item.name: item for item in fields(Settings)}


def _coerce(name: str, value: Any, where: str) -> Any:
    known = _KINDS.get(name)
    if known is None:
        raise ConfigError(
            f"{where} sets {name!r}, which is no setting of Sightline.",
            next_step=f"Take it out, or use one of: {', '.join(sorted(_KINDS))}.",
        )
    kind: type[Any] = type(known.default)
    try:
        if kind is bool:
            return _truth(value)
        if isinstance(value, bool) or (kind is int and isinstance(value, float)):
            raise TypeError  # noqa: TRY301 - true is not 1 in a settings file, and 8.5 is not 8
        converted = kind(value.strip() if isinstance(value, str) else value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {name} wants {kind.__name__}, got {value!r}.") from error
    choices = known.metadata["choices"]
    if choices and converted not in choices:
        raise ConfigError(f"{where}: {name} wants one of {', '.join(choices)}, got {value!r}.")
    return converted


_JOBS = ("job_attempts", "jobs_max", "job_shard", "lease_s", "job_upload_mb", "job_pictures_max")


def _truth(value: Any) -> bool:
    """A switch: true or false in TOML, the words for them elsewhere."""
    if isinstance(value, bool):
        return value
    known = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False}
    known |= {"no": False, "off": False}
    if not isinstance(value, str) or value.strip().lower() not in known:
        raise ValueError
    return known[value.strip().lower()]


def _check(settings: Settings) -> None:
    for item in fields(Settings):
        value = getattr(settings, item.name)
        if isinstance(value, int | float) and (value != value or value < 0):  # noqa: PLR0124 - NaN is not itself
            raise ConfigError(f"{item.name} must not be negative, got {value}.")
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise ConfigError(
            "tls_cert and tls_key belong together, and one of them is missing.",
            next_step="Give both, or neither and `tls`: then a certificate is made.",
        )
    if settings.port > 65535:
        raise ConfigError(f"port must be 0 to 65535, got {settings.port}.")
    for name in ("batch_max", "waiting_max", "upload_max_mb", "files_max", "side_max", "memory_mb", *_JOBS):
        if getattr(settings, name) <= 0:
            raise ConfigError(f"{name} must be above zero, got {getattr(settings, name)}.")
