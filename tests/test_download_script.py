"""scripts/download_vgg19.sh against a small web server on the loopback interface."""

import hashlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "download_vgg19.sh"
PARAMS, CONTENT, STYLE = "models/vgg19.params", "input/IMG_4343.jpg", "input/starry_night.jpg"
FILES = {name: random.Random(name).randbytes(90_001) for name in (PARAMS, CONTENT, STYLE)}  # noqa: S311 (no secret)
TOOLS = [tool for tool in ("curl", "wget") if shutil.which(tool)]
PROGRAMS = ("cat", "dirname", "mkdir", "mv", "perl", "rm", "sed", "sh", "tail", "wc", "sha1sum", "shasum", *TOOLS)

pytestmark = pytest.mark.skipif(os.name != "posix" or not TOOLS, reason="needs sh, and curl or wget")


def blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


class Server(ThreadingHTTPServer):
    """The server's files, how it misbehaves, and the requests that it received."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {f"/mxnet/neural-style/{name.replace('models', 'model')}": FILES[name] for name in FILES}
        self.ranges = True
        self.cuts: list[int] = []  # bytes after which to break off, one entry per answer
        self.statuses: list[int] = []  # answer with these first
        self.stall: threading.Event | None = None  # after half of the body, wait until this is set
        self.stalled = threading.Event()
        self.asked: list[tuple[str, str | None]] = []  # path and range

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def ranges_asked(self) -> list[str | None]:
        return [asked for path, asked in self.asked if path.endswith("vgg19.params")]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        server, asked = self.server, self.headers["Range"]
        server.asked.append((self.path, asked))
        data = server.files.get(self.path, b"")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.ranges else 0
        status = 404 if not data else 416 if start >= len(data) else 206 if start else 200
        if server.statuses:
            status = server.statuses.pop(0)
        body = data[start:] if status < 300 else b"<html>an error page</html>"
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        body = body[: server.cuts.pop(0)] if server.cuts else body
        self.wfile.write(body[: len(body) // 2])
        if server.stall:
            server.stalled.set()
            server.stall.wait()
        self.wfile.write(body[len(body) // 2 :])
        self.close_connection = True


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Checkout:
    """A copy of the script in its own repository. It expects the files of the server."""

    def __init__(self, folder: Path, tool: str, url: str) -> None:
        self.root, self.path = folder / "a repository", folder / "bin"
        self.environment = {"PATH": str(self.path), "LC_ALL": "C", "NSTYLE_DOWNLOAD_URL": url}
        self.path.mkdir()
        for name in set(PROGRAMS) - set(TOOLS) | {tool}:
            if found := shutil.which(name):
                (self.path / name).symlink_to(found)
        self.program("sleep", "exit 0")  # no waiting between attempts
        blobs = iter(map(blob_id, FILES.values()))
        self.script = self.root / "scripts" / SCRIPT.name
        self.script.parent.mkdir(parents=True)
        self.script.write_text(re.sub(r"\b[0-9a-f]{40}\b", lambda _: next(blobs), SCRIPT.read_text()))

    def program(self, name: str, text: str) -> None:
        (self.path / name).unlink(missing_ok=True)
        (self.path / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.path / name).chmod(0o755)

    def start(self, *words: str) -> "subprocess.Popen[str]":
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(
            ["/bin/sh", str(self.script), *words], env=self.environment, start_new_session=True, **pipes
        )

    def run(self, *words: str, status: int = 0) -> str:
        """Run it and return its standard output, or its one line of standard error if it fails."""
        process = self.start(*words)
        out, error = process.communicate()
        assert process.returncode == status, error
        assert error.count("\n") == (status > 0)
        return error if status else out

    def put(self, name: str, data: bytes) -> None:
        (self.root / name).parent.mkdir(exist_ok=True)
        (self.root / name).write_bytes(data)

    def files(self) -> dict[str, bytes]:
        """All files except the script."""
        found = [path for path in self.root.rglob("*") if path.is_file() and path != self.script]
        return {str(path.relative_to(self.root)): path.read_bytes() for path in found}


@pytest.fixture(params=TOOLS)
def checkout(request: pytest.FixtureRequest, server: Server, tmp_path: Path) -> Checkout:
    return Checkout(tmp_path, request.param, server.url)


@pytest.fixture
def ready(checkout: Checkout) -> Checkout:
    """A checkout that lacks only the weights."""
    checkout.put(CONTENT, FILES[CONTENT])
    checkout.put(STYLE, FILES[STYLE])
    return checkout


def test_a_download_and_then_nothing_is_asked_for(checkout: Checkout, server: Server) -> None:
    assert checkout.run().endswith("nstyle --weights vgg19.params\n")
    assert checkout.files() == FILES
    assert len(server.asked) == 3
    (checkout.path / "curl").unlink(missing_ok=True)
    (checkout.path / "wget").unlink(missing_ok=True)
    assert checkout.run().count("already here, verified") == 3
    assert len(server.asked) == 3
    checkout.put(STYLE, b"x" + FILES[STYLE][1:])
    assert "needs curl or wget" in checkout.run(status=1)


@pytest.mark.parametrize("ranges", [True, False])
def test_an_interrupted_download_is_continued(ranges: bool, ready: Checkout, server: Server) -> None:
    server.ranges = ranges
    server.cuts = [20_000, 10_000]
    ready.put(PARAMS + ".part", FILES[PARAMS][:30_000])
    ready.run()
    assert server.ranges_asked()[0] == "bytes=30000-"
    if ranges:
        assert server.ranges_asked() == ["bytes=30000-", "bytes=50000-", "bytes=60000-"]
    assert ready.files() == FILES


@pytest.mark.parametrize("size", [1000, 90_001, 90_006])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_wrong_part_is_fetched_again_from_its_beginning(
    size: int, ranges: bool, ready: Checkout, server: Server
) -> None:
    server.ranges = ranges
    ready.put(PARAMS + ".part", b"x" * size)
    ready.run()
    assert ready.files() == FILES


def test_only_a_verified_file_replaces_another(ready: Checkout, server: Server) -> None:
    ready.put(PARAMS, b"something else")
    before = ready.files()
    right, server.files = server.files, dict.fromkeys(server.files, b"<html>please log in</html>")
    error = ready.run(status=1)
    assert "not the expected file" in error
    assert f"download {server.url}/mxnet/neural-style/model/vgg19.params by hand to {PARAMS} " in error
    assert len(server.asked) == 2
    assert ready.files() == before
    server.files = right
    ready.run()
    assert ready.files() == FILES


@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (500, 4)])
def test_a_server_that_refuses(status: int, attempts: int, ready: Checkout, server: Server) -> None:
    ready.put(PARAMS + ".part", FILES[PARAMS][:5000])
    before = ready.files()
    server.statuses = [status] * attempts
    assert f"HTTP status {status}" in ready.run(status=1)
    assert len(server.asked) == attempts
    assert ready.files() == before
    server.statuses = [500]
    ready.run()
    assert ready.files() == FILES


def test_ctrl_c_leaves_only_the_part(ready: Checkout, server: Server) -> None:
    before = ready.files()
    server.stall = threading.Event()
    process = ready.start()
    server.stalled.wait()
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate()[1] == "interrupted; run this script again to continue\n"
    server.stall.set()
    assert process.returncode == 130
    left = ready.files()
    assert FILES[PARAMS].startswith(left.pop(PARAMS + ".part", b""))
    assert left == before
    server.stall = None
    ready.run()
    assert ready.files() == FILES


def test_the_address_and_no_answer(ready: Checkout) -> None:
    with socket.socket() as silent:  # bound, but not listening
        silent.bind(("127.0.0.1", 0))
        ready.environment["NSTYLE_DOWNLOAD_URL"] = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        assert "no server answers" in ready.run(status=1)
    del ready.environment["NSTYLE_DOWNLOAD_URL"]
    for tool in TOOLS:
        if (ready.path / tool).exists():
            ready.program(tool, f"echo \"$*\" >>'{ready.path}/asked'; exit 6")
    ready.run(status=1)
    expected = "https://github.com/dmlc/web-data/raw/master/mxnet/neural-style/model/vgg19.params"
    assert expected in (ready.path / "asked").read_text().split()


def test_help_and_usage(checkout: Checkout, server: Server) -> None:
    for flag in ("-h", "--help"):
        assert all(word in checkout.run(flag) for word in ("usage: ", "NSTYLE_DOWNLOAD_URL", *FILES))
    for wrong in (["--force"], [""], ["-h", "models"]):
        assert "unknown argument" in checkout.run(*wrong, status=2)
    assert not server.asked
    assert not checkout.files()
    assert os.access(SCRIPT, os.X_OK)
