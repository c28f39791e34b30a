"""Starts detached processes and stops them, and never touches a process that is not ours.

A process is known by its id *and* its start time: ids are used again, the pair is not. A process
that has ended but was not yet reaped counts as dead. What a killed process leaves of its own
session (nginx workers) is found by its session id, and ended before a new start.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

from . import ControlError

POLL_SECONDS = 0.02
START_FIELD, STATE_FIELD, SESSION_FIELD = 19, 0, 3


def stat_fields(pid):
    """The fields of /proc/PID/stat from the state on, or None where there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def start_time(pid):
    """Start time in clock ticks since boot; None for a process that is gone or a zombie."""
    fields = stat_fields(pid)
    if fields is None or fields[STATE_FIELD] in "ZX":
        return None
    return int(fields[START_FIELD])


def record(pid_file, pid):
    """Writes the pid file for others (`PID`) and, beside it, the identity that we go by."""
    replace_text(identity_file(pid_file), f"{pid} {start_time(pid) or 0}\n")
    replace_text(pid_file, f"{pid}\n")


def forget(pid_file):
    pid_file.unlink(missing_ok=True)
    identity_file(pid_file).unlink(missing_ok=True)


def identity_file(pid_file):
    return pid_file.with_suffix(".identity")


def replace_text(path, text):
    """In one step, so that nobody reads half of it."""
    draft = path.with_name(path.name + ".draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def known_process(pid_file):
    """(pid, start time) of the process last started, dead or alive; None if there was none."""
    path = identity_file(pid_file)
    try:
        pid, started = path.read_text(encoding="utf-8").split()
        return int(pid), int(started)
    except FileNotFoundError:
        return None
    except ValueError:
        raise ControlError(f"{path} was not written by this script") from None


def running_pid(pid_file):
    """The pid of the process last started, if exactly that process still runs."""
    known = known_process(pid_file)
    if known and start_time(known[0]) == known[1]:
        return known[0]
    return None


def spawn(argv, pid_file, log, cwd, env, user):
    """Starts `argv` in a session of its own, its output appended to `log`; returns the pid."""
    identity = {"user": user, "group": user, "extra_groups": []} if user else {}
    with open(log, "ab") as output:
        try:
            process = subprocess.Popen(
                argv,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **identity,
            )
        except OSError as error:
            raise ControlError(f"cannot start {argv[0]}: {error}") from None
    record(pid_file, process.pid)
    process.returncode = 0  # it is to outlive us: no warning that it was not waited for
    return process.pid


def stop(pid_file, polite, timeout_seconds):
    """Sends `polite` and waits; after the time-out SIGKILL. Returns how it ended."""
    pid = running_pid(pid_file)
    if pid is None:
        end_leftovers(pid_file)
        return "was not running"
    signal_process(pid, pid_file, polite)
    if wait_for_end(pid_file, timeout_seconds):
        end_leftovers(pid_file)
        return "stopped"
    kill(pid_file)
    return f"killed: did not stop within {timeout_seconds} s"


def kill(pid_file):
    pid = running_pid(pid_file)
    if pid is not None:
        signal_process(pid, pid_file, signal.SIGKILL)
        if not wait_for_end(pid_file, 10):
            raise ControlError(f"process {pid} does not end even after SIGKILL")
    end_leftovers(pid_file)
    return "was not running" if pid is None else "killed"


def signal_process(pid, pid_file, number):
    """Through a pidfd, so that between look and signal the id cannot change hands."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if running_pid(pid_file) == pid:
            signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)


def wait_for_end(pid_file, timeout_seconds):
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if running_pid(pid_file) is None:
            return True
        time.sleep(POLL_SECONDS)
    return False


def end_leftovers(pid_file):
    """Ends what is left of the session that the process last started once led, and forgets it."""
    known = known_process(pid_file)
    if known is None:
        return
    forget(pid_file)
    if start_time(known[0]) is not None:
        return  # that id was given to another process: its session is not ours
    for entry in Path("/proc").iterdir():
        pid = int(entry.name) if entry.name.isdigit() else None
        fields = stat_fields(pid) if pid and pid != known[0] else None
        if not fields or fields[STATE_FIELD] in "ZX":
            continue
        in_session = int(fields[SESSION_FIELD]) == known[0]
        if in_session and int(fields[START_FIELD]) >= known[1]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
