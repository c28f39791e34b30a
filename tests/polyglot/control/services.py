"""What each service of the system is: its program, environment, folder and polite stop signal.

Everything is worked out from the layout (`system.json`) alone, so a service that is started again
gets the same port and environment as the first time. Telemetry is switched on by the OTEL_*
variables here and by nothing else. Nothing here makes a service leave loopback.
"""

import os
import pwd
import shutil
import signal
from dataclasses import dataclass, field
from pathlib import Path

from . import ControlError, install

# Node's default is "all", which at every start asks the metadata services of four clouds
# (169.254.169.254 and others) who they are. A test must not talk to anything but loopback.
LOCAL_RESOURCE_DETECTORS = "container,host,os,serviceinstance,process,env"


@dataclass
class Service:
    name: str
    argv: list
    cwd: Path
    environment: dict = field(default_factory=dict)
    user: str | None = None
    polite: signal.Signals = signal.SIGTERM
    stop_seconds: float = 15


def service_names(orders):
    names = ["postgres", "redis"]
    names += [f"orders-{number}" for number in range(1, orders + 1)]
    return names + ["storefront", "nginx"]


def telemetry_name(name):
    """The `service.name` of an instance; databases and nginx send no telemetry."""
    return "orders" if name.startswith("orders-") else name


def describe(layout, name):
    """The Service of that name, ready to be started."""
    folder = Path(layout["dir"]) / name
    if name.startswith("orders-"):
        return orders(layout, name, folder)
    builders = {"postgres": postgres, "redis": redis, "storefront": storefront, "nginx": nginx}
    return builders[name](layout, folder)


def postgres(layout, folder):
    settings = {
        "port": layout["ports"]["postgres"],
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": 60,
    }
    if "disk_bytes" in layout:
        settings.update({"min_wal_size": "48MB", "max_wal_size": "64MB"})
    argv = [install.postgres_program("postgres"), "-D", str(folder / "data")]
    for setting, value in settings.items():
        argv += ["-c", f"{setting}={value}"]
    # SIGINT is PostgreSQL's "fast shutdown"; SIGTERM would wait for every client to leave.
    return Service("postgres", argv, folder, plain(), postgres_user(), signal.SIGINT, 30)


def postgres_user():
    """PostgreSQL refuses to run as root; then it runs as the user Debian made for it."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        raise ControlError("user postgres is missing: reinstall the postgresql package") from None


def redis(layout, folder):
    argv = [program("redis-server"), "--bind", "127.0.0.1", "--dir", str(folder)]
    argv += ["--port", str(layout["ports"]["redis"]), "--appendonly", "yes", "--daemonize", "no"]
    return Service("redis", argv, folder, plain())


def orders(layout, name, folder):
    venv = install.venv_folder() / "bin"
    ports = layout["ports"]
    environment = {
        **plain(),
        **telemetry(layout, name, layout["otlp_grpc"]),
        "PORT": str(ports[name]),
        "DATABASE_URL": f"postgresql://orders@127.0.0.1:{ports['postgres']}/orders",
        "REDIS_URL": f"redis://127.0.0.1:{ports['redis']}/0",
    }
    environment["PATH"] = f"{venv}:{environment['PATH']}"
    argv = [str(venv / "opentelemetry-instrument"), str(venv / "python"), "app.py"]
    return Service(name, argv, folder, environment)


def storefront(layout, folder):
    ports = layout["ports"]
    environment = {
        **plain(),
        **telemetry(layout, "storefront", layout["otlp_http"]),
        "OTEL_NODE_RESOURCE_DETECTORS": LOCAL_RESOURCE_DETECTORS,
        "PORT": str(ports["storefront"]),
        "ORDERS_URL": f"http://127.0.0.1:{ports.get('balancer', ports['orders-1'])}",
    }
    register = "@opentelemetry/auto-instrumentations-node/register"
    argv = [program("node"), "--require", register, "server.js"]
    return Service("storefront", argv, folder, environment)


def nginx(_layout, folder):
    # `-e` keeps it from opening its built-in log path before it has read the configuration.
    argv = [program("nginx"), "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"]
    return Service("nginx", argv, folder, plain(), polite=signal.SIGQUIT)


def program(name):
    found = shutil.which(name, path=install.search_path())
    if found is None:
        raise ControlError(f"{name} is not installed: run `system prepare`")
    return found


def plain():
    """Of the caller's environment only what programs need: no OTEL_* may slip in."""
    kept = {name: os.environ[name] for name in ("HOME", "TZ", "TMPDIR") if name in os.environ}
    return {**kept, "PATH": install.search_path(), "LANG": "C.UTF-8"}


def telemetry(layout, name, endpoint):
    attributes = {
        "service.instance.id": name,
        "service.version": layout["versions"][name],
        "deployment.environment.name": layout["environment"],
    }
    pairs = (f"{key}={value}" for key, value in attributes.items())
    return {
        "OTEL_SERVICE_NAME": telemetry_name(name),
        "OTEL_RESOURCE_ATTRIBUTES": ",".join(pairs),
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
    }
