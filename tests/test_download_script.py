"""scripts/download_vgg19.sh against a small web server on the loopback interface."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import socket
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "download_vgg19.sh"
NAME = SCRIPT.name
PREFIX = "/raw/master/mxnet/neural-style/"
TARGETS = {  # where each file goes: its place on the server, its real blob id, a size for the tests
    "models/vgg19.params": ("model/vgg19.params", "9dfbe2ed44e0e8914f9551888bf763e14c09c778", 300_001),
    "input/IMG_4343.jpg": ("input/IMG_4343.jpg", "eeb9f8c4c55c3c2095397ff82417ad23f2201834", 9_000),
    "input/starry_night.jpg": ("input/starry_night.jpg", "d4db3c8e88f1bc85c7ca9c7f669da82ae51a402b", 7_000),
}
PARAMS = "models/vgg19.params"
HASHERS = ("sha1sum", "shasum", "openssl")
# What the script may call besides a downloader and a hash tool (perl is what shasum runs on).
PROGRAMS = ("cat", "dirname", "mkdir", "mv", "perl", "rm", "sed", "tail", "wc")
SHELLS = [shell for shell in ("sh", "dash", "bash") if shutil.which(shell)]
TOOLS = [tool for tool in ("curl", "wget") if shutil.which(tool)]
HANG = 60  # seconds until a run counts as hung; no test depends on how fast it is

pytestmark = pytest.mark.skipif(os.name != "posix" or not TOOLS, reason="needs sh, and curl or wget")


def blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@dataclass
class Request:
    path: str
    range: str | None
    sent: int = 0  # bytes of the body


@dataclass
class Site:
    """What the server holds, how it is to misbehave, and what it was asked."""

    files: dict[str, bytes]
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)  # break off after so many bytes, one per answer
    statuses: list[int] = field(default_factory=list)  # answer with these first, one per answer
    spoiled: int = 0  # how many answers more come with a changed byte
    moved: bool = False  # everything is at /moved/... now
    stall: threading.Event | None = None  # after half a body, stop until this is set
    stalled: threading.Event = field(default_factory=threading.Event)
    requests: list[Request] = field(default_factory=list)
    url: str = ""

    def ranges_asked(self, target: str) -> list[str | None]:
        return [r.range for r in self.requests if r.path == PREFIX + TARGETS[target][0]]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    site: Site

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer's also looks up the host's name
        self.server_name, self.server_port = self.socket.getsockname()[:2]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Connection", "close")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        site = self.server.site
        request = Request(self.path, self.headers["Range"])
        site.requests.append(request)
        if site.statuses:
            self.answer(site.statuses.pop(0), b"<html>an error page</html>")
            return
        if site.moved and not self.path.startswith("/moved"):
            self.answer(302, Location="/moved" + self.path)
            return
        data = site.files.get(self.path.removeprefix("/moved"))
        if data is None:
            self.answer(404, b"<html>no such page</html>")
            return
        if site.spoiled:
            site.spoiled -= 1
            data = data[:-1] + bytes([data[-1] ^ 1])
        start = 0
        if site.ranges and request.range:
            start = int(request.range.removeprefix("bytes=").removesuffix("-"))
            if start >= len(data):
                self.answer(416, b"<html>no such range</html>", Content_Range=f"bytes */{len(data)}")
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        body = data[start:]
        self.send_header("Connection", "close")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if site.cuts:
            body = body[: site.cuts.pop(0)]
        try:
            half = len(body) // 2 if site.stall else 0
            self.wfile.write(body[:half])
            if site.stall:
                site.stalled.set()
                site.stall.wait(HANG)
            self.wfile.write(body[half:])
        except OSError:  # the client has gone
            return
        request.sent = len(body)


@pytest.fixture
def site() -> Iterator[Site]:
    files = {}
    for place, _, size in TARGETS.values():
        files[PREFIX + place] = random.Random(place).randbytes(size)  # noqa: S311 (no secret)
    server = Server(("127.0.0.1", 0), Handler)
    server.site = Site(files, url=f"http://127.0.0.1:{server.server_port}/raw/master")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.site
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Checkout:
    """A copy of the script in a repository of its own; it expects the files of the site."""

    root: Path
    path: Path  # the only folder on PATH
    url: str
    shell: str = "sh"

    def hide(self, *programs: str) -> None:
        for program in programs:
            (self.path / program).unlink(missing_ok=True)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        elsewhere = self.root.parent / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        shell = shutil.which(self.shell)
        assert shell is not None
        environment = {"PATH": str(self.path), "HOME": str(elsewhere), "LC_ALL": "C"}
        if self.url:
            environment["NSTYLE_DOWNLOAD_URL"] = self.url
        return subprocess.Popen(
            [shell, str(self.root / "scripts" / NAME), *arguments],
            cwd=elsewhere,
            env=environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=HANG)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def succeed(self) -> str:
        result = self.run()
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout

    def fail(self, status: int = 1) -> str:
        """Runs the script, which has to fail with one line on standard error: that line."""
        result = self.run()
        assert result.returncode == status, result
        assert result.stderr.startswith(NAME + ": ")
        assert result.stderr.endswith("\n")
        assert result.stderr.count("\n") == 1, result.stderr
        return result.stderr

    def put(self, name: str, data: bytes) -> None:
        (self.root / name).parent.mkdir(exist_ok=True)
        (self.root / name).write_bytes(data)

    def files(self) -> dict[str, bytes]:
        """All files but the script, with their content."""
        found = {str(p.relative_to(self.root)): p for p in self.root.rglob("*") if p.is_file()}
        del found[f"scripts/{NAME}"]
        return {name: p.read_bytes() for name, p in found.items()}


def content(site: Site, target: str = PARAMS) -> bytes:
    return site.files[PREFIX + TARGETS[target][0]]


def everything(site: Site) -> dict[str, bytes]:
    return {target: content(site, target) for target in TARGETS}


def has_way_out(line: str, url: str, target: str = PARAMS) -> bool:
    return f"download {url}/mxnet/neural-style/{TARGETS[target][0]} by hand to {target} " in line


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


Make = Callable[[str], Checkout]


@pytest.fixture
def make(site: Site, tmp_path: Path) -> Make:
    def make(tool: str) -> Checkout:
        path = tmp_path / "bin"
        path.mkdir()
        for name in (*PROGRAMS, *HASHERS, tool):
            if found := shutil.which(name):
                (path / name).symlink_to(found)
        program(path / "sleep", "exit 0")  # the tests need not wait between two attempts
        text = SCRIPT.read_text()
        for target, (_, real, _) in TARGETS.items():
            assert text.count(real) == 1
            text = text.replace(real, blob_id(content(site, target)))
        root = tmp_path / "a repository"
        (root / "scripts").mkdir(parents=True)
        (root / "scripts" / NAME).write_text(text)
        return Checkout(root, path, site.url)

    return make


@pytest.fixture(params=TOOLS)
def checkout(request: pytest.FixtureRequest, make: Make) -> Checkout:
    return make(str(request.param))


@pytest.fixture
def ready(checkout: Checkout, site: Site) -> Checkout:
    """A checkout in which only the weights are missing."""
    for target, data in everything(site).items():
        if target != PARAMS:
            checkout.put(target, data)
    return checkout


def test_script_can_be_executed() -> None:
    assert os.access(SCRIPT, os.X_OK)
    assert SCRIPT.read_text().startswith("#!/bin/sh\n")


@pytest.mark.parametrize("shell", SHELLS)
def test_fresh_download(checkout: Checkout, site: Site, shell: str) -> None:
    checkout.shell = shell
    out = checkout.succeed()
    assert checkout.files() == everything(site)
    assert [r.path for r in site.requests] == [PREFIX + place for place, _, _ in TARGETS.values()]
    assert out.splitlines()[-1].endswith("nstyle --weights vgg19.params")


def test_redirects_are_followed(checkout: Checkout, site: Site) -> None:
    site.moved = True
    checkout.succeed()
    assert checkout.files() == everything(site)
    assert f"/moved{PREFIX}model/vgg19.params" in [r.path for r in site.requests]


def test_slash_at_the_end_of_the_address(checkout: Checkout, site: Site) -> None:
    checkout.url += "/"
    checkout.succeed()
    assert site.requests[0].path == PREFIX + "model/vgg19.params"


def test_second_run_asks_for_nothing(checkout: Checkout, site: Site) -> None:
    checkout.succeed()
    site.requests.clear()
    checkout.hide("curl", "wget")  # not even needed now
    out = checkout.succeed()
    assert site.requests == []
    assert out.count("already here") == len(TARGETS)
    assert checkout.files() == everything(site)


def test_only_what_is_missing_is_fetched(ready: Checkout, site: Site) -> None:
    ready.succeed()
    assert [r.path for r in site.requests] == [PREFIX + "model/vgg19.params"]
    assert ready.files() == everything(site)


def test_part_is_continued(ready: Checkout, site: Site) -> None:
    data = content(site)
    ready.put(PARAMS + ".part", data[:123_456])
    ready.succeed()
    assert site.ranges_asked(PARAMS) == ["bytes=123456-"]
    assert site.requests[0].sent == len(data) - 123_456
    assert ready.files() == everything(site)


def test_part_and_a_server_without_ranges(ready: Checkout, site: Site) -> None:
    site.ranges = False
    ready.put(PARAMS + ".part", content(site)[:123_456])
    ready.succeed()
    assert ready.files() == everything(site)


def test_wrong_part_and_a_server_without_ranges(ready: Checkout, site: Site) -> None:
    site.ranges = False
    ready.put(PARAMS + ".part", b"x" * 123_456)
    ready.succeed()
    assert ready.files() == everything(site)


def test_complete_part_is_taken_as_it_is(ready: Checkout, site: Site) -> None:
    ready.put(PARAMS + ".part", content(site))
    ready.succeed()
    assert site.requests == []
    assert ready.files() == everything(site)


@pytest.mark.parametrize("extra", [0, 5])
def test_complete_but_wrong_part(ready: Checkout, site: Site, extra: int) -> None:
    """The server answers 416, as nothing follows; it all has to come again from zero."""
    ready.put(PARAMS + ".part", b"x" * (len(content(site)) + extra))
    ready.succeed()
    asked = site.ranges_asked(PARAMS)
    assert asked == [f"bytes={len(content(site)) + extra}-", None]
    assert ready.files() == everything(site)


def test_wrong_beginning_in_the_part(ready: Checkout, site: Site) -> None:
    ready.put(PARAMS + ".part", b"x" * 1000)
    ready.succeed()
    assert site.ranges_asked(PARAMS) == ["bytes=1000-", None]
    assert ready.files() == everything(site)


def test_416_forever(ready: Checkout, site: Site) -> None:
    site.statuses = [416] * 100
    line = ready.fail()
    assert "416" in line
    assert has_way_out(line, site.url)
    assert len(site.requests) < 10
    assert PARAMS not in ready.files()


def test_broken_off_and_continued_in_one_run(ready: Checkout, site: Site) -> None:
    site.cuts = [100_000, 50_000]
    ready.succeed()
    assert site.ranges_asked(PARAMS) == [None, "bytes=100000-", "bytes=150000-"]
    assert ready.files() == everything(site)


def test_broken_off_by_a_server_without_ranges(ready: Checkout, site: Site) -> None:
    site.ranges = False
    site.cuts = [100_000]
    ready.succeed()
    assert ready.files() == everything(site)


def test_broken_off_again_and_again(ready: Checkout, site: Site) -> None:
    """The run gives up and leaves the part; the next one continues it."""
    data = content(site)
    site.cuts = [1000] * 100
    line = ready.fail()
    assert "broke off" in line
    assert has_way_out(line, site.url)
    part = ready.files()[PARAMS + ".part"]
    assert PARAMS not in ready.files()
    assert part == data[: 1000 * len(site.requests)]
    assert 1 < len(site.requests) < 10

    site.requests.clear()
    site.cuts.clear()
    ready.succeed()
    assert site.ranges_asked(PARAMS) == [f"bytes={len(part)}-"]
    assert ready.files() == everything(site)


def test_interrupt_leaves_only_the_part(ready: Checkout, site: Site) -> None:
    before = ready.files()
    site.stall = threading.Event()
    # A signal that is ignored here would be ignored there as well.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = ready.start()
    finally:
        signal.signal(signal.SIGINT, handler)
    assert site.stalled.wait(HANG)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=HANG)
    site.stall.set()
    assert (process.returncode, err) == (130, "interrupted; run this script again to continue\n")
    left = ready.files()
    part = left.pop(PARAMS + ".part", b"")
    assert left == before
    assert content(site).startswith(part)
    assert len(part) < len(content(site))

    site.stall = None
    ready.succeed()
    assert ready.files() == everything(site)


def test_wrong_once_then_right(ready: Checkout, site: Site) -> None:
    site.spoiled = 1
    ready.succeed()
    assert site.ranges_asked(PARAMS) == [None, None]
    assert ready.files() == everything(site)


def test_always_wrong(ready: Checkout, site: Site) -> None:
    before = ready.files()
    site.spoiled = 100
    line = ready.fail()
    assert "not the expected file" in line
    assert has_way_out(line, site.url)
    assert site.ranges_asked(PARAMS) == [None, None]
    assert ready.files() == before


@pytest.mark.parametrize("size", [1000, 300_001])
def test_wrong_part_and_then_always_wrong(ready: Checkout, site: Site, size: int) -> None:
    before = ready.files()
    site.spoiled = 100
    ready.put(PARAMS + ".part", b"x" * size)
    assert "not the expected file" in ready.fail()
    assert site.ranges_asked(PARAMS) == [f"bytes={size}-", None]
    assert ready.files() == before


def test_error_page_with_status_200(ready: Checkout, site: Site) -> None:
    before = ready.files()
    site.files[PREFIX + "model/vgg19.params"] = b"<html>please log in</html>"
    assert "not the expected file" in ready.fail()
    assert ready.files() == before


def test_wrong_file_stays_until_the_right_one_is_there(ready: Checkout, site: Site) -> None:
    ready.put(PARAMS, b"something else")
    before = ready.files()
    site.spoiled = 2
    ready.fail()
    assert ready.files() == before
    site.cuts = [1000] * 100
    ready.fail()
    assert ready.files()[PARAMS] == b"something else"
    site.cuts.clear()
    ready.succeed()
    assert ready.files() == everything(site)


def test_file_with_the_right_size_is_not_trusted(ready: Checkout, site: Site) -> None:
    ready.put(PARAMS, content(site)[:-1] + b"?")
    ready.succeed()
    assert ready.files() == everything(site)


def test_404(ready: Checkout, site: Site) -> None:
    before = ready.files()
    del site.files[PREFIX + "model/vgg19.params"]
    line = ready.fail()
    assert "404" in line
    assert "127.0.0.1" in line
    assert has_way_out(line, site.url)
    assert len(site.requests) == 1  # another attempt would not help
    assert ready.files() == before


def test_404_behind_a_redirect(ready: Checkout, site: Site) -> None:
    site.moved = True
    site.files.clear()
    assert "HTTP status 404;" in ready.fail()
    assert len(site.requests) == 2


def test_404_for_a_picture(checkout: Checkout, site: Site) -> None:
    expected = everything(site)
    del expected["input/starry_night.jpg"], site.files[PREFIX + "input/starry_night.jpg"]
    assert has_way_out(checkout.fail(), site.url, "input/starry_night.jpg")
    assert checkout.files() == expected


def test_404_keeps_the_part(ready: Checkout, site: Site) -> None:
    ready.put(PARAMS + ".part", content(site)[:5000])
    site.statuses = [404]
    ready.fail()
    assert ready.files()[PARAMS + ".part"] == content(site)[:5000]
    ready.succeed()
    assert ready.files() == everything(site)


def test_500_once(ready: Checkout, site: Site) -> None:
    site.statuses = [500]
    ready.succeed()
    assert len(site.requests) == 2
    assert ready.files() == everything(site)


def test_500_always(ready: Checkout, site: Site) -> None:
    before = ready.files()
    site.statuses = [500] * 100
    line = ready.fail()
    assert "500" in line
    assert has_way_out(line, site.url)
    assert 1 < len(site.requests) < 10
    assert ready.files() == before


def test_no_server(ready: Checkout) -> None:
    before = ready.files()
    with socket.socket() as unused:  # bound, but it does not listen
        unused.bind(("127.0.0.1", 0))
        ready.url = f"http://user:secret@127.0.0.1:{unused.getsockname()[1]}/raw/master"
        line = ready.fail()
    assert "cannot reach 127.0.0.1:" in line
    assert has_way_out(line, ready.url)
    assert "nstyle works without this file" in line
    assert "run this script again to verify" in line
    assert ready.files() == before


def test_file_brought_by_hand_is_accepted(ready: Checkout, site: Site) -> None:
    ready.put(PARAMS, content(site))
    ready.url = "http://127.0.0.1:9"
    assert f"{PARAMS}: already here" in ready.succeed()
    assert site.requests == []


def test_default_address(ready: Checkout) -> None:
    """Without the environment variable it is GitHub; the downloader is replaced by a recorder."""
    (tool,) = (tool for tool in TOOLS if (ready.path / tool).exists())
    ready.hide(tool)
    program(ready.path / tool, f"echo \"$*\" >>'{ready.path}/asked'; exit 6")
    ready.url = ""
    assert "cannot reach github.com " in ready.fail()
    base = "https://github.com/dmlc/web-data/raw/master"
    (call,) = (ready.path / "asked").read_text().splitlines()
    assert f"{base}/mxnet/neural-style/model/vgg19.params" in call.split()


@pytest.mark.parametrize("hasher", HASHERS)
def test_each_hash_tool(make: Make, site: Site, hasher: str) -> None:
    if shutil.which(hasher) is None:
        pytest.skip(f"no {hasher} here")
    checkout = make(TOOLS[0])
    checkout.hide(*(h for h in HASHERS if h != hasher))
    site.spoiled = 1
    out = checkout.succeed()
    assert "wrong content" in out
    assert checkout.files() == everything(site)


def test_no_hash_tool(make: Make, site: Site) -> None:
    checkout = make(TOOLS[0])
    checkout.hide(*HASHERS)
    assert "sha1sum" in checkout.fail()
    assert site.requests == []
    assert checkout.files() == {}


def test_neither_curl_nor_wget(make: Make, site: Site) -> None:
    checkout = make(TOOLS[0])
    checkout.hide("curl", "wget")
    line = checkout.fail()
    assert "curl or wget" in line
    assert has_way_out(line, site.url)
    assert checkout.files() == {}


@pytest.mark.parametrize("argument", ["--force", "models", ""])
def test_unknown_argument(make: Make, site: Site, argument: str) -> None:
    checkout = make(TOOLS[0])
    result = checkout.run(argument)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert f"'{argument}'" in result.stderr
    assert site.requests == []
    assert checkout.files() == {}


@pytest.mark.parametrize("argument", ["-h", "--help"])
def test_help(make: Make, site: Site, argument: str) -> None:
    checkout = make(TOOLS[0])
    result = checkout.run(argument)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"usage: {NAME} ")
    assert "NSTYLE_DOWNLOAD_URL" in result.stdout
    assert all(target in result.stdout for target in TARGETS)
    assert site.requests == []
    assert checkout.files() == {}
