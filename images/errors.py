"""What can go wrong with the engine (exit codes 20-29), a build (30-39) and a running image (40-49)."""

from errors import Under48Error


class EngineMissing(Under48Error):
    """No engine answers, and none could be brought up."""

    exit_code = 20


class EngineForbidden(Under48Error):
    """An engine listens, but this user may not talk to it."""

    exit_code = 21


class EngineUnsuitable(Under48Error):
    """An engine answers, but it cannot build or run Linux images through the API used here."""

    exit_code = 22


class EngineStartFailed(Under48Error):
    """The engine was installed or started by this project and did not come up, or could not be stopped."""

    exit_code = 23


class AptFailed(Under48Error):
    """A Debian package that is needed is missing and could not be installed."""

    exit_code = 24


class UnknownArchitecture(Under48Error):
    """The architecture asked for is not in the table."""

    exit_code = 2


class BuildFailed(Under48Error):
    """A step of an image build failed."""

    exit_code = 30


class BaseFailed(Under48Error):
    """No base image could be pulled or bootstrapped."""

    exit_code = 31


class BaseMismatch(Under48Error):
    """The base image is for another architecture or operating system than the one asked for."""

    exit_code = 32


class ContainerFailed(Under48Error):
    """The image could not be started, or its server never listened."""

    exit_code = 40
