"""The tests of `toxiproxy-python` (test/toxiproxy_test.py and test/toxiproxy_api_test.py of its
repository), which its package does not ship, on free ports. What they only sketch is left out."""

import socket
import socketserver
import threading
from contextlib import contextmanager

import requests
from toxiproxy import Toxiproxy
from toxiproxy.api import validate_response
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists
from toxiproxy.utils import can_connect_to


@contextmanager
def tcp_server():
    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            if self.rfile.readline().strip():
                self.wfile.write(b"omgs\n")

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return "localhost:%s" % probe.getsockname()[1]


def raises(exception, call):
    try:
        call()
    except exception as error:
        return error
    raise AssertionError(f"no {exception.__name__}")


class Suite:
    def __init__(self, port):
        self.port = port
        self.toxiproxy = Toxiproxy()
        self.toxiproxy.update_api_consumer("127.0.0.1", port)

    def teardown(self):
        self.toxiproxy.update_api_consumer("127.0.0.1", self.port)
        self.toxiproxy.destroy_all()

    def master(self, **more):
        return self.toxiproxy.create(
            upstream="localhost:3306", name="test_mysql_master", **more
        )

    def test_create_proxy(self):
        listen = free_address().replace("localhost", "127.0.0.1")
        proxy = self.master(enabled=False, listen=listen)
        assert proxy.upstream == "localhost:3306"
        assert proxy.name == "test_mysql_master"
        assert proxy.enabled is False
        assert proxy.listen == listen

    def test_destroy_proxy(self):
        proxy = self.master()
        assert self.toxiproxy.destroy(proxy) is True
        assert proxy.name not in self.toxiproxy.proxies()

    def test_destroy_invalid_proxy(self):
        assert self.toxiproxy.destroy("invalid_proxy") is False

    def test_disable_proxy(self):
        proxy = self.master()
        proxy.disable()
        assert proxy.enabled is False

    def test_enable_proxy(self):
        proxy = self.master()
        proxy.disable()
        proxy.enable()
        assert proxy.enabled is True

    def test_find_invalid_proxy(self):
        assert self.toxiproxy.get_proxy("invalid_proxy") is None

    def test_create_and_find_proxy(self):
        self.master()
        proxy = self.toxiproxy.get_proxy("test_mysql_master")
        assert proxy.upstream == "localhost:3306"
        assert proxy.name == "test_mysql_master"

    def test_cant_create_proxies_same_name(self):
        self.master()
        raises(ProxyExists, self.master)

    def test_version_of_invalid_toxiproxy(self):
        self.toxiproxy.update_api_consumer("0.0.0.0", 1)
        assert self.toxiproxy.version() is None

    def test_proxy_not_running_with_bad_host(self):
        self.toxiproxy.update_api_consumer("0.0.0.0", 1)
        assert self.toxiproxy.running() is False

    def test_populate_creates_proxies_array(self):
        proxies = [
            {
                "name": f"test_toxiproxy_populate{number}",
                "upstream": "localhost:3306",
                "listen": free_address(),
            }
            for number in [1, 2]
        ]
        created = self.toxiproxy.populate(proxies)
        assert len(created) == 2
        for proxy in created:
            host, port = proxy.listen.split(":")
            assert can_connect_to(host, int(port)) is True

    def test_populate_creates_proxies_update_listen(self):
        for _ in range(2):
            listen = free_address()
            proxy = {"name": "populate1", "upstream": "localhost:3306", "listen": listen}
            created = self.toxiproxy.populate([proxy])
            assert len(created) == 1
            host, port = created[0].listen.split(":")
            assert can_connect_to(host, int(port)) is True

    def test_running_helper(self):
        assert self.toxiproxy.running() is True

    def test_version(self):
        assert isinstance(self.toxiproxy.version(), bytes)

    def test_enable_and_disable_proxy_with_toxic(self):
        with tcp_server() as port:
            proxy = self.toxiproxy.create(upstream=f"localhost:{port}", name="test_rubby_server")
            host, proxy_port = proxy.listen.split(":")
            listen = proxy.listen
            proxy.add_toxic(type="latency", attributes={"latency": 123})
            proxy.disable()
            assert can_connect_to(host, int(proxy_port)) is False
            proxy.enable()
            assert can_connect_to(host, int(proxy_port)) is True
            assert proxy.get_toxic("latency_downstream").attributes["latency"] == 123
            assert self.toxiproxy.get_proxy(proxy.name).listen == listen

    def test_delete_toxic(self):
        with tcp_server() as port:
            proxy = self.toxiproxy.create(upstream=f"localhost:{port}", name="test_rubby_server")
            host, proxy_port = proxy.listen.split(":")
            proxy.add_toxic(type="latency", attributes={"latency": 123})
            assert can_connect_to(host, int(proxy_port)) is True
            assert proxy.get_toxic("latency_downstream").attributes["latency"] == 123
            proxy.destroy_toxic("latency_downstream")
            assert proxy.toxics() == {}

    def test_reset(self):
        with tcp_server() as port:
            proxy = self.toxiproxy.create(upstream=f"localhost:{port}", name="test_rubby_server")
            host, proxy_port = proxy.listen.split(":")
            proxy.disable()
            assert can_connect_to(host, int(proxy_port)) is False
            proxy.add_toxic(type="latency", attributes={"latency": 123})
            self.toxiproxy.reset()
            assert can_connect_to(host, int(proxy_port)) is True
            assert proxy.toxics() == {}

    def test_down_takes_the_proxy_down_for_a_while(self):
        proxy = self.master()
        host, port = proxy.listen.split(":")
        with proxy.down():
            assert can_connect_to(host, int(port)) is False
        assert can_connect_to(host, int(port)) is True

    def test_an_invalid_toxic_is_refused(self):
        proxy = self.master()
        raises(InvalidToxic, lambda: proxy.add_toxic(type="walrus"))
        raises(InvalidToxic, lambda: proxy.add_toxic(type="latency", stream="walrustream"))
        raises(NotFound, lambda: proxy.destroy_toxic("walrus"))

    def test_api_not_found(self):
        url = f"http://127.0.0.1:{self.port}/not_found"
        error = raises(NotFound, lambda: validate_response(requests.get(url)))
        assert error.args == (b"404 page not found\n",)

    def test_api_proxy_exists(self):
        url = f"http://127.0.0.1:{self.port}/proxies"
        json = {"upstream": "localhost:3306", "name": "test_mysql_service"}
        validate_response(requests.post(url, json=json))
        error = raises(ProxyExists, lambda: validate_response(requests.post(url, json=json)))
        assert b"proxy already exists" in error.args[0]


def suite(port):
    suite = Suite(port)
    tests = [(name, getattr(suite, name)) for name in dir(Suite) if name.startswith("test_")]
    return tests, suite.teardown
