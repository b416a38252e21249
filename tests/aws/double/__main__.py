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

import uvicorn
import uvloop


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
    app.world.endpoint = f"http://127.0.0.1:{bound.getsockname()[1]}"

    server = uvicorn.Server(uvicorn.Config(
        app, http=app.world.connections.protocol(), ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
        date_header=False, proxy_headers=False, timeout_keep_alive=120, timeout_graceful_shutdown=0.2))

    def stop():
        server.should_exit = True
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    if not options.detached:
        # Whoever started us holds our stdin: when it closes, they are gone, however they went.
        def watch():
            while os.read(0, 4096):
                pass
            stop()
        threading.Thread(target=watch, daemon=True).start()
    print(json.dumps({"endpoint": app.world.endpoint}), flush=True)
    await server.serve([bound])


def main():
    options = arguments()
    logging.basicConfig(stream=sys.stderr, level=options.log, format="%(levelname)s %(name)s %(message)s")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(options))


main()
