"""Where an engine may listen: DOCKER_HOST, the docker command's contexts, and the usual sockets."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from images.errors import EngineUnsuitable


@dataclass(frozen=True, kw_only=True, slots=True)
class Tls:
    """Files in PEM form; `verify` is whether the engine's certificate is checked."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    verify: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """One address of an engine, and who named it (for messages)."""

    url: str
    named_by: str
    tls: Tls | None = None

    @property
    def socket(self) -> Path | None:
        """The path of a Unix socket, None for anything else."""
        return Path(self.url.removeprefix("unix://")) if self.url.startswith("unix://") else None

    @property
    def destination(self) -> str | None:
        """What ssh(1) is to be given to get to the machine of an engine behind ssh://, None for anything else."""
        parts = urlsplit(self.url)
        return f"ssh://{parts.netloc}" if parts.scheme == "ssh" else None


def chosen(url: str | None, environ: Mapping[str, str], home: Path) -> Endpoint | None:
    """The endpoint that the user has chosen, None if he left it open.

    The order is that of the docker command: the option, DOCKER_HOST, DOCKER_CONTEXT, the current context.

    Raises:
        EngineUnsuitable: the chosen context does not exist or cannot be read.
    """
    if url or environ.get("DOCKER_HOST"):
        return _by_url(
            url or environ["DOCKER_HOST"], "the engine setting" if url else "DOCKER_HOST", environ, home
        )
    folder = Path(environ.get("DOCKER_CONFIG") or home / ".docker")
    name = environ.get("DOCKER_CONTEXT") or _current_context(folder)
    return None if name == "default" else _context(name, folder)


def usual(environ: Mapping[str, str], home: Path) -> tuple[Endpoint, ...]:
    """The endpoints to try when the user has chosen none. (On Windows everything here runs in WSL.)"""
    runtime = Path(environ.get("XDG_RUNTIME_DIR") or "/nonexistent")
    sockets = (
        Path("/var/run/docker.sock"),
        runtime / "docker.sock",  # rootless
        home / ".docker/run/docker.sock",  # Docker Desktop on macOS
        home / ".docker/desktop/docker.sock",  # and on Linux
        home / ".orbstack/run/docker.sock",
        home / ".colima/default/docker.sock",
        home / ".rd/docker.sock",  # Rancher Desktop
        runtime / "podman/podman.sock",
        Path("/run/podman/podman.sock"),
    )
    return tuple(Endpoint(url=f"unix://{socket}", named_by="the usual sockets") for socket in sockets)


def _by_url(url: str, named_by: str, environ: Mapping[str, str], home: Path) -> Endpoint:
    """With TLS as docker(1) says: DOCKER_TLS_VERIFY, or DOCKER_CERT_PATH for encryption without a check."""
    url = f"unix://{url}" if url.startswith("/") else url
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    if not url.startswith(("tcp://", "https://")) or not (verify or environ.get("DOCKER_CERT_PATH")):
        return Endpoint(url=url, named_by=named_by)
    return Endpoint(
        url=url,
        named_by=named_by,
        tls=_tls(Path(environ.get("DOCKER_CERT_PATH") or home / ".docker"), verify=verify),
    )


def _tls(folder: Path, *, verify: bool) -> Tls:
    """The names are those that the docker command gives its files."""
    ca, cert, key = (
        path if path.is_file() else None for path in map(folder.joinpath, ("ca.pem", "cert.pem", "key.pem"))
    )
    return Tls(ca=ca, cert=cert, key=key, verify=verify)


def _current_context(folder: Path) -> str:
    try:
        settings = json.loads((folder / "config.json").read_bytes())
        return str(settings.get("currentContext") or "default")
    except FileNotFoundError:
        return "default"
    except (OSError, ValueError, AttributeError) as error:
        raise EngineUnsuitable(
            f"{folder / 'config.json'} cannot be read ({error}), so the docker context in use is unknown; "
            "mend that file, or set DOCKER_HOST"
        ) from error


def _context(name: str, folder: Path) -> Endpoint:
    """A context is a folder named after the digest of its name (github.com/docker/cli, cli/context/store)."""
    key = hashlib.sha256(name.encode()).hexdigest()
    try:
        meta = json.loads((folder / "contexts/meta" / key / "meta.json").read_bytes())["Endpoints"]["docker"]
        url = str(meta["Host"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineUnsuitable(
            f"the docker context {name!r} cannot be read from {folder / 'contexts'} ({error!r}); "
            "choose another with `docker context use`, or set DOCKER_HOST"
        ) from error
    material = folder / "contexts/tls" / key / "docker"
    skip = bool(meta.get("SkipTLSVerify"))
    tls = _tls(material, verify=not skip) if material.is_dir() or skip else None
    encrypted = url.startswith(("tcp://", "https://"))
    return Endpoint(url=url, named_by=f"docker context {name!r}", tls=tls if encrypted else None)
