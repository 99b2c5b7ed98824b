from pathlib import Path

import pytest

from sightline.runtime.features import Features, read_features, this_machine


@pytest.mark.parametrize(
    ("text", "bf16", "int8"),
    [
        ("model name\t: Plain\nflags\t\t: sse2 avx2 fma\n", False, False),
        ("model name\t: Cooper Lake\nflags\t\t: avx512f avx512_vnni avx512_bf16\n", True, True),
        ("model name\t: Sapphire Rapids\nflags\t\t: avx512f amx_tile amx_bf16 amx_int8\n", True, True),
        ("model name\t: Alder Lake\nflags\t\t: avx2 avx_vnni\n", False, True),
        ("Features\t: fp asimd asimddp i8mm bf16\n", True, True),
    ],
    ids=["avx2", "avx512-bf16", "amx", "avx-vnni", "arm"],
)
def test_reads_what_the_processor_can_do(tmp_path: Path, text: str, bf16: bool, int8: bool) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    features = read_features(path)
    assert (features.bf16, features.int8) == (bf16, int8)


def test_nothing_is_guessed_where_the_kernel_says_nothing(tmp_path: Path) -> None:
    features = read_features(tmp_path / "absent")
    assert not features.bf16
    assert not features.int8


def test_the_fingerprint_tells_processors_apart() -> None:
    one, other = Features("a", frozenset({"avx2"})), Features("a", frozenset({"avx2", "amx_bf16"}))
    assert one.fingerprint != other.fingerprint
    assert one.fingerprint == Features("a", frozenset({"avx2"})).fingerprint
    assert "avx2" in one.describe()


def test_this_machine_has_a_description() -> None:
    assert this_machine().describe()
