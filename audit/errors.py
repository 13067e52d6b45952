"""What can go wrong before there is anything to judge; each ends the command with exit code 2."""

from errors import Under48Error


class AuditError(Under48Error):
    """The target cannot be audited, or the audit was asked for wrongly."""

    exit_code = 2


class UnreadableTargetError(AuditError):
    """The target is no folder, archive or image that can be read, or it is broken or cut short."""


class UnreadableEntryError(AuditError):
    """One file of the target cannot be read: encrypted, packed in an unknown way, or damaged."""


class PassedOverError(UnreadableEntryError):
    """One file of a folder cannot be read, with nothing wrong with it: it went away, or is not ours to read."""


class TooLargeError(AuditError):
    """The target, or a part of it, exceeds what is read: a zip bomb, or a tar whose sizes lie."""


class UnresolvedError(AuditError):
    """Entry points that cannot be loaded from the files of the tree; the text lists every missing one."""


class CopyError(AuditError):
    """The closure cannot be written to the folder asked for."""


class ConfigError(AuditError):
    """The audit.toml, or what the command line says in its place, makes no sense."""
