"""Installs what the system runs on: Debian packages, a Python venv, node_modules.

The venv and node_modules live in a cache folder whose name is a hash of what pins them, so a
second call is quick and a changed pin never meets an old installation. A folder counts only once
its `complete` mark is written: an interrupted installation is thrown away and begun again.
Downloads nothing but through apt, pip and npm.
"""

import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from contextlib import contextmanager
from glob import glob
from pathlib import Path

from . import ControlError

SOURCES = Path(__file__).resolve().parent.parent
REQUIREMENTS = SOURCES / "orders" / "requirements.txt"
PACKAGE_FILES = [
    SOURCES / "storefront" / "package.json",
    SOURCES / "storefront" / "package-lock.json",
]
NODE_VERSION_MIN = (18, 19)
COMMAND_SECONDS_MAX = 900


def postgres_program(name):
    """The newest installed PostgreSQL's program; Debian keeps them outside PATH."""
    found = sorted(glob(f"/usr/lib/postgresql/*/bin/{name}"), key=postgres_version)
    return found[-1] if found else None


def postgres_version(path):
    version = Path(path).parts[4]
    return int(version) if version.isdigit() else 0


def search_path():
    return os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin:/sbin:/bin"


def has_venv():
    return all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))


# Debian package -> how to tell that it is there already, wherever it came from.
APT_PACKAGES = {
    "nginx": lambda: shutil.which("nginx", path=search_path()),
    "redis-server": lambda: shutil.which("redis-server", path=search_path()),
    "postgresql": lambda: postgres_program("initdb"),
    "nodejs": lambda: shutil.which("node"),
    "npm": lambda: shutil.which("npm"),
    "python3-venv": has_venv,
}


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "immune-polyglot"


def venv_folder():
    return cache_folder() / f"venv-{digest([REQUIREMENTS], sys.version)}"


def node_folder():
    return cache_folder() / f"node-{digest(PACKAGE_FILES, platform.machine())}"


def digest(files, *extra):
    state = hashlib.sha256("\0".join(extra).encode())
    for file in files:
        state.update(file.read_bytes())
    return state.hexdigest()[:16]


def prepare():
    """Idempotent; prints what it does."""
    install_apt_packages()
    check_node_version()
    cache_folder().mkdir(parents=True, exist_ok=True)
    with locked(cache_folder() / "lock"):
        install_into(venv_folder(), "Python packages", fill_venv)
        install_into(node_folder(), "Node packages", fill_node_modules)


def check_prepared():
    for folder in (venv_folder(), node_folder()):
        if not (folder / "complete").exists():
            raise ControlError("not prepared: run `system prepare` first")
    missing = missing_packages()
    if missing:
        raise ControlError(f"not prepared: {', '.join(missing)} missing; run `system prepare`")


def missing_packages():
    return [name for name, is_there in APT_PACKAGES.items() if not is_there()]


def install_apt_packages():
    missing = missing_packages()
    if not missing:
        return
    if os.geteuid() != 0:
        raise ControlError(
            "missing programs; install them with: sudo apt-get install " + " ".join(missing)
        )
    print(f"installing Debian packages: {' '.join(missing)}")
    # Packages that start a server of their own are told not to: this system runs its own.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    run(["apt-get", "update", "-q"], env=environment)
    install = ["apt-get", "install", "-q", "-y", "--no-install-recommends"]
    run(install + missing, env=environment)
    still_missing = missing_packages()
    if still_missing:
        raise ControlError(f"apt installed {', '.join(still_missing)}, but it is not to be found")


def check_node_version():
    answer = run(["node", "--version"], capture_output=True, text=True)
    version = tuple(int(part) for part in answer.stdout.strip().lstrip("v").split(".")[:2])
    if version < NODE_VERSION_MIN:
        needed = ".".join(map(str, NODE_VERSION_MIN))
        raise ControlError(f"node {answer.stdout.strip()} is too old: {needed} or newer is needed")


def install_into(folder, title, fill):
    if (folder / "complete").exists():
        print(f"{title}: ready in {folder}")
        return
    print(f"{title}: installing into {folder}")
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    fill(folder)
    (folder / "complete").touch()


def fill_venv(folder):
    run([sys.executable, "-m", "venv", str(folder)])
    pip = [str(folder / "bin" / "pip"), "install", "-q", "--disable-pip-version-check"]
    run(pip + ["--no-deps", "-r", str(REQUIREMENTS)])
    run([str(folder / "bin" / "python"), "-m", "pip", "check"])


def fill_node_modules(folder):
    for file in PACKAGE_FILES:
        shutil.copy(file, folder)
    npm = ["npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
    run(npm + ["--loglevel=error"], cwd=folder)


def run(command, **options):
    try:
        return subprocess.run(command, check=True, timeout=COMMAND_SECONDS_MAX, **options)
    except FileNotFoundError:
        raise ControlError(f"{command[0]} is not installed") from None
    except subprocess.CalledProcessError as error:
        raise ControlError(f"{' '.join(command)} failed with {error.returncode}") from None
    except subprocess.TimeoutExpired:
        raise ControlError(f"{' '.join(command)} took over {COMMAND_SECONDS_MAX} s") from None


@contextmanager
def locked(path):
    """Holds an exclusive lock on a file; waits for it."""
    with open(path, "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
