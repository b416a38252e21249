"""Start the double: `python -m double --port 0`. Prints one line of JSON when it is ready, and ends with its stdin."""

import argparse
import asyncio
import json
import logging
import os
import signal
import socket
import sys
import threading

from hypercorn.asyncio import serve
from hypercorn.config import Config


def arguments():
    parser = argparse.ArgumentParser(prog="double", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--speedup", type=float, default=None, help="divide all of AWS's times by this (default 10)")
    parser.add_argument("--detached", action="store_true", help="do not end when stdin closes")
    parser.add_argument("--evidence", metavar="FILE", help="write down which statements of roles' policies were needed")
    parser.add_argument("--log", default="ERROR", help="log level, on stderr")
    return parser.parse_args()


async def run(options):
    from .app import App   # after logging is set up: MiniStack sets up its own on import

    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", options.port))
    bound.listen(512)      # from here on connections wait for us, so the line below may be printed
    app = App(options.speedup, options.evidence)
    app.world.connections.watch()
    app.world.endpoint = f"http://127.0.0.1:{bound.getsockname()[1]}"

    config = Config()
    config.bind = [f"fd://{bound.fileno()}"]
    config.accesslog, config.errorlog = None, logging.getLogger("hypercorn.error")
    config.graceful_timeout = 0.2
    config.keep_alive_timeout = 120

    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if not options.detached:
        # Whoever started us holds our stdin: when it closes, they are gone, however they went.
        def watch():
            while os.read(0, 4096):
                pass
            loop.call_soon_threadsafe(stop.set)
        threading.Thread(target=watch, daemon=True).start()
    server = asyncio.ensure_future(serve(app, config, shutdown_trigger=stop.wait))
    await asyncio.sleep(0)
    print(json.dumps({"endpoint": app.world.endpoint}), flush=True)
    await server


def main():
    options = arguments()
    logging.basicConfig(stream=sys.stderr, level=options.log, format="%(levelname)s %(name)s %(message)s")
    asyncio.run(run(options))


main()
