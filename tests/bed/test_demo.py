"""`make demo` as it runs in an office: behind a proxy that its environment names."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import prepare

DEMO = [sys.executable, str(Path(__file__).with_name("demo.py"))]


class Office:
    """A proxy that cannot reach loopback, as none can, and counts who tries."""

    def __init__(self) -> None:
        self.tried: list[bytes] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        try:
            while True:
                client, _ = self.socket.accept()
                with client:
                    client.settimeout(5)
                    self.tried.append(client.recv(200))
                    client.sendall(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        except OSError:  # closed
            pass


@pytest.fixture
def office() -> Iterator[Office]:
    office = Office()
    yield office
    office.socket.close()


def test_no_part_of_the_demo_asks_the_proxy_of_an_office(office: Office, tmp_path: Path) -> None:
    assert prepare.OPERATOR.exists(), "build it first: cargo build"
    # What people have in NO_PROXY is not always what a program can read.
    named = {"HTTP_PROXY": office.url, "HTTPS_PROXY": office.url, "ALL_PROXY": office.url.replace("http", "socks5h"), "NO_PROXY": "localhost,,<local>"}
    lower = {name.lower(): value for name, value in named.items()}
    environment = {**os.environ, **named, **lower, "TMPDIR": str(tmp_path)}
    done = subprocess.run(DEMO, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 0 and "demo: ok: 10 tenants Ready" in done.stdout, done.stdout + done.stderr
    # Of two that are of a class one is noisy, and throttled by its limit.
    assert "oscorp (basic) asked 180 times: " in done.stdout and "Class basic lets a tenant " in done.stdout, done.stdout
    # One of them is on the other vector store, and answers like all; its vectors are shown to nobody.
    assert "wonka (Silo, S3Vectors), best of" in done.stdout and "wonka's index is there, and ListVectors is refused" in done.stdout, done.stdout
    assert office.tried == []
