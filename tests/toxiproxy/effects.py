"""What toxics do to real connections, asked for through the Python client."""

import socket
import struct
import threading
import time
from contextlib import contextmanager

import requests
from toxiproxy import Toxiproxy

PATIENCE_S = 30
# How much later than due something may come on a busy machine; never earlier.
LATE_S = 2


def can_connect(port):
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def took(at_least_s):
    """Holds what is done inside to a duration."""
    began = time.monotonic()
    yield
    passed = time.monotonic() - began
    # Timers of different programs may differ by a little.
    assert at_least_s - 0.002 <= passed < at_least_s + LATE_S, f"{passed} s, not {at_least_s} s"


def exactly(connection, count):
    got = b""
    while len(got) < count:
        more = connection.recv(count - len(got))
        assert more, f"the connection ended after {len(got)} of {count} bytes"
        got += more
    return got


class Suite:
    def __init__(self, port):
        self.api = f"http://127.0.0.1:{port}"
        self.toxiproxy = Toxiproxy()
        self.toxiproxy.update_api_consumer("127.0.0.1", port)
        self.opened = []

    def teardown(self):
        for connection in self.opened:
            connection.close()
        self.opened = []
        self.toxiproxy.destroy_all()

    def connect(self):
        """A proxy before an upstream, and both ends of a connection through it."""
        upstream = socket.create_server(("127.0.0.1", 0))
        port = upstream.getsockname()[1]
        self.proxy = self.toxiproxy.create(upstream=f"127.0.0.1:{port}", name="test")
        host, port = self.proxy.listen.split(":")
        self.port = int(port)
        client = socket.create_connection((host, self.port), PATIENCE_S)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        upstream.settimeout(PATIENCE_S)
        server, _ = upstream.accept()
        server.settimeout(PATIENCE_S)
        self.opened += [upstream, client, server]
        return client, server

    def add(self, kind, stream="downstream", **attributes):
        self.proxy.add_toxic(type=kind, stream=stream, attributes=attributes)

    def test_latency_delays_one_way(self):
        client, server = self.connect()
        self.add("latency", latency=200)
        for _ in range(2):
            with took(0):
                client.sendall(b"ping")
                assert exactly(server, 4) == b"ping"
            with took(0.2):
                server.sendall(b"pong")
                assert exactly(client, 4) == b"pong"

    def test_latency_lets_a_stream_flow(self):
        client, server = self.connect()
        self.add("latency", latency=100)
        with took(0.1):
            # If each chunk waited for the one before it, this would take 8 s.
            threading.Thread(target=server.sendall, args=[bytes(5_000_000)]).start()
            exactly(client, 5_000_000)

    def test_jitter_varies_the_delay(self):
        client, server = self.connect()
        self.add("latency", latency=50, jitter=40)
        delays = []
        for _ in range(20):
            began = time.monotonic()
            server.sendall(b"x")
            exactly(client, 1)
            delays.append(time.monotonic() - began)
        assert min(delays) >= 0.009 and max(delays) - min(delays) > 0.01, delays

    def test_bandwidth_limits_the_rate(self):
        client, server = self.connect()
        self.add("bandwidth", rate=1000)
        with took(0.4):
            server.sendall(bytes(400_000))
            exactly(client, 400_000)

    def test_slow_close_delays_the_close(self):
        client, server = self.connect()
        self.add("slow_close", delay=300)
        with took(0.3):
            server.close()
            assert client.recv(1) == b""

    def test_timeout_stops_bytes_and_closes(self):
        client, server = self.connect()
        with took(0.3):
            self.add("timeout", timeout=300)
            server.sendall(b"lost")
            assert client.recv(4) == b""

    def test_removing_a_timeout_closes(self):
        client, _ = self.connect()
        self.add("timeout", timeout=0)
        self.proxy.destroy_toxic("timeout_downstream")
        assert client.recv(1) == b""

    def test_reset_peer_resets(self):
        client, server = self.connect()
        self.add("reset_peer", timeout=100)
        with took(0.1):
            server.sendall(b"x")
            for side in [client, server]:
                try:
                    side.recv(1)
                except ConnectionResetError:
                    continue
                raise AssertionError("no reset")

    def test_slicer_sends_slices(self):
        client, server = self.connect()
        self.add("slicer", average_size=10, size_variation=0, delay=20_000)
        server.sendall(bytes(40))
        sizes = []
        while sum(sizes) < 40:
            sizes.append(len(client.recv(64)))
        assert sizes == [10, 10, 10, 10], sizes

    def test_limit_data_closes_after_its_bytes(self):
        client, server = self.connect()
        self.add("limit_data", bytes=100)
        server.sendall(bytes(150))
        assert exactly(client, 100) == bytes(100)
        assert client.recv(1) == b""

    def test_packet_loss_drops(self):
        client, server = self.connect()
        self.add("packet_loss", loss_rate=1)
        server.sendall(b"lost")
        client.settimeout(0.2)
        try:
            raise AssertionError(client.recv(4))
        except TimeoutError:
            pass

    def test_toxics_work_in_order(self):
        client, server = self.connect()
        self.add("limit_data", bytes=10)
        self.add("latency", latency=150)
        with took(0.15):
            server.sendall(bytes(20))
            assert exactly(client, 10) == bytes(10)
            assert client.recv(1) == b""

    def test_toxicity_is_a_share_of_connections(self):
        upstream = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.opened.append(upstream)
        port = upstream.getsockname()[1]
        self.proxy = self.toxiproxy.create(upstream=f"127.0.0.1:{port}", name="test")
        self.proxy.add_toxic(
            type="limit_data", stream="upstream", toxicity=0.5, attributes={"bytes": 0}
        )
        host, port = self.proxy.listen.split(":")
        closed = 0
        for _ in range(60):
            with socket.create_connection((host, int(port)), PATIENCE_S) as client:
                server, _ = upstream.accept()
                client.sendall(b"x")
                closed += server.recv(1) == b""
                server.close()
        assert 15 <= closed <= 45, f"{closed} of 60"

    def test_a_disabled_proxy_is_down_and_its_connections_are_cut(self):
        client, server = self.connect()
        self.proxy.disable()
        assert client.recv(1) == b"" and server.recv(1) == b""
        assert not can_connect(self.port)
        self.proxy.enable()
        assert can_connect(self.port)

    def test_reset_heals_what_is_open(self):
        client, server = self.connect()
        self.add("latency", latency=5000)
        server.sendall(b"held")
        self.toxiproxy.reset()
        with took(0):
            assert exactly(client, 4) == b"held"

    def test_an_update_by_patch_is_in_effect_at_once(self):
        client, server = self.connect()
        self.add("latency", latency=5000)
        url = f"{self.api}/proxies/test/toxics/latency_downstream"
        updated = requests.patch(url, json={"attributes": {"latency": 100}})
        assert updated.json()["attributes"] == {"latency": 100, "jitter": 0}
        with took(0.1):
            server.sendall(b"x")
            exactly(client, 1)

    def test_a_client_that_resets_is_no_trouble(self):
        client, server = self.connect()
        linger = struct.pack("ii", 1, 0)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        client.close()
        try:
            assert server.recv(1) == b""
        except ConnectionResetError:
            pass
        assert can_connect(self.port)


def suite(port):
    suite = Suite(port)
    tests = [(name, getattr(suite, name)) for name in dir(Suite) if name.startswith("test_")]
    return tests, suite.teardown
