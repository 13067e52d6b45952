"""Binds libunder48.so (its C interface is under48.h) with ctypes: one open model per Classifier."""

from __future__ import annotations

import ctypes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ABI_VERSION = 1
_ERROR_BYTES = 512

# u48_status
OK, BAD_ARGUMENT, BAD_MODEL, BAD_IMAGE, TOO_LARGE, NO_MEMORY, FAILED = range(7)


class NativeError(Exception):
    """The library refused; the text is its own, `status` says whose fault it was (u48_status)."""

    def __init__(self, status: int, text: str) -> None:
        """Keep the status beside the text."""
        super().__init__(text or f"the native library failed with status {status}")
        self.status = status


class Tensor(ctypes.Structure):
    """u48_tensor: type, shape, quantisation and memory of the model's input or output."""

    _fields_ = (
        ("type", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("shape", ctypes.c_int32 * 4),
        ("scale", ctypes.c_float),
        ("zero_point", ctypes.c_int32),
        ("bytes", ctypes.c_size_t),
        ("data", ctypes.c_void_p),
    )

    def dimensions(self) -> tuple[int, ...]:
        """Give the shape as a tuple of `rank` sizes."""
        return tuple(self.shape[: self.rank])


class Plan(ctypes.Structure):
    """u48_plan: how many operators the graph has, and how many of them XNNPACK took."""

    _fields_ = (("nodes", ctypes.c_int32), ("delegated", ctypes.c_int32))


class Framing(ctypes.Structure):
    """u48_framing: the central part that is kept, and what a float model sees for pixels 0 and 255."""

    _fields_ = (("crop", ctypes.c_float), ("lowest", ctypes.c_float), ("highest", ctypes.c_float))


# Pictures are passed as c_char_p: a bytes object goes in by its address, without a copy, its size beside it.
_TEXT, _SIZE, _INT, _HANDLE = ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int32, ctypes.c_void_p
_FRAMING = ctypes.POINTER(Framing)
_FUNCTIONS: dict[str, tuple[type, tuple[type, ...]]] = {
    "u48_abi_version": (_INT, ()),
    "u48_versions": (_TEXT, ()),
    "u48_operators": (_TEXT, ()),
    "u48_open": (_INT, (_TEXT, _INT, ctypes.POINTER(_HANDLE), _TEXT, _SIZE)),
    "u48_input": (_INT, (_HANDLE, ctypes.POINTER(Tensor))),
    "u48_output": (_INT, (_HANDLE, ctypes.POINTER(Tensor))),
    "u48_count_nodes": (_INT, (_HANDLE, ctypes.POINTER(Plan))),
    "u48_set_jpeg": (_INT, (_HANDLE, _TEXT, _SIZE, _FRAMING, _TEXT, _SIZE)),
    "u48_set_rgb": (_INT, (_HANDLE, _TEXT, _INT, _INT, _FRAMING, _TEXT, _SIZE)),
    "u48_invoke": (_INT, (_HANDLE, _TEXT, _SIZE)),
    "u48_scores": (_INT, (_HANDLE, ctypes.POINTER(ctypes.c_float), _SIZE, _TEXT, _SIZE)),
}


def load(path: str) -> ctypes.CDLL:
    """Load the library, check that it is of this binding's version, and declare its functions.

    Raises OSError with the loader's words when it cannot be loaded, NativeError when it is another version.
    """
    library = ctypes.CDLL(path)
    try:
        found = library.u48_abi_version()
    except AttributeError:
        raise NativeError(BAD_ARGUMENT, f"{path} is not libunder48: it has no u48_abi_version") from None
    if found != ABI_VERSION:
        raise NativeError(BAD_ARGUMENT, f"{path} has ABI version {found}, this binding needs {ABI_VERSION}")
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    library.u48_close.restype = None
    library.u48_close.argtypes = (_HANDLE,)
    return library


class Classifier:
    """One model, open until `close` or until it is forgotten. Not for two threads at once."""

    def __init__(self, library: ctypes.CDLL, model: str, threads: int) -> None:
        """Open the .tflite file `model`; NativeError (BAD_MODEL) when it cannot be used."""
        self._library = library
        self._handle = _HANDLE()
        self._error = ctypes.create_string_buffer(_ERROR_BYTES)
        self._call(library.u48_open, model.encode(), threads, ctypes.byref(self._handle))
        self._scores = (ctypes.c_float * self.classes)()

    @property
    def input(self) -> Tensor:
        """The input tensor, [1, height, width, 3]; its memory is valid until close."""
        return self._tensor(self._library.u48_input)

    @property
    def output(self) -> Tensor:
        """The output tensor; its memory is valid until close."""
        return self._tensor(self._library.u48_output)

    @property
    def classes(self) -> int:
        """How many scores the model gives."""
        count = 1
        for size in self.output.dimensions():
            count *= size
        return count

    @property
    def plan(self) -> Plan:
        """How many operators there are, and how many XNNPACK took."""
        plan = Plan()
        self._check(self._library.u48_count_nodes(self._handle, ctypes.byref(plan)), "")
        return plan

    def set_jpeg(self, file: bytes, framing: Framing) -> None:
        """Fill the input from a JPEG file; NativeError (BAD_IMAGE, TOO_LARGE, NO_MEMORY) when refused."""
        self._call(self._library.u48_set_jpeg, self._handle, file, len(file), ctypes.byref(framing))

    def set_rgb(self, pixels: bytes, width: int, height: int, framing: Framing) -> None:
        """Fill the input from upright RGB rows of width * 3 bytes."""
        if len(pixels) != width * height * 3:  # the library cannot see how long the buffer is
            raise ValueError(f"{width} x {height} pixels are {width * height * 3} bytes, not {len(pixels)}")
        self._call(self._library.u48_set_rgb, self._handle, pixels, width, height, ctypes.byref(framing))

    def classify(self) -> list[float]:
        """Run the model on its input and give its scores as real numbers, one per class."""
        self._call(self._library.u48_invoke, self._handle)
        self._call(self._library.u48_scores, self._handle, self._scores, len(self._scores))
        return list(self._scores)

    def close(self) -> None:
        """Free the model; a second call does nothing."""
        handle, self._handle = self._handle, _HANDLE()
        if handle:
            self._library.u48_close(handle)

    def __del__(self) -> None:
        """Free the model when the last reference goes, as when a runtime replaces this action by another."""
        if hasattr(self, "_handle"):
            self.close()

    def _tensor(self, function: Callable[..., int]) -> Tensor:
        tensor = Tensor()
        self._check(function(self._handle, ctypes.byref(tensor)), "")
        return tensor

    def _call(self, function: Callable[..., int], *arguments: object) -> None:
        self._error.value = b""
        status = function(*arguments, self._error, _ERROR_BYTES)
        self._check(status, self._error.value.decode("utf-8", "replace"))

    def _check(self, status: int, text: str) -> None:
        if status != OK:
            raise NativeError(status, text)
