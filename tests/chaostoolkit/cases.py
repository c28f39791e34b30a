"""The experiments that both tools run: one case each, with what the command line adds.

A case is its name, its experiment (or file), arguments for both command lines, variables of the
environment, a signal that is sent once the file `ready` is there, and whether validation is skipped.
`URL` in an experiment becomes the address of the test's own HTTP server.
"""
from dataclasses import dataclass, field


@dataclass
class Case:
    name: str
    experiment: object
    arguments: list = field(default_factory=list)
    environment: dict = field(default_factory=dict)
    signal: str = None
    settings: object = None
    files: dict = field(default_factory=dict)
    drivers: bool = False


ALL = []


def case(name, experiment, *arguments, **more):
    ALL.append(Case(name, experiment, list(arguments), **more))


def python(func, module="subject", **arguments):
    return {"type": "python", "module": module, "func": func, "arguments": arguments}


def process(path, arguments=None, **more):
    provider = {"type": "process", "path": path, **more}
    return provider if arguments is None else {**provider, "arguments": arguments}


def http(path, **more):
    return {"type": "http", "url": "URL" + path, "timeout": 5, **more}


def activity(name, provider, kind="action", **more):
    return {"type": kind, "name": name, "provider": provider, **more}


def probe(name, provider, tolerance, **more):
    return activity(name, provider, "probe", tolerance=tolerance, **more)


def action(text, **more):
    return activity("note " + text, python("note", text=text), **more)


def experiment(method=(), probes=None, rollbacks=None, **more):
    built = {"title": "a title", "description": "a description", "method": list(method), **more}
    if probes is not None:
        built["steady-state-hypothesis"] = {"title": "all is well", "probes": list(probes)}
    if rollbacks is not None:
        built["rollbacks"] = list(rollbacks)
    return built


UNDO = [action("undone")]
GOOD = probe("good", python("echo", value=True), True)
BAD = probe("bad", python("echo", value=False), True)
BROKEN = probe("broken", python("fail"), True)
DONE = action("done")

# Tolerances: what the probe gives, the tolerance.
TOLERANCES = {
    "bool": (True, True),
    "bool of one": (1, True),
    "int": (6, 6),
    "int of float": (6.0, 6),
    "int of status": ({"status": 200}, 200),
    "int of other status": ({"status": 500}, 200),
    "text": ("a", "a"),
    "text of other": ("b", "a"),
    "text substituted": ("jane", "${name}"),
    "text substituted to int": (5, "${five}"),
    "text substituted to float": (1.5, "${half}"),
    "pair around": (5, [1, 9]),
    "pair beside": (10, [1, 9]),
    "pair of texts": ("b", ["a", "c"]),
    "pair of status": ({"status": 5}, [1, 9]),
    "pair of kinds": ("b", [1, 9]),
    "three": (2, [1, 2, 3]),
    "three without": (9, [1, 2, 3]),
    "regex": ("it is 42\n", {"type": "regex", "pattern": "[0-9]{2}$"}),
    "regex target": ({"stdout": "ok\n"}, {"type": "regex", "target": "stdout", "pattern": "^ok$"}),
    "regex of map": ({"a": 1}, {"type": "regex", "pattern": "a"}),
    "regex substituted": ("jane doe", {"type": "regex", "pattern": "^${name}"}),
    "regex look-ahead": ("jane doe", {"type": "regex", "pattern": "jane(?! d)"}),
    "jsonpath": ({"a": [{"b": 1}]}, {"type": "jsonpath", "path": "$.a[*].b"}),
    "jsonpath of text": ('{"a": 1}', {"type": "jsonpath", "path": "$.a"}),
    "jsonpath none": ({"a": 1}, {"type": "jsonpath", "path": "$.b"}),
    "jsonpath count": ({"a": [1, 2]}, {"type": "jsonpath", "path": "$.a[*]", "count": 2}),
    "jsonpath expect": ({"a": ["jane"]}, {"type": "jsonpath", "path": "$.a[*]", "expect": "${name}"}),
    "jsonpath expect list": ({"a": [1, 2]}, {"type": "jsonpath", "path": "$.a[*]", "expect": [1, 2]}),
    "jsonpath expect none": ({"a": [1]}, {"type": "jsonpath", "path": "$.a[*]", "expect": None}),
    "jsonpath filter": ({"a": [{"v": 1}, {"v": 2}]},
                        {"type": "jsonpath", "path": "$.a.*[?(@.v > 1)]", "count": 1}),
    "range": (5, {"type": "range", "range": [4.5, 5.5]}),
    "range of text": ("5", {"type": "range", "range": [4.5, 5.5]}),
    "range exact": ("0.1", {"type": "range", "range": [0.1, 1]}),
    "range of no number": ("x", {"type": "range", "range": [1, 2]}),
    "range target": ({"body": "7"}, {"type": "range", "target": "body", "range": [1, 2]}),
    "range of map": ({}, {"type": "range", "range": [1, 2]}),
    "probe": (5, {"type": "probe", "name": "is five", "provider": python("is_five", value=None)}),
    "probe denies": (6, {"type": "probe", "name": "is five", "provider": python("is_five", value=None)}),
    "probe fails": (6, {"type": "probe", "name": "x", "provider": python("echo", "subject", value=1),
                        }),
    "probe by process": (6, {"type": "probe", "name": "x",
                             "provider": process("true", {"-x": "1"})}),
    "float refused": (1.5, 1.5),
    "type refused": (1, {"type": "unknown"}),
    "pattern refused": ("a", {"type": "regex", "pattern": "("}),
    "path refused": ({}, {"type": "jsonpath", "path": "$.["}),
}
CONFIGURATION = {"name": "jane", "five": 5, "half": 1.5}
for name, (value, tolerance) in TOLERANCES.items():
    case("tolerance: " + name, experiment(
        [DONE], [probe("it", python("echo", value=value), tolerance), GOOD], UNDO,
        configuration=CONFIGURATION))

