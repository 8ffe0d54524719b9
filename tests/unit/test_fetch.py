"""Fetching from a server that drops the connection, lies about the size, or serves a wrong byte."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from pivm.datasets import fetch as module
from pivm.datasets.fetch import fetch
from pivm.errors import DataError

CONTENT = np.random.default_rng(0).integers(0, 256, 300_000, np.uint8).tobytes()
CHECKSUM = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


class Server(BaseHTTPRequestHandler):
    """Serves CONTENT; ``fault`` is what it does wrong, ``ranges`` what it was asked for."""

    fault, ranges, ranged = "", [], True

    def do_GET(self):
        asked = self.headers.get("Range")
        Server.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and Server.ranged else 0
        body = CONTENT[start:]
        self.send_response(206 if asked and Server.ranged else 200)
        length = len(body) + (5 if Server.fault == "lies" else 0)
        if Server.fault != "endless":
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if Server.fault == "drops":
            body = body[:131_072]
        elif Server.fault == "wrong byte":
            body = bytes([body[0] ^ 1]) + body[1:]
        elif Server.fault == "endless":
            body += bytes(10)
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def url():
    Server.fault, Server.ranges, Server.ranged = "", [], True
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/scans.zip"
    server.shutdown()
    server.server_close()


def get(url, folder, size=300_000, checksum=CHECKSUM):
    fetch(url, size, checksum, folder / "scans.zip", pause=0)
    return (folder / "scans.zip").read_bytes()


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_it_is_fetched_and_checked(url, tmp_path, kind):
    assert get(url, tmp_path, checksum=f"{kind}:{hashlib.new(kind, CONTENT).hexdigest()}") == CONTENT
    assert [p.name for p in tmp_path.iterdir()] == ["scans.zip"]


def test_a_dropped_connection_is_resumed(url, tmp_path):
    Server.fault = "drops"
    assert get(url, tmp_path) == CONTENT
    assert Server.ranges == [None, "bytes=131072-", "bytes=262144-"]


def test_an_interrupted_call_is_taken_up_by_the_next(url, tmp_path, monkeypatch):
    Server.fault = "drops"
    monkeypatch.setattr(module, "TRIES", 1)
    with pytest.raises(DataError, match=r"131072 of 300000 bytes after 1 tries.*run again to resume"):
        get(url, tmp_path)
    Server.fault = ""
    assert get(url, tmp_path) == CONTENT
    assert Server.ranges[-1] == "bytes=131072-"


def test_a_server_that_cannot_resume_starts_again(url, tmp_path):
    (tmp_path / "scans.zip.part").write_bytes(b"x" * 500)
    Server.ranged = False
    assert get(url, tmp_path) == CONTENT


def test_a_lie_about_the_size_is_caught(url, tmp_path):
    Server.fault = "lies"
    with pytest.raises(DataError, match="offers 300005 bytes, expected 300000"):
        get(url, tmp_path)


def test_more_bytes_than_expected_are_caught(url, tmp_path):
    Server.fault = "endless"
    with pytest.raises(DataError, match="more than the expected 300000 bytes"):
        get(url, tmp_path)


def test_a_wrong_byte_is_caught_and_the_file_removed(url, tmp_path):
    Server.fault = "wrong byte"
    with pytest.raises(DataError, match="expected sha256:"):
        get(url, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_too_little_disk_space_is_found_first(url, tmp_path):
    with pytest.raises(DataError, match="are still to fetch, but only"):
        get(url, tmp_path, size=10**18)
    assert Server.ranges == []


def test_no_server_is_named(tmp_path):
    with pytest.raises(DataError, match=r"0 of 300000 bytes after 5 tries"):
        get("http://127.0.0.1:9/scans.zip", tmp_path)
