"""Functions that experiments call: a system under test that fits into a file."""
import datetime
import decimal
import os
import signal
import time


def echo(value=None):
    return value


def fail(message="no"):
    raise ValueError(message)


def note(text, path="effects.txt"):
    with open(path, "a") as file:
        file.write(text + "\n")


def ready_then_sleep(seconds):
    note("ready", "ready")
    time.sleep(seconds)
    return "slept"


def is_five(value):
    return value == 5


def needs(a, b=2):
    return [a, b]


def given(secrets=None, configuration=None, more=None):
    return {"secrets": secrets, "configuration": configuration, "more": more}


def exit_with(code):
    raise SystemExit(code)


def interrupt():
    from chaoslib.exceptions import InterruptExecution

    raise InterruptExecution("enough")


def failed():
    from chaoslib.exceptions import ActivityFailed

    raise ActivityFailed("as it was told to")


def gracefully(after=0):
    from chaoslib.exit import exit_gracefully

    time.sleep(after)
    exit_gracefully()
    for _ in range(40):
        time.sleep(0.05)


def ungracefully(after=0):
    from chaoslib.exit import exit_ungracefully

    time.sleep(after)
    exit_ungracefully()
    for _ in range(600):
        time.sleep(0.05)


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(30)


def kinds():
    return {"tuple": (1, 2), "when": datetime.date(2020, 1, 2), "exact": decimal.Decimal("1.50")}


class Countdown:
    left = 2


def healthy_for_two():
    Countdown.left -= 1
    return Countdown.left >= 0


not_a_function = 5


def swallow():
    """Does not let go, whatever is raised in it."""
    note("ready", "ready")
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            time.sleep(1)
        except BaseException:
            pass