# Strategies of the hypothesis and of the rollbacks, each with what can go wrong.
case("empty method", experiment())
case("no hypothesis, rollbacks", experiment([DONE], rollbacks=UNDO))
case("method and hypothesis", experiment([DONE], [GOOD], UNDO))
case("gate missed", experiment([DONE], [BAD], UNDO))
case("gate broken", experiment([DONE], [BROKEN], UNDO))
case("gate broken, rollbacks always", experiment([DONE], [BROKEN], UNDO), "--rollback-strategy", "always")
AFTER = probe("after", process("test", ["!", "-e", "effects.txt"]), 0)
case("deviated", experiment([DONE], [AFTER], UNDO))
for strategy in ("default", "always", "never", "deviated"):
    case("deviated, rollbacks " + strategy, experiment([DONE], [AFTER], UNDO), "--rollback-strategy", strategy)
    case("well, rollbacks " + strategy, experiment([DONE], [GOOD], UNDO), "--rollback-strategy", strategy)
for strategy in ("before-method-only", "after-method-only"):
    case("bad, " + strategy, experiment([DONE], [BAD], UNDO), "--hypothesis-strategy", strategy)
    case("good, " + strategy, experiment([DONE], [GOOD], UNDO), "--hypothesis-strategy", strategy)
PAUSED = activity("wait", python("echo", value=1), pauses={"after": 1.0})
for strategy in ("during-method-only", "continuously"):
    case("during: " + strategy, experiment([PAUSED], [GOOD], UNDO),
         "--hypothesis-strategy", strategy, "--hypothesis-frequency", "0.4")
case("during: bad", experiment([PAUSED], [BAD], UNDO),
     "--hypothesis-strategy", "during-method-only", "--hypothesis-frequency", "0.4")
case("during: fail fast", experiment([PAUSED, DONE], [BAD], UNDO),
     "--hypothesis-strategy", "during-method-only", "--hypothesis-frequency", "0.3", "--fail-fast")
case("during: turns bad, fail fast",
     experiment([PAUSED, DONE], [probe("two", python("healthy_for_two"), True)], UNDO),
     "--hypothesis-strategy", "continuously", "--hypothesis-frequency", "0.3", "--fail-fast")
case("runtime: skip", experiment([DONE], [BAD], UNDO, runtime={"hypothesis": {"strategy": "skip"}}))
case("runtime: rollbacks never", experiment([DONE], [GOOD], UNDO, runtime={"rollbacks": {"strategy": "never"}}))
case("runtime: settings", experiment([DONE], [GOOD], UNDO),
     settings={"runtime": {"rollbacks": {"strategy": "never"}}})
case("runtime: settings hidden", experiment([DONE], [GOOD], UNDO, runtime={"hypothesis": {}}),
     settings={"runtime": {"rollbacks": {"strategy": "never"}}})

