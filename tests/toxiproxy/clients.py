"""Runs all suites, each against a fresh `immune proxy` on free ports. Prints a line for each test,
and at last `e2e: N passed, N failed, 0 skipped`."""

import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

import effects
import python_client

PATIENCE_S = 30


class Program:
    """`immune proxy`, ended as Ctrl-C ends it."""

    def __init__(self, immune, log, *arguments):
        self.port = free_port()
        listen = f"127.0.0.1:{self.port}"
        command = [immune, "proxy", "--listen", listen, "--seed", "1", *arguments]
        self.log = log
        self.process = subprocess.Popen(command, stderr=open(log, "wb"))
        until = time.monotonic() + PATIENCE_S
        while True:
            if self.process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"immune proxy does not answer: {log.read_text()}")
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE_S)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Tally:
    def __init__(self):
        self.passed = self.failed = 0

    def note(self, name, error=None):
        if error is None:
            self.passed += 1
            print(f"ok   {name}", flush=True)
        else:
            self.failed += 1
            print(f"FAIL {name}: {error}", flush=True)

    def run(self, suite, tests, after_each=lambda: None):
        for name, test in tests:
            try:
                test()
                error = None
            except Exception:
                error = traceback.format_exc()
            finally:
                after_each()
            self.note(f"{suite}: {name}", error)


def in_node(tally, port):
    """The suite in Node prints lines as ours."""
    script = pathlib.Path(__file__).with_name("node_client.js")
    ran = subprocess.run(
        ["node", script, f"http://localhost:{port}"],
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE_S,
    )
    lines = re.findall(r"^(ok|FAIL) (.*)$", ran.stdout, re.MULTILINE)
    for result, name in lines:
        tally.note(name, None if result == "ok" else "see above")
    if ran.returncode != 0 or not lines:
        print(ran.stdout, ran.stderr)
        tally.note("node: the suite ends well", f"status {ran.returncode}")


def from_file(tally, immune, folder):
    """A file of proxies, a bad one, and an end by Ctrl-C."""
    port = free_port()
    proxies = f'[{{"name": "db", "listen": "127.0.0.1:{port}", "upstream": "127.0.0.1:1"}}]'
    (folder / "proxies.json").write_text(proxies)
    with Program(immune, folder / "file.log", "--config", folder / "proxies.json") as program:
        up = effects.can_connect(port)
        tally.note("command: --config opens its proxies", None if up else "it is not there")
        status = program.interrupt()
        right = status == 0 and not effects.can_connect(port)
        tally.note("command: Ctrl-C ends it and its proxies", None if right else status)
    (folder / "bad.json").write_text('[{"name": ""}]')
    command = [immune, "proxy", "--listen", "127.0.0.1:0", "--config", folder / "bad.json"]
    bad = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    told = "bad.json: missing required field: name at proxy 1" in bad.stderr
    right = bad.returncode == 1 and told
    tally.note("command: a bad --config is told", None if right else bad.stderr)


def main(immune):
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="immune-toxiproxy-") as name:
        folder = pathlib.Path(name)
        with Program(immune, folder / "python.log") as program:
            tests, after_each = python_client.suite(program.port)
            tally.run("python", tests, after_each)
        with Program(immune, folder / "node.log") as program:
            in_node(tally, program.port)
        with Program(immune, folder / "effects.log") as program:
            tests, after_each = effects.suite(program.port)
            tally.run("effects", tests, after_each)
        from_file(tally, immune, folder)
    print(f"e2e: {tally.passed} passed, {tally.failed} failed, 0 skipped")
    return tally.failed == 0


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1]) else 1)
