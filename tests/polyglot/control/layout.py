"""A system's folder: `layout.json`, the decisions it was started with, and `system.json`, the
description for whoever drives or watches the system, with the commands to start and stop each
part.

`layout.json` is there before the first process is, so a system that failed halfway can still be
taken down. Both are replaced in one step, under the folder's lock.
"""

import json
import os
import shutil
import sys
from pathlib import Path

from . import ControlError, install, processes, services

FIRST_VERSION = "v1"
COMMAND = str(install.SOURCES / "system")


def resolve(folder):
    return Path(os.path.abspath(folder))


def load(folder):
    path = resolve(folder) / "layout.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        message = f"{resolve(folder)} holds no system: start one with `system up`"
        raise ControlError(message) from None
    except (OSError, ValueError) as error:
        raise ControlError(f"cannot read {path}: {error}") from None


def lock(layout, name="system"):
    return install.locked(Path(layout["dir"]) / f"{name}.lock")


def names(layout):
    return services.service_names(layout["orders"])


def pid_file(layout, name):
    return Path(layout["dir"]) / f"{name}.pid"


def log_file(layout, name):
    return Path(layout["dir"]) / f"{name}.log"


def front_url(layout):
    return f"http://127.0.0.1:{layout['ports']['nginx']}"


def set_version(layout, name, version):
    with lock(layout):
        fresh = load(layout["dir"])
        fresh["versions"][name] = version
        save(fresh)
    layout["versions"] = fresh["versions"]


def save(layout):
    text = json.dumps(layout, indent=2) + "\n"
    processes.replace_text(Path(layout["dir"]) / "layout.json", text)


def write_description(layout):
    """system.json, with the pids as they are now."""
    with lock(layout):
        layout = load(layout["dir"])
        entries = [describe_service(layout, name) for name in names(layout)]
        description = {
            "front_url": front_url(layout),
            "environment": layout["environment"],
            "ports": layout["ports"],
            "pids": {entry["name"]: entry["pid"] for entry in entries},
            "services": entries,
            "small_disk": "disk_bytes" in layout,
            "dir": layout["dir"],
            "command": [sys.executable, COMMAND],
        }
        text = json.dumps(description, indent=2) + "\n"
        processes.replace_text(Path(layout["dir"]) / "system.json", text)


def describe_service(layout, name):
    def command(verb):
        return [sys.executable, COMMAND, verb, "--dir", layout["dir"], name]

    return {
        "name": name,
        "service": services.telemetry_name(name),
        "instance": name,
        "version": layout["versions"][name],
        "port": layout["ports"][name],
        "pid": processes.running_pid(pid_file(layout, name)),
        "pid_file": str(pid_file(layout, name)),
        "start": command("start-service"),
        "stop": command("stop-service"),
        "restart": command("restart-service"),
        "log": str(log_file(layout, name)),
    }


def write_files(layout):
    """Puts each service's folder into place; what databases have stored is kept."""
    folder = Path(layout["dir"])
    for name in names(layout):
        (folder / name).mkdir(exist_ok=True)
        if name.startswith("orders-"):
            copy_sources("orders", folder / name, "*.py")
    copy_sources("storefront", folder / "storefront", "*.js")
    copy_sources("storefront/public", folder / "storefront" / "public", "*")
    modules = folder / "storefront" / "node_modules"
    modules.unlink(missing_ok=True)
    modules.symlink_to(install.node_folder() / "node_modules")
    (folder / "nginx" / "tmp").mkdir(exist_ok=True)
    (folder / "nginx" / "nginx.conf").write_text(nginx_configuration(layout), encoding="utf-8")


def copy_sources(source, target, pattern):
    target.mkdir(exist_ok=True)
    for file in sorted((install.SOURCES / source).glob(pattern)):
        shutil.copy(file, target)


def nginx_configuration(layout, front="usual"):
    """`front`: one of `operations.FRONTS`."""
    ports = layout["ports"]
    balancer = ""
    if "balancer" in ports:
        servers = [
            f"        server 127.0.0.1:{ports[name]} max_fails=1 fail_timeout=2s;"
            for name in names(layout)
            if name.startswith("orders-")
        ]
        balancer = fill("balancer.conf.template", {
            "SERVERS": "\n".join(servers),
            "BALANCER_PORT": str(ports["balancer"]),
        })
    return fill("nginx.conf.template", {
        "FRONT_PORT": str(ports["nginx"]),
        "STOREFRONT_PORT": str(ports["nobody" if front == "wrong-upstream" else "storefront"]),
        "API_PORT": str(ports["storefront" if front == "usual" else "nobody"]),
        "BALANCER": balancer,
    })


def fill(template, values):
    text = (Path(__file__).parent / template).read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text