# Activities that fail, break, exit.
case("action fails", experiment([activity("a", python("fail", message="x")), DONE], [GOOD], UNDO))
case("action fails by ActivityFailed", experiment([activity("a", python("failed")), DONE], [GOOD], UNDO))
case("action raises InterruptExecution", experiment([activity("a", python("interrupt")), DONE], [GOOD], UNDO))
case("action exits", experiment([activity("a", python("exit_with", code=3)), DONE], [GOOD], UNDO))
case("action exits gracefully", experiment([activity("a", python("gracefully")), DONE], [GOOD], UNDO))
case("action exits ungracefully", experiment([activity("a", python("ungracefully")), DONE], [GOOD], UNDO))
case("action terminates", experiment([activity("a", python("terminate")), DONE], [GOOD], UNDO))
case("background exits ungracefully", experiment(
    [activity("a", python("ungracefully", after=2), background=True),
     activity("b", python("echo"), pauses={"after": 5}), DONE], [GOOD], UNDO))
case("background exits gracefully", experiment(
    [activity("a", python("gracefully", after=2), background=True),
     activity("b", process("sleep", ["5"])), DONE], [GOOD], UNDO))
case("rollback fails", experiment([DONE], [GOOD], [activity("r", python("fail")), *UNDO]))
case("rollback exits", experiment([DONE], [GOOD], [activity("r", python("exit_with", code=1)), *UNDO]))
case("unbound argument, unvalidated", experiment([activity("a", python("needs")), DONE], None, UNDO),
     "--no-validation")
case("unknown module, unvalidated", experiment([activity("a", python("x", "nowhere")), DONE], [GOOD], UNDO),
     "--no-validation")
case("unknown reference, unvalidated", experiment([{"ref": "nobody"}, DONE], [GOOD], UNDO), "--no-validation")
case("result that JSON writes otherwise", experiment([activity("a", python("kinds"))]))

# Processes.
case("process: list", experiment([activity("a", process("printf", ["%s|", 1, True, None, "", 1.5, "a b"]))]))
case("process: map", experiment([activity("a", process("echo", {"-z": 1, "-a": "", "-b": None}))]))
case("process: text", experiment([activity("a", process("echo", "a $((1 + 1)) | tr a b"))]))
case("process: substituted", experiment(
    [activity("a", process("echo", ["${name}", "${five}", "${half}", "x${five}", "$$", "${other}"]))],
    configuration=CONFIGURATION))
case("process: nothing to substitute", experiment([activity("a", process("echo", "$$ | wc -l"))]))
case("process: status", experiment([activity("a", process("sh", ["-c", "echo out; echo err >&2; exit 3"]))]))
case("process: signal", experiment([activity("a", process("sh", ["-c", "kill -9 $$"]))]))
case("process: timeout", experiment([activity("a", process("sleep", ["5"], timeout=0.3)), DONE], None, UNDO))
case("process: unknown", experiment([activity("a", process("no-such-program"))]))
case("process: unknown, unvalidated",
     experiment([activity("a", process("no-such-program")), DONE], None, UNDO), "--no-validation")
case("process: environment", experiment([activity("a", process("printenv", ["GIVEN"]))]),
     environment={"GIVEN": "yes"})

# Requests.
case("http: get", experiment([activity("a", http("/text"), "probe")]))
case("http: json", experiment([activity("a", http("/json"), "probe")]))
case("http: query", experiment([activity("a", http("/echo?z=1", arguments={"a": [1, 2], "b": "x y", "c": None}))]))
case("http: form", experiment([activity("a", http("/echo", method="post", arguments={"a": 1, "b": "x y"}))]))
case("http: json sent", experiment([activity("a", http(
    "/echo", method="PUT", headers={"Content-Type": "application/json", "X-Name": "${name}"},
    arguments={"a": [1, None]}))], configuration=CONFIGURATION))
case("http: status is no failure", experiment([activity("a", http("/status/500"))], [
    probe("p", http("/status/404"), [200, 404])], UNDO))
case("http: redirect", experiment([activity("a", http("/redirect"))]))
case("http: read timeout", experiment([activity("a", http("/slow", timeout=[3, 0.3])), DONE], None, UNDO))
case("http: refused", experiment([activity("a", {"type": "http", "url": "http://127.0.0.1:1/"}), DONE]))
case("http: refused and retried", experiment(
    [activity("a", {"type": "http", "url": "http://127.0.0.1:1/", "max_retries": 2})]))
