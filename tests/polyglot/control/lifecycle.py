"""Brings a system up and down, and starts and stops its services one at a time.

Starting what runs and stopping what does not are no errors: each command says what it found and
leaves the state that was asked for. A service counts as started once it listens (PostgreSQL: once
it takes queries), a system once a request through all of it is answered.
"""

import json
import os
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from . import ControlError, install, layout as layouts, ports, processes, services

START_SECONDS_MAX = 30
# PostgreSQL that was killed cannot start again before its last child has noticed and left.
LEFTOVER_SECONDS_MAX = 10
POLL_SECONDS = 0.05
LOG_LINES_SHOWN = 15
# The balancer leaves a failed instance out for 2 s (balancer.conf.template).
BALANCER_SETTLE_SECONDS = 2.5
# Besides the shop's own role: whoever watches the server, and whoever maintains its tables.
ROLES = {
    "monitor": "pg_read_all_stats, pg_signal_backend",
    "maintenance": "orders",
}
# Room for a new cluster and its log, with some to spare.
SMALL_DISK_BYTES = 192 << 20


def up(folder, otlp_http, otlp_grpc, orders, environment, small_disk=False):
    install.check_prepared()
    folder = layouts.resolve(folder)
    make_folder(folder)
    refuse_running(folder)
    # Held until all ports are in use, so that two systems cannot choose the same ones.
    with install.locked(Path(tempfile.gettempdir()) / f"immune-polyglot-{os.geteuid()}.lock"):
        layout = decide(folder, otlp_http, otlp_grpc, orders, environment)
        if small_disk:
            layout["disk_bytes"] = SMALL_DISK_BYTES
        layouts.save(layout)
        layouts.write_files(layout)
        try:
            mount_disk(layout)
            create_database_folder(layout)
            for name in layouts.names(layout):
                start(layout, name)
                if name == "postgres":
                    create_schema(layout)
                    set_log_aside(layout)
            wait_end_to_end(layout)
        except BaseException:
            down(layout)
            raise
    layouts.write_description(layout)
    return layout


def decide(folder, otlp_http, otlp_grpc, orders, environment):
    names = services.service_names(orders)
    # On "nobody" nobody listens: it is where a mistaken configuration leads.
    listeners = names + ["nobody"] + (["balancer"] if orders > 1 else [])
    return {
        "dir": str(folder),
        "orders": orders,
        "environment": environment,
        "otlp_http": otlp_http,
        "otlp_grpc": otlp_grpc,
        "ports": dict(zip(listeners, ports.choose_ports(len(listeners)))),
        "versions": {name: layouts.FIRST_VERSION for name in names},
    }


def make_folder(folder):
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Servers that give up root (PostgreSQL, nginx workers) must get through to their part.
        folder.chmod(folder.stat().st_mode | 0o011)
    except OSError as error:
        raise ControlError(f"cannot use {folder}: {error.strerror}") from None


def refuse_running(folder):
    if not (folder / "layout.json").exists():
        return
    before = layouts.load(folder)
    for name in layouts.names(before):
        if processes.running_pid(layouts.pid_file(before, name)):
            raise ControlError(f"a system runs in {folder} ({name}): `system down` it first")
        processes.end_leftovers(layouts.pid_file(before, name))


def disk_folder(layout):
    return Path(layout["dir"]) / "postgres"


def mount_disk(layout):
    """Gives PostgreSQL's data a small file system of its own, in memory."""
    if "disk_bytes" not in layout or os.path.ismount(disk_folder(layout)):
        return
    if (disk_folder(layout) / "data").exists():
        raise ControlError(f"{disk_folder(layout)} holds data: a small disk would hide it")
    size = f"size={layout['disk_bytes']},mode=755"
    command = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(disk_folder(layout))]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise ControlError(f"cannot mount a small disk here: {result.stderr.strip()}")


def unmount_disk(layout):
    if not os.path.ismount(disk_folder(layout)):
        return
    command = ["umount", str(disk_folder(layout))]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise ControlError(f"the small disk stays mounted: {result.stderr.strip()}")


def set_log_aside(layout):
    """On a small disk: segments of the log are made ahead, so that only tables want new room."""
    if "disk_bytes" not in layout:
        return
    admin = psql(layout, "postgres")
    for _ in range(2):
        switch = "SELECT pg_logical_emit_message(true, 'room', 'ahead'), pg_switch_wal()"
        run_database_program(layout, admin + ["-c", switch])
    run_database_program(layout, admin + ["-c", "CHECKPOINT"])


def create_database_folder(layout):
    data = Path(layout["dir"]) / "postgres" / "data"
    user = services.postgres_user()
    if user:
        subprocess.run(["chown", user, str(data.parent)], check=True)
        check_reachable(data.parent, user)
    if (data / "PG_VERSION").exists():
        return
    command = [install.postgres_program("initdb"), "-D", str(data), "--username=postgres"]
    command += ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]
    run_database_program(layout, command, user)


def check_reachable(folder, user):
    probe = subprocess.run(["test", "-x", folder], user=user, group=user, extra_groups=[])
    if probe.returncode != 0:
        raise ControlError(
            f"user {user} cannot reach {folder}: a folder above it is closed to others;"
            " choose another --dir"
        )


