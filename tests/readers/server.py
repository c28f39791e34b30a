"""The server under test, on free ports and in a folder of its own, and its catalog of files."""

import json
import signal
import struct
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

CONFIGURATION = """\
api: {{listen: 127.0.0.1:0}}
receivers: {{otlp: {{grpc: 127.0.0.1:0, http: 127.0.0.1:0}}}}
storage: {{path: {folder}/data, snapshot_every: 5s}}
"""
PATIENCE_S = 60
TABLES = ["spans", "logs", "samples"]


class Server:
    def __init__(self, program, folder):
        self.folder = folder
        (folder / "immune.yaml").write_text(CONFIGURATION.format(folder=folder))
        self.log = open(folder / "server.log", "wb")
        command = [program, "run", "-c", str(folder / "immune.yaml")]
        self.process = subprocess.Popen(command, stderr=self.log, stdout=self.log)
        listening = folder / "data" / "listening.json"
        wait_for("the server", lambda: self.alive() and listening.exists())
        self.addresses = json.loads(listening.read_text())
        wait_for("the server to be ready", lambda: self.ask("/readyz", raw=True) == b"ok\n")

    def alive(self):
        if self.process.poll() is not None:
            raise SystemExit(f"the server ended: {(self.folder / 'server.log').read_text()}")
        return True

    def ask(self, path, raw=False, **parameters):
        query = urllib.parse.urlencode(parameters, doseq=True)
        url = f"http://{self.addresses['api']}{path}{'?' + query if query else ''}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
                body = answer.read()
        except urllib.error.HTTPError as error:
            if raw:
                return error.read()
            raise SystemExit(f"{url}: {error.code} {error.read().decode()}")
        return body if raw else json.loads(body)

    def send(self, kind, request):
        url = f"http://{self.addresses['otlp_http']}/v1/{kind}"
        body = json.dumps(request).encode()
        headers = {"content-type": "application/json"}
        sent = urllib.request.Request(url, data=body, headers=headers)
        with urllib.request.urlopen(sent, timeout=PATIENCE_S) as answer:
            refused = json.loads(answer.read() or b"{}").get("partialSuccess")
            assert not refused, refused

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_S) == 0, "the server did not stop in good order"

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE_S)
        self.log.close()

    def files(self):
        """Paths of the files that the catalog names, by table. Its bytes are explained in
        crates/storage/src/catalog/codec.rs."""
        telemetry = self.folder / "data" / "telemetry"
        catalog = (telemetry / "catalog").read_bytes()
        magic, version, _, _, _, _, _, count = struct.unpack_from("<4sII4QI", catalog)
        assert (magic, version) == (b"IMCT", 1), (magic, version)
        files = {table: [] for table in TABLES}
        for index in range(count):
            number, day, table = struct.unpack_from("<QIB", catalog, 48 + index * 56)
            date = time.strftime("%Y-%m-%d", time.gmtime(day * 86_400))
            name = f"{TABLES[table]}/{date}/{number:016x}.parquet"
            files[TABLES[table]].append(str(telemetry / name))
        return files


def wait_for(what, condition):
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"waited {PATIENCE_S} s for {what}")
