"""What can go wrong with the catalogue and with fetching from it, one class and one exit code each."""

import re

from errors import Under48Error

_USERINFO = re.compile(r"(?<=://)[^/\s]*@")


def without_userinfo(text: str) -> str:
    """The text with user and password taken out of every URL in it."""
    return _USERINFO.sub("", text)


class ModelFetchError(Under48Error):
    """Base of all errors of this folder. A mirror's URL may hold a password: no message shows it."""

    exit_code = 19

    def __init__(self, message: str) -> None:
        super().__init__(without_userinfo(message))


class UnknownName(ModelFetchError):
    """The catalogue has no entry of this name."""

    exit_code = 10


class NotFound(ModelFetchError):
    """The server answers, and says that the file is not there (404, 410)."""

    exit_code = 11


class WrongDigest(ModelFetchError):
    """A file has the right size and other content than the catalogue promises."""

    exit_code = 12


class WrongSize(ModelFetchError):
    """A file is longer or shorter than the catalogue promises."""

    exit_code = 13


class NoNetwork(ModelFetchError):
    """The server cannot be reached at all: no route, no name resolution, connection refused."""

    exit_code = 14


class DiskFull(ModelFetchError):
    """There is no room for the file: disk, quota or file size limit."""

    exit_code = 15


class CacheUnwritable(ModelFetchError):
    """The cache folder, or a file in it, cannot be read or written."""

    exit_code = 16


class DownloadFailed(ModelFetchError):
    """The server was reached and did not deliver: refused, or still failing after the last attempt."""

    exit_code = 17


class BadCatalog(ModelFetchError):
    """The catalogue contradicts itself or its format."""

    exit_code = 18
