"""The user's Python, held by Immune: calls functions and controls of experiments.

Speaks JSON lines: requests on standard input, answers on a copy of standard output; what user code
prints goes to standard error. Needs the standard library alone. Nothing it is sent is evaluated:
modules are imported by name, as the experiment says.

A request for the "main" thread is run there, as chaoslib runs what is not in the background, so that
signals interrupt it; every other has a thread of its own.
"""
import ctypes
import datetime
import decimal
import importlib
import inspect
import json
import math
import os
import queue
import signal
import sys
import threading
import traceback
import uuid

# `python -c` looks for modules in the working directory first; the `chaos` command does not.
if sys.path and sys.path[0] == "":
    del sys.path[0]

ANSWER_CHARS_MAX = 16 * 1024 * 1024
REQUESTS_MAX = 64

out = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
os.dup2(2, 1)
requests = os.fdopen(os.dup(0), "r", encoding="utf-8", errors="surrogatepass", newline="\n")
null = os.open(os.devnull, os.O_RDONLY)
os.dup2(null, 0)

out_lock = threading.RLock()
main_queue = queue.Queue(REQUESTS_MAX)
running_on_main = False
background = {}


class InterruptExecution(Exception):
    """Stands in where chaoslib is not installed."""


class ExperimentExitedException(Exception):
    """Stands in where chaoslib is not installed."""


InterruptExecution.__module__ = ExperimentExitedException.__module__ = "chaoslib.exceptions"


def chaoslib_exception(stand_in):
    known = sys.modules.get("chaoslib.exceptions")
    return getattr(known, stand_in.__name__, stand_in)


def plain(value, depth=0):
    """What JSON can hold of a value, else how it prints. Never raises."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth > 60:
        return repr(value)
    if isinstance(value, dict):
        entries = {}
        for key, member in value.items():
            if isinstance(key, bool):
                key = "true" if key else "false"
            elif key is None:
                key = "null"
            entries[str(key)] = plain(member, depth + 1)
        return entries
    if isinstance(value, (list, tuple)):
        return [plain(member, depth + 1) for member in value]
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, (decimal.Decimal, uuid.UUID)):
        return str(value)
    try:
        return repr(value)
    except Exception:
        return "<%s>" % type(value).__name__


def send(message):
    line = json.dumps(message)
    if len(line) > ANSWER_CHARS_MAX:
        text = "the result is larger than %d characters" % ANSWER_CHARS_MAX
        line = json.dumps({"id": message.get("id"), "raised": {"kind": "error", "text": text}})
    # A signal must not cut an answer in two.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        with out_lock:
            out.write(line + "\n")
            out.flush()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def told(error):
    return traceback.format_exception_only(type(error), error)[0].strip()


class Failed(Exception):
    """An activity's function raised: chaoslib's ActivityFailed."""


def run_activity(request):
    module = importlib.import_module(request["module"])
    func = getattr(module, request["func"])
    arguments = request["arguments"]
    signature = inspect.signature(func)
    groups = request.get("groups")
    if groups is not None and "secrets" in signature.parameters:
        arguments["secrets"] = {}
        for group in groups:
            arguments["secrets"].update(request["secrets"].get(group, {}))
    if "configuration" in signature.parameters:
        arguments["configuration"] = request["configuration"]
    try:
        return {"output": plain(func(**arguments))}
    except Exception as error:
        raise Failed(told(error))


def check_function(request):
    """chaoslib's validate_python_activity; answers with the offence, or null."""
    activity, name = request["activity"], request["activity"]["name"]
    provider = activity["provider"]
    module_name, wanted = provider["module"], provider["func"]
    try:
        module = importlib.import_module(module_name)
    except ImportError:
        return "could not find Python module '%s' in activity '%s'" % (module_name, name)
    known = inspect.getmembers(module, inspect.isfunction)
    known += inspect.getmembers(module, inspect.isbuiltin)
    for found, func in known:
        if found == wanted:
            break
    else:
        return "The python module '%s' does not expose a function called '%s' in %s '%s'" % (
            module_name, wanted, activity["type"], name)
    signature = inspect.signature(func)
    arguments = dict(provider.get("arguments", {}))
    for given in ("secrets", "configuration"):
        if given in signature.parameters:
            arguments[given] = None
    try:
        signature.bind(**arguments)
    except TypeError as error:
        message = str(error)
        if "missing" in message:
            argument = message.rsplit(":", 1)[1].strip()
            return "required argument %s is missing from activity '%s'" % (argument, name)
        if "unexpected" in message:
            argument = message.rsplit(" ", 1)[1].strip()
            return "argument %s is not part of the function signature in activity '%s'" % (
                argument, name)
        raise
    return None


