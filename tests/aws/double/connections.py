"""The TCP connections under the ASGI server, so that one can be reset without an answer: ASGI knows no such thing."""

import socket
import struct

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Connections:
    def __init__(self):
        self._transports = {}

    def protocol(self):
        """What the server is to speak with: HTTP, on connections that are known by their clients' addresses."""
        known = self._transports

        class Known(HttpToolsProtocol):
            def connection_made(self, transport):
                super().connection_made(transport)
                known[self.client] = transport

            def connection_lost(self, exc):
                known.pop(self.client, None)
                super().connection_lost(exc)
        return Known

    def reset(self, client):
        """Break a connection at once: the client sees "connection reset by peer"."""
        transport = self._transports.get(tuple(client))
        if transport:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
