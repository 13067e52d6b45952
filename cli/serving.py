"""Serves the image until it is interrupted: what is printed, and where."""

import json as js
import sys

from cli.pipeline import Pipeline
from images.container import Limits
from images.controller import REST_PATH, WEB_PATH, shown_log
from images.front import Front
from images.serve import Served, lines_to_paste, serve

PHOTO = "panda.jpg"


def run(pipeline: Pipeline, *, port: int, json: bool) -> None:
    """Build what is missing, then serve on loopback; the addresses go to stdout, what happens to stderr.

    Raises:
        PortTaken: something else listens on `port`.
        ContainerFailed: the image does not start.
    """
    memory = pipeline.settings.memory
    with Front(port, _say) as front:  # first, since a build takes minutes
        image = pipeline.image
        photo = pipeline.fetch(PHOTO)[0]

        def ready() -> None:
            if json:
                addresses = {"url": front.url, "web": front.url + WEB_PATH, "rest": front.url + REST_PATH}
                print(js.dumps(addresses | {"image": image.tag, "memory": memory}), flush=True)
            else:
                print(lines_to_paste(front.url, photo, image.tag, memory), flush=True)
            _say(
                f"{image.tag} answers at {front.url} with {memory} MB; Ctrl-C ends it and removes the container"
            )

        try:
            serve(
                pipeline.engine,
                image.id,
                front,
                limits=Limits(memory_mib=memory),
                ready=ready,
                report=_report,
            )
        except KeyboardInterrupt:
            _say("stopped, the container is removed")


def _report(served: Served) -> None:
    activation, cold = served.invocation.activation, served.invocation.cold
    took = f"{activation.elapsed_ms:.0f} ms"
    if cold is not None:
        took += f" after a cold start of {cold.start_ms + cold.init_ms:.0f} ms"
    kept = "" if activation.classified.kept else ", container removed"
    _say(
        f"{served.status}: {activation.classified.status}, {took}{kept}, activation {activation.id or 'none'}"
    )
    for line in shown_log(activation):
        print(f"    {line}", file=sys.stderr)


def _say(text: str) -> None:
    print(f"{'serve':<12} {text}", file=sys.stderr, flush=True)
