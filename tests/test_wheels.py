import hashlib
import zipfile
from pathlib import Path

import pytest

from images.architecture import named
from images.errors import BuildFailed
from images.wheels import fetch_wheels

TAGS = (
    "cp311-cp311-manylinux_2_28_x86_64",
    "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64",
    "cp311-cp311-manylinux2014_aarch64",
    "cp311-cp311-manylinux_2_39_x86_64",  # for a newer glibc than the target has
    "cp312-cp312-manylinux_2_28_x86_64",  # for another Python
    "cp311-cp311-musllinux_1_2_x86_64",
)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels as the only place that pip looks at, and the lock that names them all."""
    folder = tmp_path / "index"
    folder.mkdir()
    for tag in TAGS:
        _wheel(folder, tag)
    digests = (hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in sorted(folder.glob("*.whl")))
    (tmp_path / "requirements.lock").write_text(
        "imaging==1.0 \\\n" + " \\\n".join(f"    --hash=sha256:{digest}" for digest in digests) + "\n"
    )
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def _wheel(folder: Path, tag: str) -> None:
    info = "imaging-1.0.dist-info"
    with zipfile.ZipFile(folder / f"imaging-1.0-{tag}.whl", "w") as wheel:
        wheel.writestr("imaging.py", f"TAG = {tag!r}\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: imaging\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
        wheel.writestr(f"{info}/RECORD", "")


def test_the_best_wheel_for_the_target_is_fetched_and_then_kept(tmp_path: Path, index: Path) -> None:
    lock, cache = tmp_path / "requirements.lock", tmp_path / "cache"
    expected = {
        "amd64": "imaging-1.0-cp311-cp311-manylinux_2_28_x86_64.whl",
        "arm64": "imaging-1.0-cp311-cp311-manylinux2014_aarch64.whl",
    }
    first = {name: fetch_wheels(lock, named(name), cache) for name in expected}
    assert {name: [wheel.name for wheel in wheels] for name, wheels in first.items()} == {
        name: [wheel] for name, wheel in expected.items()
    }
    for wheel in index.iterdir():
        wheel.unlink()
    assert {name: fetch_wheels(lock, named(name), cache) for name in expected} == first
    assert all(wheel.is_file() for wheels in first.values() for wheel in wheels)


def test_a_wheel_with_another_digest_is_refused_and_nothing_of_it_is_kept(
    tmp_path: Path, index: Path
) -> None:
    with (index / "imaging-1.0-cp311-cp311-manylinux_2_28_x86_64.whl").open("ab") as wheel:
        wheel.write(b"changed")
    lock = tmp_path / "requirements.lock"
    pinned = hashlib.sha256(b"what it was").hexdigest()
    lock.write_text(f"imaging==1.0 --hash=sha256:{pinned}\n")
    with pytest.raises(BuildFailed) as caught:
        fetch_wheels(lock, named("amd64"), tmp_path / "cache")
    assert "requirements.lock for amd64" in str(caught.value)
    assert pinned in str(caught.value)
    assert list((tmp_path / "cache/wheels").iterdir()) == []


def test_a_wheel_that_is_nowhere_is_a_failed_build_with_what_pip_said(tmp_path: Path, index: Path) -> None:
    assert index.is_dir()
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"nosuch==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(BuildFailed, match=r"(?s)mend the network.*No matching distribution found for nosuch"):
        fetch_wheels(lock, named("amd64"), tmp_path / "cache")


def test_another_lock_or_architecture_is_another_folder_of_the_cache(tmp_path: Path, index: Path) -> None:
    assert index.is_dir()
    lock, cache = tmp_path / "requirements.lock", tmp_path / "cache"
    (first,) = fetch_wheels(lock, named("amd64"), cache)
    lock.write_text(f"# changed\n{lock.read_text()}")
    (second,) = fetch_wheels(lock, named("amd64"), cache)
    assert first.parent != second.parent
    assert first.read_bytes() == second.read_bytes()
