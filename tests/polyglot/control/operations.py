"""What the system's own operators do to it, by day and by mistake, and how they take it back.

Each thing has a command that does it, one that takes it back (safe to call at any time and more
than once), and one that tells whether it is so (exit status 0 if it is).
"""

import errno
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from . import ControlError, layout as layouts, lifecycle, processes, services

# The name under which the maintenance session stands in pg_stat_activity.
MAINTENANCE = "maintenance"
SESSION = f"application_name = '{MAINTENANCE}' AND backend_type = 'client backend'"
LOCK_MODES = {"writes": "EXCLUSIVE", "all": "ACCESS EXCLUSIVE"}
HELD_SECONDS_MAX = 3600
WAIT_SECONDS_MAX = 15
POLL_SECONDS = 0.1
# A disk with less room than this holds no new page of a table.
FULL_BYTES = 8192
FRONTS = ("usual", "wrong-upstream", "wrong-api")


def hold_lock(layout, table, what):
    """A maintenance session takes a lock on a table and stays in its transaction."""
    if is_locked(layout):
        return "the lock is held already"
    lock = f"LOCK TABLE {table} IN {LOCK_MODES[what]} MODE"
    statement = f"{lock}; SELECT pg_sleep({HELD_SECONDS_MAX})"
    argv = lifecycle.psql(layout, MAINTENANCE, "orders") + ["-c", statement]
    environment = {**services.plain(), "PGAPPNAME": MAINTENANCE}
    pid_file = layouts.pid_file(layout, MAINTENANCE)
    log = layouts.log_file(layout, MAINTENANCE)
    processes.spawn(argv, pid_file, log, Path(layout["dir"]), environment, None)
    wait_until(lambda: is_locked(layout), "the lock was not granted")
    return f"a maintenance session holds {table} ({what})"


def release_lock(layout):
    # A backend that sleeps does not notice that its client is gone: it is ended in the server.
    end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {SESSION}"
    admin = lifecycle.psql(layout, "postgres")
    try:
        ended = lifecycle.run_database_program(layout, admin + ["-c", end]).split()
    finally:
        processes.kill(layouts.pid_file(layout, MAINTENANCE))
    wait_until(lambda: not is_locked(layout), "the maintenance session does not end")
    return f"ended {len(ended)} maintenance sessions"


def is_locked(layout):
    """Does the maintenance session hold a lock that keeps writers out?"""
    ask = (
        f"SELECT 1 FROM pg_stat_activity a WHERE {SESSION} AND EXISTS (SELECT FROM pg_locks l"
        " WHERE l.pid = a.pid AND l.granted AND l.mode IN ('ExclusiveLock', 'AccessExclusiveLock')"
        " AND l.locktype = 'relation')"
    )
    admin = lifecycle.psql(layout, "postgres")
    try:
        return bool(lifecycle.run_database_program(layout, admin + ["-c", ask]).strip())
    except ControlError:
        return False  # a server that does not answer holds up nobody


def fill_disk(layout):
    """Something else fills the file system that PostgreSQL's data is on, to the last page."""
    ballast = ballast_file(layout)
    with open(ballast, "ab", buffering=0) as file:
        size = file.tell()
        for step in (1 << 20, 4096):
            while True:
                try:
                    os.posix_fallocate(file.fileno(), size, step)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise ControlError(f"cannot fill {ballast}: {error.strerror}") from None
                    break
                size += step
    return f"filled the disk with {size >> 20} MiB"


def free_disk(layout):
    if "disk_bytes" in layout:
        ballast_file(layout).unlink(missing_ok=True)
    return "the disk has room"


def is_disk_full(layout):
    return "disk_bytes" in layout and free_bytes(layout) < FULL_BYTES


def free_bytes(layout):
    found = os.statvfs(Path(layout["dir"]) / "postgres")
    return found.f_bavail * found.f_frsize


def ballast_file(layout):
    if "disk_bytes" not in layout:
        raise ControlError("PostgreSQL's data has no disk of its own: `system up --small-disk`")
    return Path(layout["dir"]) / "postgres" / "ballast"


def deploy_front(layout, front, tell=None):
    """Puts another configuration of nginx in place, has it reloaded, and tells Immune of it."""
    file, previous = front_files(layout)
    text = layouts.nginx_configuration(layout, front)
    if file.read_text(encoding="utf-8") == text:
        return f"the front is {front} already"
    if not previous.exists():
        processes.replace_text(previous, file.read_text(encoding="utf-8"))
    processes.replace_text(file, text)
    reload_front(layout)
    if tell:
        tell_change(layout, tell, f"nginx configuration: {front}")
    return f"the front is {front}"


def rollback_front(layout):
    """Brings back the configuration before the last deploy."""
    file, previous = front_files(layout)
    if not previous.exists():
        return "the front has no configuration before this one"
    processes.replace_text(file, previous.read_text(encoding="utf-8"))
    previous.unlink()
    reload_front(layout)
    return "the front has the configuration before"


def is_front_wrong(layout):
    """Is another configuration in place, and does nginx itself answer with an error?"""
    file, _ = front_files(layout)
    if file.read_text(encoding="utf-8") == layouts.nginx_configuration(layout):
        return False
    try:
        with urllib.request.urlopen(layouts.front_url(layout) + "/api/products", timeout=5):
            return False
    except urllib.error.HTTPError as error:
        return error.code == 502 and b"<center>nginx" in error.read()
    except OSError:
        return False


def front_files(layout):
    folder = Path(layout["dir"]) / "nginx"
    return folder / "nginx.conf", folder / "nginx.conf.previous"


def reload_front(layout):
    service = services.describe(layout, "nginx")
    test = subprocess.run(
        service.argv + ["-t", "-q"], cwd=service.cwd, env=service.environment,
        capture_output=True, text=True, check=False,
    )
    if test.returncode != 0:
        raise ControlError(f"nginx refuses the configuration: {test.stderr.strip()}")
    pid_file = layouts.pid_file(layout, "nginx")
    pid = processes.running_pid(pid_file)
    if pid is None:
        raise ControlError("nginx is not running")
    processes.signal_process(pid, pid_file, signal.SIGHUP)


def tell_change(layout, url, summary):
    body = {
        "service": "storefront",
        "environment": layout["environment"],
        "kind": "configuration",
        "summary": summary,
    }
    request = urllib.request.Request(
        url.rstrip("/") + "/api/v1/changes",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    try:
        urllib.request.urlopen(request, timeout=10).close()
    except OSError as error:
        raise ControlError(f"deployed, but {url} was not told: {error}") from None


def is_stopped(layout, name):
    return processes.running_pid(layouts.pid_file(layout, name)) is None


def wait_until(condition, complaint):
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not condition():
        if time.monotonic() > deadline:
            raise ControlError(f"{complaint} within {WAIT_SECONDS_MAX} s")
        time.sleep(POLL_SECONDS)
