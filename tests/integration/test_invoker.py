"""Containers that are started, misbehave and are removed; their images are built on the base."""

import os
import signal
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from images import architecture, container, engine
from images.activation import LOG_FAILURE, SENTINEL, Status
from images.base import ensure_base
from images.container import LABEL, Limits, started
from images.engine import Engine, Stage, build_stage
from images.errors import ContainerFailed
from images.invoker import invoker
from images.pool import Pool
from tests.foreground import foreground

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]

# A server of the protocol in what Debian's base has, which is perl: it answers what it was asked.
SERVER = f"""
use IO::Socket::INET;
$| = 1;
my $server = IO::Socket::INET->new(LocalPort => 8080, Listen => 5, ReuseAddr => 1) or die "listen: $!";
while (my $client = $server->accept) {{
    my ($path, $length, $status) = ('', 0, '200 OK');
    while (my $line = <$client>) {{
        $path = $1 if $line =~ m{{^POST (\\S+)}};
        $length = $1 if $line =~ m{{^Content-Length: (\\d+)}}i;
        last if $line =~ m{{^\\r?\\n$}};
    }}
    read($client, my $body, $length);
    if ($path eq '/run') {{
        $status = '503 Ending' if $body =~ /"ending":true/;
        if ($body =~ /"eat":true/) {{ my @all; push @all, 'x' x 1e7 while 1; }}
        print "to stdout\\n{SENTINEL}\\n";
        print STDERR "to stderr\\n{SENTINEL}\\n" unless $body =~ /"quiet":true/;
    }} else {{
        $body = '{{"ok":true}}';
    }}
    print $client "HTTP/1.1 $status\\r\\nContent-Length: " . length($body) . "\\r\\n\\r\\n$body";
    close $client;
}}
"""

Image = Callable[[str], str]


@pytest.fixture(scope="module")
def client() -> Iterator[Engine]:
    client = engine.connect()
    yield client
    client.close()


@pytest.fixture(scope="module")
def image(client: Engine) -> Iterator[Image]:
    """Makes an image of the base that starts the given command."""
    host = architecture.host()
    record = ROOT / f"build/base-{host.name}.json"
    base = ensure_base(client, host, image=None, update=False, record=record)
    made: list[str] = []
    salt = (
        f"org.under48.test-{uuid.uuid4().hex}"  # else two runs had one image, and removed it from each other
    )

    def build(cmd: str) -> str:
        dockerfile = f"ARG BASE\nFROM ${{BASE}}\nCOPY server.pl /\nLABEL {salt}=\nCMD {cmd}\n"
        context = {"Dockerfile": dockerfile.encode(), "server.pl": SERVER.encode()}
        made.append(build_stage(client, context, Stage(arguments={"BASE": base.image_id})))
        return made[-1]

    yield build
    for image_id in dict.fromkeys(made):
        client.images.remove(image_id, force=True)


def _left(client: docker.DockerClient) -> list[str]:
    mine = client.containers.list(all=True, filters={"label": f"{LABEL}={os.getpid()}"})
    return [str(each.name) for each in mine]


SERVE = '["perl", "/server.pl"]'


@pytest.mark.parametrize("hardened", [False, True])
def test_an_image_is_started_called_and_removed(
    client: docker.DockerClient, image: Image, *, hardened: bool
) -> None:
    with invoker(client, image(SERVE), hardened=hardened) as running:
        assert running.init().classified.status == Status.SUCCESS
        first = running.run({"n": 1})
        second = running.run({"n": 2})
        for n, activation in ((1, first), (2, second)):
            assert activation.classified.status == Status.SUCCESS
            assert activation.classified.result["value"] == {"n": n}
            assert activation.classified.result["action_name"] == "/guest/classify"
            assert activation.classified.result["deadline"].isdigit()
            assert (activation.stdout, activation.stderr) == (("to stdout",), ("to stderr",))
            assert activation.logs_complete
        cold = running.cold
        assert cold is not None
        assert cold.run_ms == first.elapsed_ms
        assert cold.total_ms > cold.start_ms > 0
        memory = running.memory()
        assert memory.limit == 256 << 20
        assert 0 < memory.used < memory.limit
        host = running.running.container.attrs["HostConfig"]
        assert (host["Memory"], host["MemorySwap"]) == (256 << 20, 256 << 20)
        assert (host["PidsLimit"], host["CpuShares"], host["NetworkMode"]) == (1024, 256, "bridge")
        assert host["ReadonlyRootfs"] is hardened
    assert _left(client) == []


def test_where_the_bridge_is_not_of_this_machine_a_published_port_is_called(
    client: docker.DockerClient, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "_bridge_is_here", lambda _engine: False)
    with invoker(client, image(SERVE)) as running:
        assert running.running.address[0] == "127.0.0.1"
        answer = running.init()
        assert answer.classified.status == Status.SUCCESS, answer.body
        assert running.run({}).classified.status == Status.SUCCESS


