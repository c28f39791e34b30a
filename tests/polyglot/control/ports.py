"""Chooses free loopback ports that stay free.

They are taken from below the kernel's range for outgoing connections, so that while a service is
down no outgoing connection can be given its port by chance.
"""

import random
import socket

from . import ControlError

FIRST_PORT, LAST_PORT = 20_000, 31_999
ATTEMPTS_MAX = 1_000


def choose_ports(count):
    chosen = []
    for _ in range(ATTEMPTS_MAX):
        if len(chosen) == count:
            return chosen
        port = random.randint(FIRST_PORT, LAST_PORT)
        if port not in chosen and is_free(port):
            chosen.append(port)
    raise ControlError(f"found no {count} free ports in {FIRST_PORT}-{LAST_PORT}")


def is_free(port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def listens(port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
