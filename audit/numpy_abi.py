"""Which generation of NumPy's C-API a native file was compiled for, read from what its `import_array` holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import IO

# numpy/core/include/numpy/__multiarray_api.h is compiled into every user of the C-API. Up to 1.26 it imports
# numpy.core._multiarray_umath and refuses any other ABI version, so all of NumPy 2. From 2.0 on it tries
# numpy._core._multiarray_umath first, runs under both, and its message names the oldest NumPy that will do.
_MARKS = re.compile(
    rb"numpy\.(_?core)\._multiarray_umath\0"
    rb"|(module compiled against ABI version )"
    rb"|compiled against NumPy C-API version 0x%x \(NumPy (\d{1,2})\.(\d{1,3})\)"
)
_NAME, _CHECK = b"._multiarray_umath", b"compiled against "
_LONGEST_MARK = 96
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class NumpyApi:
    """`generation` is 1 or 2: the major version of the NumPy headers; `oldest` is known from 2 on."""

    generation: int
    oldest: tuple[int, int] | None = None

    def runs_under(self, version: tuple[int, ...]) -> bool:
        """Tell whether `import_array` succeeds under a NumPy of that version."""
        if self.generation == 1:
            return version < (2,)
        return version < (3,) and (self.oldest is None or version >= self.oldest)


def numpy_api(file: IO[bytes]) -> NumpyApi | None:
    """Look through a native file in blocks; None when it does not call `import_array`.

    pybind11's own numpy.h finds NumPy at run time by both names, and has no such check: it gives None.
    """
    names: set[bytes] = set()
    checks = False
    oldest: tuple[int, int] | None = None
    tail = b""
    while block := file.read(_BLOCK):
        window = tail + block
        tail = window[-_LONGEST_MARK:]
        if _NAME not in window and _CHECK not in window:  # much faster than the expression
            continue
        for name, check, major, minor in _MARKS.findall(window):
            names.add(name)
            checks = checks or bool(check)
            if major:
                floor = (int(major), int(minor))
                oldest = max(oldest or floor, floor)
    if not checks or not names & {b"core", b"_core"}:
        return None
    return NumpyApi(generation=2, oldest=oldest) if b"_core" in names else NumpyApi(generation=1)