def test_a_missing_sentinel_costs_the_container_unless_no_log_is_read(
    client: docker.DockerClient, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images.invoker.LOG_SECONDS", 0.5)
    with invoker(client, image(SERVE)) as running:
        running.init()
        activation = running.run({"quiet": True})
    assert (activation.classified.status, activation.classified.kept) == (Status.SUCCESS, False)
    assert (activation.stdout, activation.stderr) == (("to stdout",), ())
    assert activation.remarks == (LOG_FAILURE,)
    with invoker(client, image(SERVE), limits=Limits(log_mib=0)) as running:
        running.init()
        activation = running.run({"quiet": True})
    assert (activation.stdout, activation.remarks, activation.classified.kept) == ((), (), True)


def test_a_container_that_is_ending_fails_its_call_or_after_a_pause_leaves_it_to_another_one(
    client: docker.DockerClient, image: Image
) -> None:
    with invoker(client, image(SERVE)) as running:
        running.init()
        assert running.run({"ending": True}).classified.status is Status.DEVELOPER_ERROR
        running.pause()
        assert running.run({"ending": True}).classified.status is Status.REQUEUED
    with Pool(client, image(SERVE)) as pool:
        assert pool.invoke({}).cold is not None
        assert pool.invoke({}).cold is None
        pool.freeze()
        again = pool.invoke({"ending": True})  # the second one says so, too, and has not been frozen
        assert again.cold is not None
        assert again.activation.classified.status is Status.DEVELOPER_ERROR
    assert _left(client) == []


def test_a_pool_says_what_the_platform_would_of_a_container_that_never_serves(
    client: docker.DockerClient, image: Image
) -> None:
    for command, text in (
        ('["no-such-program"]', "executable file not found in image"),
        ('["sh", "-c", "exit 3"]', "exceeded its time limits of 60000 milliseconds during initialization"),
        ('["perl", "-e", "die"]', "during initialization"),
    ):
        with Pool(client, image(command)) as pool:
            activation = pool.invoke({}).activation
            assert activation.classified.status is Status.DEVELOPER_ERROR
            assert text in activation.classified.result["error"]
    assert _left(client) == []


def test_an_action_that_eats_all_memory_is_told_so(client: docker.DockerClient, image: Image) -> None:
    with invoker(client, image(SERVE), limits=Limits(memory_mib=64)) as running:
        running.init()
        activation = running.run({"eat": True})
        assert activation.oom_killed
        assert activation.classified.result == {"error": "The action exhausted its memory and was aborted."}
        assert not activation.logs_complete


def test_a_container_that_ends_before_it_listens_is_an_error_with_its_log(
    client: docker.DockerClient, image: Image
) -> None:
    with (
        pytest.raises(ContainerFailed, match=r"ended with status 3(.|\n)*no model here"),
        invoker(client, image('["sh", "-c", "echo no model here >&2; exit 3"]')) as running,
    ):
        running.init()
    assert _left(client) == []


def test_a_server_that_never_listens_uses_up_the_time_limit(
    client: docker.DockerClient, image: Image
) -> None:
    with invoker(client, image('["sleep", "60"]'), limits=Limits(timeout_ms=300)) as running:
        activation = running.init()
        assert activation.status_code is None
        assert activation.classified.result == {
            "error": "The action exceeded its time limits of 300 milliseconds during initialization."
        }


def test_an_image_that_is_missing_or_does_not_start_is_an_error(
    client: docker.DockerClient, image: Image
) -> None:
    with pytest.raises(ContainerFailed, match="build it first"), invoker(client, "under48/none:none"):
        pass
    with (
        pytest.raises(ContainerFailed, match="no-such-program"),
        invoker(client, image('["no-such-program"]')),
    ):
        pass
    assert _left(client) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_removes_the_container(
    number: signal.Signals, client: docker.DockerClient, image: Image
) -> None:
    program = f"""
        import time
        from images import engine
        from images.container import Limits, started
        with started(engine.connect(), {image('["sleep", "60"]')!r}, limits=Limits()) as running:
            print(running.container.id, flush=True)
            time.sleep(60)
    """
    child = subprocess.Popen(
        foreground(sys.executable, "-c", textwrap.dedent(program)),
        stdout=subprocess.PIPE,
        stderr=None,
        cwd=ROOT,
        text=True,
    )
    assert child.stdout is not None
    container_id = child.stdout.readline().strip()
    assert client.containers.get(container_id).status == "running"
    child.send_signal(number)
    assert child.wait(60) != 0
    with pytest.raises(docker.errors.NotFound):
        client.containers.get(container_id)


def test_an_exception_removes_the_container(client: docker.DockerClient, image: Image) -> None:
    class Boom(Exception):
        pass

    with pytest.raises(Boom), started(client, image('["sleep", "60"]'), limits=Limits()):
        raise Boom
    assert _left(client) == []
