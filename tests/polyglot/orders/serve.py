"""Runs a WSGI application on waitress in one process, and stops it without losing a request.

On SIGTERM it takes in the connections that the kernel has already accepted for it, stops
listening, answers what was begun, and returns. One process with threads, no forks: a SIGKILL of
it is the end of the service.
"""

import logging
import signal
import time

from waitress import wasyncore
from waitress.server import create_server

THREADS = 8
DRAIN_SECONDS_MAX = 10.0
# A connection that was just taken in gets this long to send its request.
FIRST_BYTES_SECONDS = 0.3

logger = logging.getLogger("orders.serve")


def serve(app, port):
    server = create_server(app, host="127.0.0.1", port=port, threads=THREADS, ident=None)
    stopping = []

    def stop(_signal, _frame):
        stopping.append(True)
        server.pull_trigger()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    logger.info("orders listens on 127.0.0.1:%d", port)
    while not stopping:
        turn(server, timeout=1.0)
    logger.info("stopping: finishing open requests")
    stop_listening(server)
    finish_requests(server)
    server.task_dispatcher.shutdown()
    logger.info("stopped")


def turn(server, timeout):
    wasyncore.loop(timeout=timeout, map=server._map, count=1)


def stop_listening(server):
    channels = None
    while channels != len(server.active_channels):
        channels = len(server.active_channels)
        server.handle_accept()
    server.del_channel()
    server.socket.close()


def finish_requests(server):
    begun = time.monotonic()
    while time.monotonic() - begun < DRAIN_SECONDS_MAX:
        channels = list(server.active_channels.values())
        idle = [channel for channel in channels if not is_busy(channel)]
        if time.monotonic() - begun > FIRST_BYTES_SECONDS:
            if len(idle) == len(channels):
                return
            for channel in idle:
                channel.will_close = True  # or a kept-alive caller would never let us go
        turn(server, timeout=0.05)


def is_busy(channel):
    return bool(channel.requests or channel.request or channel.total_outbufs_len)