case("http: tolerance in body", experiment([], [probe("p", http("/json"), {
    "type": "jsonpath", "target": "body", "path": "$.items[*]", "count": 2})]))
case("http: no url", experiment([activity("a", {"type": "http", "url": "nothing"}), DONE], None, UNDO))

# Configuration and secrets.
CONFIGURED = [activity("a", python("given", more="${port} ${host}"))]
ENVIRONMENT = {
    "port": {"type": "env", "key": "PORT", "env_var_type": "int"},
    "host": {"type": "env", "key": "HOST_NAME", "default": "here"},
    "flag": {"type": "env", "key": "FLAG", "env_var_type": "bool"},
    "data": {"type": "env", "key": "DATA", "env_var_type": "json"},
}
SET = {"PORT": "80", "FLAG": "no", "DATA": '{"a": [1]}'}
case("configuration: environment", experiment(CONFIGURED, configuration=ENVIRONMENT), environment=SET)
case("configuration: missing", experiment(CONFIGURED, configuration=ENVIRONMENT))
case("configuration: wrong type", experiment(CONFIGURED, configuration=ENVIRONMENT),
     environment={**SET, "PORT": "x"})
case("configuration: --var", experiment(CONFIGURED, configuration={"port": 1, "host": "a"}),
     "--var", "port:int=7", "--var", "host=b", "--var", "unknown=c")
case("configuration: --var-file", experiment(CONFIGURED, configuration={"port": 1, "host": "a"}),
     "--var-file", "given.json", files={"given.json": '{"configuration": {"port": 9}}'})
case("configuration: .env", experiment([activity("a", process("printenv", ["FROM_FILE"]))]),
     "--var-file", "given.env", files={"given.env": "# comment\nFROM_FILE=x=y\n"})
case("configuration: from probes", experiment(CONFIGURED, configuration={
    "port": {"type": "probe", "name": "p", "provider": process("echo", ["  8080 "])},
    "host": {"type": "probe", "name": "h", "provider": python("echo", value=["a"])},
    "page": {"type": "probe", "name": "w", "provider": http("/json")},
    "none": {"type": "probe", "name": "n", "provider": process("false")},
    "gone": {"type": "probe", "name": "g", "provider": python("fail")}}))
SECRETS = {"one": {"token": {"type": "env", "key": "TOKEN"}, "plain": "p"}, "two": {"other": 5}}
case("secrets: given", experiment([
    activity("a", {**python("given", more="${token} ${other}"), "secrets": ["one", "two", "three"]}),
    activity("b", python("given", more="${plain}"))], secrets=SECRETS), environment={"TOKEN": "t"})
case("secrets: missing", experiment(CONFIGURED, secrets=SECRETS))
case("secrets: ungrouped", experiment(CONFIGURED, secrets={"flat": "x"}))
case("title: substituted", experiment(title="hello ${name}", configuration=CONFIGURATION))

# References, background, pauses, dry runs.
case("reference", experiment([{"ref": "good"}, {"ref": "note done"}, DONE], [GOOD], [{"ref": "note done"}]))
case("reference in hypothesis", experiment([DONE, activity("p", python("echo", value=3), "probe")],
                                           [{"ref": "p", "tolerance": 3}]))
case("reference to nobody", experiment([{"ref": "nobody"}]))
case("background", experiment([
    activity("slow", python("ready_then_sleep", seconds=0.6), background=True), DONE,
    activity("fails", python("fail"), background=True)], [GOOD], UNDO))
case("background rollback", experiment([DONE], None, [action("in background", background=True)]))
case("pauses", experiment([action("paused", pauses={"before": 0.2, "after": "${wait}"})],
                          configuration={"wait": 0.2}))
case("pause of text", experiment([action("paused", pauses={"before": "soon"})]))
case("pause substituted to text", experiment([action("paused", pauses={"before": "${wait}"}), DONE], None, UNDO,
                                             configuration={"wait": "soon"}))
for what in ("probes", "actions", "activities", "pause"):
    case("dry: " + what, experiment([DONE, activity("p", python("echo", value=1), "probe"),
                                     action("paused", pauses={"before": 0.1, "after": 0.1})],
                                    [BAD], UNDO), "--dry", what)
case("dry: of an activity", experiment([action("not really", dry="actions"), DONE]), "--dry", "actions")

# Controls.
WATCH = {"name": "watcher", "provider": {"type": "python", "module": "watcher"}}


