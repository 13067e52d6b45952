"""Serves an image on this machine as the platform would: HTTP in front, one container behind it."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import docker

from images.container import ContainerFailed, Limits, ended_by_signals
from images.controller import REST_PATH, WEB_PATH, answer, shown_log
from images.front import Front
from images.invoker import Activation
from images.pool import IDLE_SECONDS, UNUSED_SECONDS, Invocation, Pool


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """One call that was made: what the platform says of it, and the HTTP status that its client got."""

    invocation: Invocation
    status: int


def serve(  # noqa: PLR0913 - what `invoke serve` asks of the image
    engine: docker.DockerClient,
    image: str,
    front: Front,
    *,
    limits: Limits,
    ready: Callable[[], None],
    report: Callable[[Served], None],
) -> None:
    """Answer requests until an interrupt (KeyboardInterrupt), SIGTERM or SIGHUP ends it; nothing is left then.

    `ready` is called when the first container is initialised, `report` after each call.

    Raises:
        ContainerFailed: the image does not start, or its action does not initialise.
    """
    with ended_by_signals(), Pool(engine, image, limits) as pool:
        first = pool.ready()
        if isinstance(first, Activation):
            log = "\n    ".join(("its log:", *shown_log(first)))
            raise ContainerFailed(f"{image} does not initialise: {first.classified.result['error']}; {log}")
        front.open()
        ready()
        while True:
            _answer_next(front, pool, report)


def _answer_next(front: Front, pool: Pool, report: Callable[[Served], None]) -> None:
    frozen = pool.frozen
    taken = front.take(UNUSED_SECONDS if frozen else IDLE_SECONDS)
    if taken is None:
        pool.destroy() if frozen else pool.freeze()
        return
    call, waiting = taken
    try:
        invocation = pool.invoke(call.parameters)
        response = answer(call, invocation.activation)
    except BaseException as failure:
        waiting.set_exception(failure)
        raise
    waiting.set_result(response)
    report(Served(invocation=invocation, status=response.status))


def lines_to_paste(url: str, photo: Path, tag: str, memory_mib: int) -> str:
    """Commands for a POSIX shell: a photo to this server in both ways, and the same for the platform itself."""
    file, request = shlex.quote(str(photo)), shlex.quote(f"{photo.stem}.json")
    pushed = f"REGISTRY/{tag.rpartition('/')[2]}"
    rest = shlex.quote(f"{url}{REST_PATH}?blocking=true&result=true")
    as_jpeg, as_json = (f"-H 'Content-Type: {kind}'" for kind in ("image/jpeg", "application/json"))
    return f"""\
# a photo as it is, to the web action
curl --data-binary @{file} {as_jpeg} {url}/

# as parameters: base64 in JSON
{{ printf '{{"image":"'; base64 < {file} | tr -d '\\r\\n'; printf '"}}'; }} > {request}
curl --data-binary @{request} {as_json} {rest}

# on the platform
docker tag {tag} {pushed} && docker push {pushed}
wsk action create classify --docker {pushed} --memory {memory_mib} --web raw
wsk action invoke classify --result --param-file {request}
curl --data-binary @{file} {as_jpeg} https://APIHOST{WEB_PATH}"""
