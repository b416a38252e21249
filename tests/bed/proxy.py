"""A proxy before the API server, for tests of what a client does when answers are lost, late or refused.

    proxy.py --kubeconfig FILE [--write FILE]     before the bed's API server; --write: the same file, leading through here
    proxy.py --upstream http://HOST:PORT          before anything that speaks HTTP/1.1

Plain HTTP on loopback; everything is forwarded as it comes, watch streams included, over one upstream connection for each of
the client's. A request without credentials gets those of the kubeconfig (client-go sends none over plain HTTP). It prints
{"endpoint": …, "control": …} and ends with its stdin. The control API, on a port of its own, speaks JSON:

    POST /rules     {method, path, query, client, first, count, do, seconds, status}: the first-th to (first+count-1)-th request that
                    matches is dropped ("drop-before" or "drop-after" it took effect), answered with a status ("refuse",
                    500 unless said), late ("delay"), held until its rule is deleted ("hold"), or the last thing that the
                    client does ("last"): it takes effect, its answer never comes, and no later change arrives. Of an answer
                    that is frozen ("freeze") the head comes and nothing after it, as of a watch whose connection is forgotten
    GET /rules      what each has seen and hit          DELETE /rules    forget them, let go what they hold
    GET /requests   [{seq, method, path, client, status, outcome}], mutating ones, ?all=1 for all     DELETE /requests
    POST /cut       break every connection, open watches too

`method`, `path`, `query` and `client` (the User-Agent) are globs. Without a method a rule means what changes something.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import ssl
import sys
import threading
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from urllib.parse import urlsplit

from proxy_http import Ended, Head, body, reset
from proxy_script import Script

BUSY = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Upstream:
    """Where requests go, and with whose credentials if they have none."""

    def __init__(self, url: str, authority: str | None = None, token: str | None = None) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        self.tls = ssl.create_default_context(cadata=authority) if parts.scheme == "https" else None
        self.token = token

    @classmethod
    def of(cls, kubeconfig: dict) -> Upstream:
        cluster, user = kubeconfig["clusters"][0]["cluster"], kubeconfig["users"][0]["user"]
        return cls(cluster["server"], base64.b64decode(cluster["certificate-authority-data"]).decode(), user.get("token"))

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.host, self.port, ssl=self.tls, limit=1 << 20)


class Proxy:
    def __init__(self, upstream: Upstream, script: Script) -> None:
        self.upstream, self.script = upstream, script
        self.open: set[asyncio.StreamWriter] = set()

    def cut(self) -> int:
        for writer in list(self.open):
            reset(writer)
        return len(self.open)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection, until either side ends it."""
        self.open.add(writer)
        there: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while head := await Head.read(reader):
                if there is None or there[0].at_eof():
                    if there:
                        there[1].close()
                    there = await self.upstream.connect()
                if not await self._exchange(head, (reader, writer), there):
                    return
        except (OSError, Ended, asyncio.IncompleteReadError):
            if there is None:
                writer.write(BUSY)
        finally:
            self.open.discard(writer)
            for end in (writer, there[1] if there else None):
                if end:
                    end.close()

    async def _exchange(self, head: Head, client: tuple, there: tuple) -> bool:
        """One request and its answer; whether the connection may serve another."""
        entry, rule = self.script.arrived(head)
        what = rule["do"] if rule else "pass"
        if what == "drop-before":
            entry["outcome"] = "dropped before"
            return reset(client[1])
        if what == "silence":
            entry["outcome"] = "never arrived"
            return await _silence(client)
        if what == "delay":
            await asyncio.sleep(rule["seconds"])
        elif what == "hold":
            await rule["released"].wait()
        elif what == "refuse":
            async for _ in body(client[0], head, request=True):
                pass
            entry.update(status=rule["status"], outcome="refused")
            client[1].write(b"HTTP/1.1 %d Refused\r\ncontent-length: 0\r\n\r\n" % rule["status"])
            await client[1].drain()
            return True
        there[1].write(head.with_token(self.upstream.token))
        sending = asyncio.ensure_future(_pass_on(body(client[0], head, request=True), there[1]))
        try:
            goes_on = await self._answer(head, entry, client, there)
            return goes_on and sending.done()  # answered before all was sent: what is left would look like a request
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, asyncio.IncompleteReadError, OSError, Ended):
                await sending

    async def _answer(self, head: Head, entry: dict, client: tuple, there: tuple) -> bool:
        while True:
            answer = await Head.read(there[0])
            if answer is None:
                raise Ended
            entry["status"] = answer.status
            rule = self.script.answered(entry) if 200 <= answer.status < 400 else None
            if not rule or rule["do"] == "freeze":
                client[1].write(answer.raw)
            if answer.status == 101:
                entry["outcome"] = "upgraded"
                await _both_ways(client, there)
                return False
            if answer.status >= 200:
                break
        if rule and rule["do"] == "freeze":
            entry["outcome"] = "frozen"
            return await _silence(client)
        pieces = body(there[0], answer, asked=head)
        if rule:
            async for _ in pieces:
                pass
            entry["outcome"] = "dropped after" if rule["do"] == "drop-after" else "never answered"
            return reset(client[1]) if rule["do"] == "drop-after" else await _silence(client)
        await _pass_on(pieces, client[1])
        entry["outcome"] = "passed"
        return not (head.closes or answer.closes)