def watching(mode, **more):
    provider = {"type": "python", "module": "watcher", "arguments": {"mode": mode, **more}}
    return {"name": "watcher", "provider": provider}


case("controls: watched", experiment([DONE], [GOOD], UNDO, controls=[WATCH], extensions=[{"name": "x"}]))
case("controls: of a level", experiment([{**DONE, "controls": [WATCH]}, action("other")], [GOOD], UNDO))
case("controls: of the hypothesis", {**experiment([DONE], [GOOD], UNDO), "steady-state-hypothesis": {
    "title": "h", "probes": [GOOD], "controls": [watching("m")]}})
case("controls: substituted", experiment([DONE], [GOOD], UNDO, controls=[watching("${name}")],
                                         configuration=CONFIGURATION))
case("controls: scope", experiment([DONE], [GOOD], UNDO, controls=[{**WATCH, "scope": "after"}]))
case("controls: not automatic", experiment([DONE], [GOOD], UNDO, controls=[{**WATCH, "automatic": False}]))
case("controls: interrupt", experiment([DONE, action("other")], [GOOD], UNDO,
                                       controls=[watching("interrupt", target="note done")]))
case("controls: interrupt in the hypothesis", experiment([DONE], [GOOD], UNDO,
                                                         controls=[watching("interrupt", target="good")]))
case("controls: interrupt in rollbacks", experiment([DONE], [GOOD], UNDO,
                                                    controls=[watching("interrupt", target="note undone")]))
case("controls: interrupt after", experiment([DONE, action("other")], [GOOD], UNDO,
                                             controls=[watching("interrupt-after", target="note done")]))
case("controls: broken", experiment([DONE], [GOOD], UNDO, controls=[watching("broken")]))
case("controls: broken everywhere", experiment([DONE], [GOOD], UNDO, controls=[
    {"name": "b", "provider": {"type": "python", "module": "broken_control"}}]))
case("controls: change", experiment([activity("e", python("echo", value="as it was"))], [GOOD], UNDO,
                                    controls=[watching("change", target="e")]))
case("controls: unknown module", experiment([DONE], [GOOD], UNDO, controls=[
    {"name": "n", "provider": {"type": "python", "module": "nowhere"}}]))
case("controls: refuses", experiment([DONE], controls=[
    {"name": "n", "provider": {"type": "python", "module": "refusing_control"}}]))
case("controls: nameless", experiment([DONE], controls=[{"provider": {"type": "python", "module": "watcher"}}]))
case("controls: global", experiment([DONE], [GOOD], UNDO), settings={
    "controls": {"watch": {"provider": {"type": "python", "module": "watcher"}}}})
case("controls: from a file", experiment([DONE], [GOOD], UNDO), "--control-file", "controls.yaml", files={
    "controls.yaml": "watch:\n  provider:\n    type: python\n    module: watcher\n"})

# Signals, sent when the run is in the middle of something.
MIDDLES = {
    "process": activity("m", process("sh", ["-c", "touch ready; sleep 4"])),
    "python": activity("m", python("ready_then_sleep", seconds=4)),
    "pause": activity("m", python("note", text="x", path="ready"), pauses={"after": 4}),
}
for what, middle in MIDDLES.items():
    for signal in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2"):
        case("signal: %s in a %s" % (signal, what), experiment([middle, DONE], [GOOD], UNDO), signal=signal)
case("signal: SIGTERM, rollbacks always", experiment([MIDDLES["process"], DONE], [GOOD], UNDO),
     "--rollback-strategy", "always", signal="SIGTERM")
case("signal: SIGUSR1, rollbacks always", experiment([MIDDLES["process"], DONE], [GOOD], UNDO),
     "--rollback-strategy", "always", signal="SIGUSR1")
case("signal: SIGTERM in a rollback", experiment([DONE], None, [MIDDLES["process"], *UNDO]), signal="SIGTERM")
case("signal: SIGTERM, controls", experiment([MIDDLES["process"], DONE], [GOOD], UNDO, controls=[WATCH]),
     signal="SIGTERM")
case("signal: SIGTERM while waiting for the background", experiment(
    [activity("b", process("sh", ["-c", "touch ready; sleep 1.5"]), background=True)], [GOOD], UNDO),
    signal="SIGTERM")

case("signal: SIGTERM in the hypothesis", experiment(
    [DONE], [probe("p", process("sh", ["-c", "touch ready; sleep 4"]), 0)], UNDO), signal="SIGTERM")