def control_function(module_name, func_name):
    try:
        module = importlib.import_module(module_name)
    except ImportError:
        return None
    return getattr(module, func_name, None)


def check_control(request):
    control = request["control"]
    func = control_function(control["provider"]["module"], "validate_control")
    if func:
        func(control)
    return None


class Registry:
    """Event handlers live in chaoslib's process; here they are not called."""

    def register(self, handler):
        pass


def run_control(request):
    """Calls a control's function and answers with what it changed of what it was given."""
    func = control_function(request["module"], request["func"])
    if not func:
        return {"called": False}
    experiment = request.get("experiment")
    known = {key: request.get(key) for key in
             ("experiment", "configuration", "secrets", "settings", "state")}
    context = request.get("context")
    if context is None and "place" in request:
        context = experiment
        for step in request["place"]:
            context = context[step]
    if experiment:
        known["extensions"] = experiment.get("extensions")
    known["event_registry"] = Registry()
    arguments = request["arguments"]
    parameters = inspect.signature(func).parameters
    for key in request["may_take"]:
        if key in parameters:
            arguments[key] = known[key]
    if request["with_context"]:
        arguments["context"] = context
    before = {key: json.dumps(plain(known[key])) for key in request["may_change"]}
    func(**arguments)
    changed = {}
    for key in request["may_change"]:
        after = plain(known[key])
        if json.dumps(after) != before[key]:
            changed[key] = after
    return {"called": True, "changed": changed}


OPERATIONS = {
    "activity": run_activity,
    "check_function": check_function,
    "check_control": check_control,
    "control": run_control,
}


def raised(error):
    for kind in type(error).__mro__:
        if (kind.__module__, kind.__name__) == ("chaoslib.exceptions", "InterruptExecution"):
            return {"kind": "interrupt", "text": str(error)}
    if isinstance(error, Failed):
        return {"kind": "failed", "text": str(error)}
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else (0 if error.code is None else 1)
        return {"kind": "exit", "code": code}
    if isinstance(error, KeyboardInterrupt):
        return {"kind": "keyboard"}
    return {"kind": "error", "text": told(error)}


def handle(request):
    answer = {"id": request["id"]}
    try:
        answer["ok"] = OPERATIONS[request["op"]](request)
    except BaseException as error:
        answer["raised"] = raised(error)
    return answer


def handle_in_background(request):
    background[threading.get_ident()] = True
    try:
        send(handle(request))
    finally:
        background.pop(threading.get_ident(), None)


def on_signal(number, frame):
    if not running_on_main:
        with out_lock:
            out.write(json.dumps({"signal": signal.Signals(number).name}) + "\n")
            out.flush()
        return
    if number == signal.SIGTERM:
        raise chaoslib_exception(InterruptExecution)("SIGTERM signal received")
    if number == signal.SIGINT:
        raise KeyboardInterrupt()
    raise SystemExit(20 if number == signal.SIGUSR1 else 30)


SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
for number in SIGNALS:
    signal.signal(number, on_signal)


def exit_background():
    """Raises in functions that still run in the background, as chaoslib does on SIGUSR2."""
    error = ctypes.py_object(chaoslib_exception(ExperimentExitedException))
    for ident in list(background):
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_long(ident), error)


def read():
    for line in requests:
        request = json.loads(line)
        if request["op"] == "exit_background":
            exit_background()
        elif request["thread"] == "main":
            main_queue.put(request)
        else:
            thread = threading.Thread(target=handle_in_background, args=(request,), daemon=True)
            thread.start()
    # The other end is gone, and so is what this process is for.
    os._exit(0)


threading.Thread(target=read, daemon=True).start()
while True:
    # With a time limit, so that signals are looked at on every platform.
    try:
        request = main_queue.get(timeout=3600)
    except queue.Empty:
        continue
    answer = {"id": request["id"]}
    try:
        running_on_main = True
        answer = handle(request)
    except BaseException as error:
        # A signal after the call's end: it belongs to the run, not to this call.
        answer["raised"] = raised(error)
    finally:
        running_on_main = False
    send(answer)
