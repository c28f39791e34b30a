"""Runs every case with both tools and compares, then what is strict; the last line counts.

Compared are the exit status, the journal without what differs from run to run, and the files that
the experiments leave. What Immune does otherwise on purpose is in docs/chaos-toolkit.md.
"""
import concurrent.futures
import glob
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import yaml

import cases
import strict

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURES = os.path.join(HERE, "../../../shared/fixtures/chaostoolkit")
IMMUNE = sys.argv[1]
CHAOS = os.path.join(os.path.dirname(sys.executable), "chaos")
SECONDS_MAX = 60
VOLATILE = {"start", "end", "duration", "platform", "node", "chaoslib-version"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send_response(self, code, message=None):
        self.send_response_only(code, message)

    def answer(self, code, body, kind="text/plain", **headers):
        body = body.encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def handle_all(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        if self.path == "/text":
            self.answer(200, "plain é")
        elif self.path == "/json":
            self.answer(200, '{"items": [1, 2], "name": "é"}', "application/json", ETag='"1"')
        elif self.path.startswith("/status/"):
            self.answer(int(self.path.rsplit("/", 1)[1]), "a status")
        elif self.path == "/redirect":
            self.answer(302, "", Location="/text")
        elif self.path == "/slow":
            time.sleep(1.5)
            self.answer(200, "late")
        else:
            if self.headers.get("Content-Type") == "application/json":
                body = json.loads(body)
            told = {"method": self.command, "path": self.path, "body": body,
                    "type": self.headers.get("Content-Type"), "name": self.headers.get("X-Name")}
            self.answer(200, json.dumps(told), "application/json")

    do_GET = do_POST = do_PUT = handle_all


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A client that did not wait for its answer is part of the test."""


def serve():
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return "http://127.0.0.1:%d" % server.server_address[1]


def with_url(value, url):
    return json.loads(json.dumps(value).replace('"URL', '"' + url))


def write_files(case, folder, url):
    """The case's files; gives the experiment's name."""
    for name, content in case.files.items():
        with open(os.path.join(folder, name), "w") as file:
            file.write(content)
    with open(os.path.join(folder, "settings.yaml"), "w") as file:
        yaml.safe_dump(case.settings or {}, file)
    if isinstance(case.experiment, str):
        name = os.path.basename(case.experiment)
        with open(case.experiment) as source, open(os.path.join(folder, name), "w") as file:
            file.write(source.read().replace("URL/", url + "/"))
        return name
    with open(os.path.join(folder, "experiment.json"), "w") as file:
        json.dump(with_url(case.experiment, url), file)
    return "experiment.json"


def command(tool, case, experiment):
    if tool == "chaos":
        return [CHAOS, "--no-version-check", "--no-log-file", "--settings", "settings.yaml",
                "run", *case.arguments, experiment]
    return [IMMUNE, "drill", "run", "--verdict", "compat", "--settings", "settings.yaml",
            "--python", sys.executable, *case.arguments, experiment]


def run(tool, case, url):
    """Everything that one tool left of a case."""
    folder = tempfile.mkdtemp(prefix="immune-oracle-")
    try:
        experiment = write_files(case, folder, url)
        modules = os.path.join(HERE, "modules")
        paths = [modules] + ([os.path.join(modules, "drivers")] if case.drivers else [])
        environment = {"PATH": os.environ["PATH"], "HOME": folder, "PYTHONPATH": ":".join(paths),
                       "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8", **case.environment}
        with open(os.path.join(folder, "output.log"), "wb") as output:
            begun = time.monotonic()
            program = subprocess.Popen(
                command(tool, case, experiment), cwd=folder, env=environment, stdout=output,
                stderr=output, stdin=subprocess.DEVNULL, start_new_session=True)
            if case.signal:
                ready = os.path.join(folder, "ready")
                while not os.path.exists(ready) and program.poll() is None:
                    time.sleep(0.02)
                time.sleep(0.2)
                program.send_signal(getattr(signal, case.signal))
            try:
                status = program.wait(SECONDS_MAX)
            except subprocess.TimeoutExpired:
                os.killpg(program.pid, signal.SIGKILL)
                status = "did not end"
        result = {"exit status": status, "seconds": time.monotonic() - begun}
        result["journal"] = read_journal(os.path.join(folder, "journal.json"))
        for name in ("effects.txt", "calls.txt"):
            path = os.path.join(folder, name)
            result[name] = open(path).read() if os.path.exists(path) else None
        result["output"] = open(os.path.join(folder, "output.log"), errors="replace").read()
        return result
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_journal(path):
    if not os.path.exists(path):
        return None
    try:
        with open(path) as file:
            return steady(json.load(file))
    except ValueError as error:
        return "no JSON: %s" % error


def steady(value, inside=()):
    """What two runs of one experiment have in common."""
    if isinstance(value, list):
        if inside and inside[-1] == "exception":
            return exception(value)
        if inside and inside[-1] == "during":
            # How often is a matter of time: what counts are the different results, in order.
            looks = [steady(member, inside) for member in value]
            return [look for at, look in enumerate(looks) if at == 0 or look != looks[at - 1]]
        return [steady(member, inside) for member in value]
    if isinstance(value, dict):
        in_configuration = len(inside) == 4 and inside[1] == "configuration"
        return {key: steady(member, (*inside, key)) for key, member in value.items()
                if key not in VOLATILE and not (in_configuration and key == "secrets")}
    return value


def exception(lines):
    """An exception's last line, without a library's own words for a connection that failed."""
    last = "".join(lines).strip().splitlines()[-1]
    return re.sub(r"(failed to connect to [^ ]*:).*", r"\1", last)


def differences(theirs, ours):
    # Where chaostoolkit dies it leaves no journal; Immune's says how far it came.
    if theirs["journal"] is None and ours["journal"] is not None:
        if theirs["exit status"] == 1 and ours["journal"]["status"] == "aborted":
            ours = {**ours, "journal": None}
    return [key for key in ("exit status", "journal", "effects.txt", "calls.txt")
            if theirs[key] != ours[key]]


def tell(case, key, theirs, ours):
    print("  %s:" % key)
    if key == "journal" and theirs[key] and ours[key]:
        import difflib
        sides = [json.dumps(side[key], indent=1, sort_keys=True).splitlines() for side in (theirs, ours)]
        lines = list(difflib.unified_diff(*sides, "chaostoolkit", "immune", lineterm="", n=4))
        print("    " + "\n    ".join(lines[:60]))
        return
    print("    chaostoolkit: %s\n    immune:       %s" % (theirs[key], ours[key]))
    print("    " + theirs["output"][-1500:].replace("\n", "\n    "))
    print("    --\n    " + ours["output"][-1500:].replace("\n", "\n    "))


def compare(case, url):
    with concurrent.futures.ThreadPoolExecutor(2) as both:
        theirs, ours = both.map(lambda tool: run(tool, case, url), ("chaos", "immune"))
    return theirs, ours


def files():
    for path in sorted(glob.glob(os.path.join(HERE, "experiments/*"))):
        cases.case("file: " + os.path.basename(path), path)
    fixtures = sorted(glob.glob(os.path.join(FIXTURES, "*/*.json")))
    environment = {"COUNTER_URL": "http://c", "PROMETHEUS_URL": "http://p", "JAEGER_HOST": "j",
                   "HUMIO_INGEST_TOKEN": "t", "HUMIO_DATASPACE": "d"}
    for path in fixtures:
        name = "/".join(path.split("/")[-2:])
        cases.case("fixture: " + name, path, drivers=True, environment=environment)
        cases.case("fixture without drivers: " + name, path, environment=environment)
        cases.case("fixture without environment: " + name, path, drivers=True)
    return len(fixtures)


def main():
    skipped = failed = passed = 0
    if not files():
        if os.environ.get("CI") == "true":
            print("FAILED: no fixtures in %s" % os.path.normpath(FIXTURES))
            failed += 1
        else:
            print("skipped: no fixtures in %s" % os.path.normpath(FIXTURES))
            skipped += 1
    wanted = sys.argv[2:]
    chosen = [case for case in cases.ALL
              if not wanted or any(want in case.name for want in wanted)]
    url = serve()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for case, (theirs, ours) in zip(chosen, pool.map(lambda case: compare(case, url), chosen)):
            differing = differences(theirs, ours)
            if not differing:
                passed += 1
                continue
            failed += 1
            print("FAILED: %s" % case.name)
            for key in differing:
                tell(case, key, theirs, ours)
        checks = [check for check in strict.ALL
                  if not wanted or any(want in check.__name__ for want in wanted)]
        for check, problem in zip(checks, pool.map(lambda check: strict.run(IMMUNE, check), checks)):
            if problem is None:
                passed += 1
                continue
            failed += 1
            print("FAILED: strict: %s\n  %s" % (check.__name__, problem.replace("\n", "\n  ")))
    print("e2e: %d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed else 0


sys.exit(main())
