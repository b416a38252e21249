"""As much of HTTP/1.1 as passing it on takes: heads are read, bodies are followed to their end, nothing is buffered."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator

PIECE = 1 << 16


class Ended(Exception):
    """The other side ended the connection in the middle of something."""


class Head:
    """The first line and the headers of a request or an answer, and their bytes as they came."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
        self.first = first.split(" ", 2)
        self.headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @classmethod
    async def read(cls, reader: asyncio.StreamReader) -> Head | None:
        """The next head, or None where the other side has ended between two of them."""
        try:
            return cls(await reader.readuntil(b"\r\n\r\n"))
        except asyncio.IncompleteReadError as end:
            if end.partial:
                raise Ended from end
            return None

    @property
    def method(self) -> str:
        return self.first[0]

    @property
    def target(self) -> str:
        return self.first[1]

    @property
    def status(self) -> int:
        return int(self.first[1])

    @property
    def closes(self) -> bool:
        return self.headers.get("connection", "").lower() == "close"

    def with_token(self, token: str | None) -> bytes:
        """The head's bytes, with credentials if it has none."""
        if not token or "authorization" in self.headers:
            return self.raw
        return self.raw[:-2] + f"Authorization: Bearer {token}\r\n\r\n".encode()


async def body(reader: asyncio.StreamReader, head: Head, request: bool = False, asked: Head | None = None) -> AsyncIterator[bytes]:
    """The bytes of a body, framing and all, each piece as it comes."""
    if not request and (head.status in (204, 304) or (asked and asked.method == "HEAD")):
        return
    if "chunked" in head.headers.get("transfer-encoding", "").lower():
        async for piece in _chunks(reader):
            yield piece
    elif "content-length" in head.headers:
        left = int(head.headers["content-length"])
        while left:
            piece = await _some(reader, min(left, PIECE))
            left -= len(piece)
            yield piece
    elif not request:
        while piece := await reader.read(PIECE):    # until the other side ends it
            yield piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        line = await reader.readuntil(b"\r\n")
        yield line
        left = int(line.split(b";")[0], 16)
        if left == 0:
            break
        left += 2
        while left:
            piece = await _some(reader, min(left, PIECE))
            left -= len(piece)
            yield piece
    while True:                                     # trailers, to the empty line
        line = await reader.readuntil(b"\r\n")
        yield line
        if line == b"\r\n":
            return


async def _some(reader: asyncio.StreamReader, most: int) -> bytes:
    piece = await reader.read(most)
    if not piece:
        raise Ended
    return piece


def reset(writer: asyncio.StreamWriter) -> bool:
    """Break a connection at once: the client sees "connection reset by peer". False: it serves no other request."""
    connection = writer.get_extra_info("socket")
    if connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False
