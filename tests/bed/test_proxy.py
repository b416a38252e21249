"""The proxy passes everything on as it comes, and does to the n-th request what its script says."""

from __future__ import annotations

import http.client
import http.server
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

PROXY = [sys.executable, str(Path(__file__).with_name("proxy.py"))]
OBJECT = "/apis/tenantry.dev/v1alpha1/namespaces/a/tenants/x"


class Stub(http.server.BaseHTTPRequestHandler):
    """An API server in little: it echoes requests, and a watch sends an event whenever the test lets it."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str, bytes, str]] = []
    more = threading.Semaphore(0)

    def answer(self) -> None:
        length = int(self.headers.get("content-length", 0))
        if self.headers.get("transfer-encoding") == "chunked":
            sent = b""
            while size := int(self.rfile.readline(), 16):
                sent += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            sent = self.rfile.read(length)
        self.seen.append((self.command, self.path, sent, self.headers.get("authorization", "")))
        if "watch" in self.path:
            return self.watch()
        value = json.dumps({"path": self.path, "sent": sent.decode()}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(value)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(value)

    def watch(self) -> None:
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number in range(3):
            self.more.acquire()
            event = b'{"event": %d}\n' % number
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        self.wfile.write(b"0\r\n\r\n")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def log_message(self, *_: object) -> None:
        pass


class Client:
    def __init__(self, endpoint: str) -> None:
        self.address = urlsplit(endpoint).netloc
        self.connection = http.client.HTTPConnection(self.address, timeout=10)

    def send(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict | None]:
        self.connection.request(method, path, body, headers, encode_chunked=headers.get("transfer-encoding") == "chunked")
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None


class World:
    def __init__(self, facts: dict) -> None:
        self.client, self._control = Client(facts["endpoint"]), Client(facts["control"])

    def control(self, method: str, path: str, body: dict | None = None) -> dict:
        status, value = self._control.send(method, path, json.dumps(body) if body is not None else None)
        assert status == 200, value
        return value

    def rule(self, **rule: object) -> None:
        self.control("POST", "/rules", rule)


@pytest.fixture
def world() -> Iterator[World]:
    stub = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    stub.daemon_threads = True
    threading.Thread(target=stub.serve_forever, daemon=True).start()
    Stub.seen.clear()
    command = [*PROXY, "--upstream", f"http://127.0.0.1:{stub.server_port}"]
    proxy = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield World(json.loads(proxy.stdout.readline()))
    proxy.stdin.close()
    assert proxy.wait(10) == 0
    assert proxy.stderr.read() == ""
    stub.shutdown()


def test_everything_passes_as_it_is(world: World) -> None:
    send = world.client.send
    assert send("GET", f"{OBJECT}?x=1", Authorization="Bearer mine") == (200, {"path": f"{OBJECT}?x=1", "sent": ""})
    assert Stub.seen[-1][3] == "Bearer mine"
    big = "x" * 300_000
    assert send("PUT", OBJECT, big) == (200, {"path": OBJECT, "sent": big})
    chunked = send("PATCH", OBJECT, iter([b"one", b"two"]), **{"transfer-encoding": "chunked"})
    assert chunked == (200, {"path": OBJECT, "sent": "onetwo"})
    assert send("HEAD", OBJECT) == (200, None)
    assert [(r["method"], r["outcome"]) for r in world.control("GET", "/requests")["requests"]] == [("PUT", "passed"), ("PATCH", "passed")]
    assert len(world.control("GET", "/requests?all=1")["requests"]) == 4
    world.control("DELETE", "/requests")
    assert world.control("GET", "/requests?all=1")["requests"] == []


def test_a_watch_is_not_held_back(world: World) -> None:
    world.client.connection.request("GET", "/watch")
    answer = world.client.connection.getresponse()
    for number in range(3):
        Stub.more.release()
        assert json.loads(answer.readline()) == {"event": number}
    assert answer.read() == b""
    assert world.client.send("GET", OBJECT)[0] == 200  # the connection goes on


@pytest.mark.parametrize("deed, arrives", [("drop-before", False), ("drop-after", True)])
def test_the_nth_change_is_dropped(world: World, deed: str, arrives: bool) -> None:
    world.rule(path="/apis/tenantry.dev/*/tenants/*", method="P*", first=2, do=deed)
    send = world.client.send
    assert send("PATCH", OBJECT, "1")[0] == send("POST", "/other", "")[0] == send("GET", OBJECT)[0] == 200
    with pytest.raises(ConnectionError):
        send("PATCH", OBJECT, "2")
    world.client.connection.close()
    assert send("PATCH", OBJECT, "3")[0] == 200
    assert [sent for method, _, sent, _ in Stub.seen if method == "PATCH"] == [b"1"] + [b"2"] * arrives + [b"3"]
    rule = world.control("GET", "/rules")["rules"][0]
    assert (rule["seen"], rule["hit"]) == (3, 1)
    assert deed.replace("-", "ped ") in [r["outcome"] for r in world.control("GET", "/requests")["requests"]]


def test_the_last_thing_that_a_client_does(world: World) -> None:
    world.rule(method="PATCH", do="last")
    outcomes = []
    for sent, outcome in ("1", "never answered"), ("2", "never arrived"):
        outcomes.append(outcome)
        world.client.connection.request("PATCH", OBJECT, sent)
        while [r["outcome"] for r in world.control("GET", "/requests")["requests"]] != outcomes:
            time.sleep(0.01)
        world.client.connection.close()
    assert [sent for method, _, sent, _ in Stub.seen] == [b"1"]
    assert world.client.send("GET", OBJECT)[0] == 200
    world.control("DELETE", "/rules")
    assert world.client.send("PATCH", OBJECT, "3")[0] == 200


def test_refused_and_late(world: World) -> None:
    world.rule(do="refuse", status=409)
    assert world.client.send("DELETE", OBJECT)[0] == 409 and not Stub.seen
    world.rule(method="GET", do="delay", seconds=0.2)
    started = time.monotonic()
    assert world.client.send("GET", OBJECT)[0] == 200
    assert time.monotonic() - started >= 0.2


def test_held_until_its_rule_goes(world: World) -> None:
    world.rule(do="hold", client="one*")
    world.client.connection.request("PUT", OBJECT, "held", {"User-Agent": "one/1"})
    while not world.control("GET", "/rules")["rules"][0]["hit"]:
        time.sleep(0.01)
    assert not Stub.seen
    world.control("DELETE", "/rules")
    assert world.client.connection.getresponse().status == 200 and Stub.seen


def test_a_watch_that_is_frozen_says_nothing_more(world: World) -> None:
    world.rule(method="GET", query="*watch=true*", do="freeze")
    world.client.connection.request("GET", "/watch?watch=false")
    answer = world.client.connection.getresponse()
    Stub.more.release(3)
    assert answer.read().count(b"event") == 3
    world.client.connection.request("GET", "/watch?watch=true")
    answer = world.client.connection.getresponse()
    Stub.more.release(3)
    assert answer.status == 200
    world.client.connection.sock.settimeout(0.5)
    with pytest.raises(TimeoutError):
        answer.read()
    world.client.connection.close()
    assert world.client.send("GET", OBJECT)[0] == 200


def test_all_connections_are_cut(world: World) -> None:
    world.client.connection.request("GET", "/watch")
    answer = world.client.connection.getresponse()
    Stub.more.release()
    assert answer.readline()
    assert world.control("POST", "/cut") == {"cut": 1}
    with pytest.raises((ConnectionError, http.client.IncompleteRead)):
        answer.read()
    Stub.more.release(2)
    world.client.connection.close()
    assert world.client.send("GET", OBJECT)[0] == 200


def test_mistakes_are_refused(world: World) -> None:
    for wrong in ({"do": "explode"}, {"do": "delay", "nth": 1}):
        with pytest.raises(AssertionError, match="unknown"):
            world.rule(**wrong)


def test_an_upgraded_connection_is_piped() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def upgrade() -> None:
        connection, _ = listener.accept()
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\r\n")
        connection.sendall(connection.recv(1 << 16).upper())
        connection.close()

    threading.Thread(target=upgrade, daemon=True).start()
    command = [*PROXY, "--upstream", f"http://127.0.0.1:{listener.getsockname()[1]}"]
    proxy = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    address = urlsplit(json.loads(proxy.stdout.readline())["endpoint"])
    client = socket.create_connection((address.hostname, address.port), timeout=10)
    client.sendall(b"POST /exec HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n\r\n")
    assert client.recv(1 << 16).startswith(b"HTTP/1.1 101")
    client.sendall(b"hello")
    assert client.recv(1 << 16) == b"HELLO"
    proxy.stdin.close()
    assert proxy.wait(10) == 0
