import io
import itertools
import stat
import zipfile

from images.package import zip_bytes

FILES = {
    "libunder48.so": b"\x7fELF" + bytes(4000),
    "__main__.py": b"print(1)\n",
    "classifier/__init__.py": b"",
    "labels.txt": "Panda größer\n".encode() * 500,
}


def test_the_same_files_give_the_same_bytes_in_any_order() -> None:
    every = {zip_bytes(dict(order)) for order in itertools.permutations(FILES.items())}
    assert len(every) == 1


def test_the_zip_holds_the_files_sorted_compressed_and_without_a_time() -> None:
    packed = zip_bytes(FILES)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == sorted(FILES)
        assert {name: archive.read(name) for name in FILES} == FILES
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_DEFLATED}
    assert len(packed) < sum(map(len, FILES.values())) / 5


def test_native_files_are_executable_and_all_others_are_not() -> None:
    with zipfile.ZipFile(io.BytesIO(zip_bytes(FILES))) as archive:
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
    assert modes == {name: stat.S_IFREG | (0o755 if name == "libunder48.so" else 0o644) for name in FILES}