case("signal: SIGTERM with a continuous hypothesis", experiment([MIDDLES["process"], DONE], [GOOD], UNDO),
     "--hypothesis-strategy", "continuously", "--hypothesis-frequency", "0.3", signal="SIGTERM")
case("signal: SIGUSR1 while waiting for the background", experiment(
    [activity("b", process("sh", ["-c", "touch ready; sleep 1.5"]), background=True)], [GOOD], UNDO),
    signal="SIGUSR1")
case("signal: SIGTERM in a request", experiment(
    [activity("r", process("touch", ["ready"])), activity("m", http("/slow")), DONE], [GOOD], UNDO),
    signal="SIGTERM")

# What is left over: shapes that people write.
case("hypothesis without probes", {**experiment([DONE], rollbacks=UNDO),
                                   "steady-state-hypothesis": {"title": "h"}})
case("hypothesis with no probes", experiment([DONE], [], UNDO))
case("probe of the method fails", experiment(
    [activity("p", python("fail"), "probe"), DONE], [GOOD], UNDO))
case("probe of the method with a tolerance", experiment([BAD, DONE], [GOOD], UNDO))
case("results of all kinds", experiment([
    activity("r%d" % at, python("echo", value=value))
    for at, value in enumerate([None, False, 0, 1.0, 1e16, 1e-7, "", "é\n", [], {}, [{"a": [None]}]])]))
case("continuous and deviated", experiment(
    [action("done", pauses={"before": 0.6}), PAUSED], [AFTER], UNDO),
     "--hypothesis-strategy", "continuously", "--hypothesis-frequency", "0.4",
     "--rollback-strategy", "deviated")
case("continuous with controls", {**experiment([PAUSED], [GOOD], UNDO), "steady-state-hypothesis": {
    "title": "h", "probes": [GOOD], "controls": [WATCH]}},
     "--hypothesis-strategy", "during-method-only", "--hypothesis-frequency", "30")
case("continuous breaks", experiment([PAUSED, DONE], [
    probe("p", python("echo", value="text"), [1, 2])], UNDO),
    "--hypothesis-strategy", "during-method-only", "--hypothesis-frequency", "0.3")
case("background with pauses", experiment([
    action("late", background=True, pauses={"before": 0.5}), DONE], None, UNDO))
case("controls: change the configuration", experiment(
    [activity("e", python("echo", value="${name}"))], None, UNDO, controls=[watching("configure")],
    configuration=CONFIGURATION))
case("controls: two", experiment([DONE], [GOOD], UNDO, controls=[
    watching("first"), {**watching("second"), "name": "other"}]))
case("controls: named again in an activity", experiment(
    [{**DONE, "controls": [watching("inner")]}], [GOOD], UNDO, controls=[watching("outer")]))
case("secrets: of a control", experiment([DONE], None, UNDO, controls=[watching("${token}")],
                                         secrets=SECRETS), environment={"TOKEN": "t"})
case("secrets: replaced by a file", experiment(
    [activity("b", python("given", more="${token}"))], secrets=SECRETS), "--var-file", "s.json",
    environment={"TOKEN": "t"}, files={"s.json": '{"secrets": {"one": {"token": "replaced"}}}'})
case("arguments nested", experiment([activity("e", python("echo", value={
    "a": ["${name}", {"b": "x ${five} ${half} ${tree}"}], "${name}": "$name $$"}))],
    configuration={**CONFIGURATION, "tree": {"x": [True, None, "it's"]}}))
case("invalid reference of a control", experiment([DONE], controls=[WATCH, {"ref": "nobody"}]))

# Experiments that are not valid.
case("invalid: no title", {"description": "d", "method": []})
case("invalid: no method", {"title": "t", "description": "d"})
case("invalid: empty", {})
case("invalid: type", experiment([{**DONE, "type": "thing"}]))
case("invalid: provider", experiment([activity("a", {"type": "ssh"})]))
case("invalid: background", experiment([{**DONE, "background": "yes"}]))
case("invalid: tags", experiment([DONE], tags=["a", 5]))
case("invalid: extension", experiment([DONE], extensions=[{"name": " "}]))
case("invalid: argument missing", experiment([activity("a", python("needs"))]))
case("invalid: argument unexpected", experiment([activity("a", python("needs", a=1, c=2))]))
case("invalid: no function", experiment([activity("a", python("not_a_function"))]))
