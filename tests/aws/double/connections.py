"""The TCP connections under the ASGI server, so that one can be reset without an answer: ASGI knows no such thing."""

import socket
import struct

from hypercorn.asyncio import run
from hypercorn.asyncio.tcp_server import TCPServer


class Connections:
    def __init__(self):
        self._writers = {}

    def watch(self):
        """From now on every connection that the server accepts is known by its client's address."""
        known = self._writers

        class Known(TCPServer):
            async def run(self):
                client = tuple(self.writer.get_extra_info("peername")[:2])
                known[client] = self.writer
                try:
                    await super().run()
                finally:
                    known.pop(client, None)
        run.TCPServer = Known

    def reset(self, client):
        """Break a connection at once: the client sees "connection reset by peer"."""
        writer = self._writers.get(tuple(client))
        if writer:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