def create_schema(layout):
    """Once: the database is made in one transaction with the schema's last table as its mark."""
    admin = psql(layout, "postgres")
    exists = "SELECT 1 FROM pg_database WHERE datname = 'orders'"
    if not run_database_program(layout, admin + ["-c", exists]).strip():
        run_database_program(layout, admin + ["-c", "CREATE ROLE orders LOGIN"])
        run_database_program(layout, admin + ["-c", "CREATE DATABASE orders OWNER orders"])
    for role, rights in ROLES.items():
        exists = f"SELECT 1 FROM pg_roles WHERE rolname = '{role}'"
        if not run_database_program(layout, admin + ["-c", exists]).strip():
            create = ["-c", f"CREATE ROLE {role} LOGIN", "-c", f"GRANT {rights} TO {role}"]
            run_database_program(layout, admin + ["--single-transaction"] + create)
    orders = psql(layout, "orders")
    if run_database_program(layout, orders + ["-c", "SELECT to_regclass('products')"]).strip():
        return
    schema = install.SOURCES / "orders" / "schema.sql"
    run_database_program(layout, orders + ["--single-transaction", "-f", str(schema)])


def psql(layout, role, database=None):
    place = f"127.0.0.1:{layout['ports']['postgres']}/{database or role}"
    url = f"postgresql://{role}@{place}"
    return [install.postgres_program("psql"), "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", url]


def run_database_program(layout, command, user=None):
    identity = {"user": user, "group": user, "extra_groups": []} if user else {}
    result = subprocess.run(
        command,
        cwd=Path(layout["dir"]) / "postgres",
        env=services.plain(),
        capture_output=True,
        text=True,
        check=False,
        **identity,
    )
    if result.returncode != 0:
        raise ControlError(f"{Path(command[0]).name} failed: {result.stderr.strip()}")
    return result.stdout


def wait_end_to_end(layout):
    url = layouts.front_url(layout) + "/api/products"
    deadline = time.monotonic() + START_SECONDS_MAX
    answer = "no answer"
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                if json.load(response)["products"]:
                    return
                answer = "an empty catalogue"
        except (OSError, ValueError, KeyError) as error:
            answer = str(error)
        time.sleep(POLL_SECONDS)
    raise ControlError(f"{url} does not work: {answer}")


def start(layout, name, version=None):
    """Returns what was done, in words."""
    pid_file = layouts.pid_file(layout, name)
    with layouts.lock(layout, name):
        pid = processes.running_pid(pid_file)
        if pid is not None:
            if version not in (None, layout["versions"][name]):
                running = layout["versions"][name]
                raise ControlError(f"{name} runs as {running}: stop it first, or restart-service")
            wait_listening(layout, name)
            return f"{name} runs already, pid {pid}"
        if version is not None:
            layouts.set_version(layout, name, version)
        processes.end_leftovers(pid_file)
        begun = time.monotonic()
        spawn_until_up(layout, name)
    seconds = time.monotonic() - begun
    pid = processes.running_pid(pid_file)
    return f"{name} started, pid {pid}, version {layout['versions'][name]}, {seconds:.1f} s"


def spawn_until_up(layout, name):
    service = services.describe(layout, name)
    log = layouts.log_file(layout, name)
    retry_until = time.monotonic() + (LEFTOVER_SECONDS_MAX if name == "postgres" else 0)
    while True:
        processes.spawn(
            service.argv,
            layouts.pid_file(layout, name),
            log,
            service.cwd,
            service.environment,
            service.user,
        )
        try:
            return wait_listening(layout, name)
        except ControlError:
            if time.monotonic() >= retry_until:
                raise
            time.sleep(0.5)


def wait_listening(layout, name):
    pid_file = layouts.pid_file(layout, name)
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if processes.running_pid(pid_file) is None:
            raise ControlError(f"{name} ended right after its start:\n{log_tail(layout, name)}")
        if is_up(layout, name):
            return
        time.sleep(POLL_SECONDS)
    raise ControlError(
        f"{name} does not listen after {START_SECONDS_MAX} s:\n{log_tail(layout, name)}"
    )


def is_up(layout, name):
    port = layout["ports"][name]
    if name != "postgres":
        return ports.listens(port)
    command = [install.postgres_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    return subprocess.run(command, env=services.plain(), check=False).returncode == 0


def log_tail(layout, name):
    try:
        text = layouts.log_file(layout, name).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"  (no log: {error.strerror})"
    return "\n".join("  " + line for line in text.splitlines()[-LOG_LINES_SHOWN:])


def stop(layout, name, killing=False):
    """Returns what was done, in words."""
    pid_file = layouts.pid_file(layout, name)
    with layouts.lock(layout, name):
        if killing:
            return f"{name} {processes.kill(pid_file)}"
        service = services.describe(layout, name)
        return f"{name} {processes.stop(pid_file, service.polite, service.stop_seconds)}"


def down(layout):
    """Stops everything, users' side first; goes on after a failure and raises it at the end."""
    done, failed = [], []
    processes.kill(layouts.pid_file(layout, "maintenance"))
    for name in reversed(layouts.names(layout)):
        try:
            done.append(stop(layout, name))
        except ControlError as error:
            failed.append(f"{name}: {error}")
    try:
        unmount_disk(layout)
    except ControlError as error:
        failed.append(str(error))
    if failed:
        raise ControlError("not everything was stopped: " + "; ".join(failed))
    return done


def rolling_restart(layout, version=None):
    """Restarts the orders instances one after the other; yields what was done, in words."""
    if layout["orders"] < 2:
        raise ControlError("a rolling restart needs two orders instances: `system up --orders 2`")
    instances = [name for name in layouts.names(layout) if name.startswith("orders-")]
    for name in instances:
        yield stop(layout, name)
        yield start(layout, name, version)
        time.sleep(BALANCER_SETTLE_SECONDS)