async def _silence(client: tuple) -> bool:
    """No answer comes for as long as the client waits for it."""
    while await client[0].read(1 << 16):
        pass
    return False


async def _pass_on(pieces: AsyncIterator[bytes], writer: asyncio.StreamWriter) -> None:
    """Each piece as it comes: a watch's events must not wait for one another."""
    await writer.drain()
    async for piece in pieces:
        writer.write(piece)
        await writer.drain()


async def _both_ways(client: tuple, there: tuple) -> None:
    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
    ways = [asyncio.ensure_future(pipe(client[0], there[1])), asyncio.ensure_future(pipe(there[0], client[1]))]
    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    for way in ways:
        way.cancel()


async def control(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, Ended, asyncio.IncompleteReadError):
        while head := await Head.read(reader):
            sent = b"".join([piece async for piece in body(reader, head, request=True)])
            status, value = proxy.script.control(head.method, head.target, sent, proxy.cut)
            text = json.dumps(value).encode()
            writer.write(b"HTTP/1.1 %d -\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(text)) + text)
            await writer.drain()
    writer.close()


async def quietly(work: Coroutine) -> None:
    """When the proxy ends, so do its connections, and nobody needs to hear of it."""
    with contextlib.suppress(asyncio.CancelledError):
        await work


async def run(upstream: Upstream, kubeconfig: dict | None, write: Path | None) -> None:
    proxy, stop, loop = Proxy(upstream, Script()), asyncio.Event(), asyncio.get_running_loop()
    server = await asyncio.start_server(lambda r, w: quietly(proxy.serve(r, w)), "127.0.0.1", 0, limit=1 << 20)
    controls = await asyncio.start_server(lambda r, w: quietly(control(proxy, r, w)), "127.0.0.1", 0)
    endpoint, controlled = (f"http://127.0.0.1:{s.sockets[0].getsockname()[1]}" for s in (server, controls))
    if write and kubeconfig:
        kubeconfig["clusters"][0]["cluster"] = {"server": endpoint}
        write.write_text(json.dumps(kubeconfig, indent=2))
    print(json.dumps({"endpoint": endpoint, "control": controlled}), flush=True)

    def watch() -> None:
        while os.read(0, 4096):
            pass
        loop.call_soon_threadsafe(stop.set)
    threading.Thread(target=watch, daemon=True).start()
    await stop.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--upstream", help="the URL of a plain HTTP server")
    where.add_argument("--kubeconfig", type=Path, help="the bed's kubeconfig: server, authority and token")
    parser.add_argument("--write", type=Path, help="write a kubeconfig that leads through the proxy")
    options = parser.parse_args()
    kubeconfig = json.loads(options.kubeconfig.read_text()) if options.kubeconfig else None
    upstream = Upstream.of(kubeconfig) if kubeconfig else Upstream(options.upstream)
    asyncio.run(run(upstream, kubeconfig, options.write))
    return 0


if __name__ == "__main__":
    sys.exit(main())
