"""What the strict verdict promises, of real runs: failures fail, rollbacks are played, also after
SIGKILL at any moment."""
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

from cases import GOOD, BAD, DONE, UNDO, action, activity, experiment, process, python

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS_MAX = 30


class Place:
    """A folder in which Immune runs experiments."""

    def __init__(self, immune):
        self.immune = immune
        self.folder = tempfile.mkdtemp(prefix="immune-strict-")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        return open(self.path(name)).read() if os.path.exists(self.path(name)) else ""

    def journal(self):
        return json.loads(self.read("journal.json"))

    def start(self, *arguments, **environment):
        given = {"PATH": os.environ["PATH"], "HOME": self.folder, "LANG": "C.UTF-8",
                 "PYTHONPATH": os.path.join(HERE, "modules"), "PYTHONDONTWRITEBYTECODE": "1"}
        with open(self.path("output.log"), "ab") as output:
            return subprocess.Popen(
                [self.immune, "drill", *arguments], cwd=self.folder, env={**given, **environment},
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)

    def drill(self, *arguments, **environment):
        return self.start(*arguments, **environment).wait(SECONDS_MAX)

    def begin(self, tried, *arguments, **environment):
        with open(self.path("experiment.json"), "w") as file:
            json.dump(tried, file)
        return self.start("run", "--python", sys.executable, *arguments, "experiment.json", **environment)

    def run(self, tried, *arguments, **environment):
        return self.begin(tried, *arguments, **environment).wait(SECONDS_MAX)

    def wait_for(self, name):
        until = time.monotonic() + SECONDS_MAX
        while not os.path.exists(self.path(name)):
            assert time.monotonic() < until, "%s did not come: %s" % (name, self.read("output.log"))
            time.sleep(0.01)


MIDDLE = activity("middle", process("sh", ["-c", "touch ready; sleep 20"]))
STUBBORN = activity("stubborn", python("swallow"))


def passes_and_leaves_no_record(place):
    assert place.run(experiment([DONE], [GOOD], UNDO)) == 0
    assert place.read("effects.txt") == "done\nundone\n"
    assert place.journal()["verdict"] == {"mode": "strict", "passed": True, "failures": []}
    assert not os.path.exists(place.path("journal.json.undo"))


def fails_when_an_action_fails(place):
    assert place.run(experiment([activity("a", python("fail")), DONE], [GOOD], UNDO)) == 1
    assert place.read("effects.txt") == "done\nundone\n"
    assert place.journal()["status"] == "failed"
    assert place.journal()["verdict"]["failures"] == ["action `a` failed"]


def fails_when_a_process_says_so(place):
    broken = activity("a", process("sh", ["-c", "echo no such disk >&2; exit 3"]))
    assert place.run(experiment([broken], None, UNDO)) == 1
    assert "status 3: no such disk" in place.journal()["run"][0]["exception"][0]


def fails_when_the_gate_is_missed_and_plays_rollbacks(place):
    assert place.run(experiment([DONE], [BAD], UNDO)) == 1
    assert place.read("effects.txt") == "undone\n"


def fails_when_a_rollback_fails_and_remembers_it(place):
    rollbacks = [activity("r", process("test", ["-e", "mended"])), *UNDO]
    assert place.run(experiment([DONE], None, rollbacks)) == 1
    assert place.read("effects.txt") == "done\nundone\n"
    assert place.drill("recover") == 1
    open(place.path("mended"), "w").close()
    assert place.drill("recover") == 0
    assert place.read("effects.txt") == "done\nundone\n", "what succeeded is not played again"
    assert not os.path.exists(place.path("journal.json.undo"))


def plays_rollbacks_when_terminated(place):
    for which in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):
        run = place.begin(experiment([MIDDLE, DONE], None, UNDO))
        place.wait_for("ready")
        run.send_signal(which)
        assert run.wait(SECONDS_MAX) == 1
        assert place.read("effects.txt") == "undone\n"
        assert place.journal()["status"] == "interrupted"
        os.remove(place.path("ready"))
        os.remove(place.path("effects.txt"))


def goes_on_when_nobody_listens_to_its_progress(place):
    with open(place.path("experiment.json"), "w") as file:
        json.dump(experiment([DONE, activity("a", python("fail"))], [GOOD], UNDO), file)
    read, write = os.pipe()
    os.close(read)
    ran = subprocess.run(
        [place.immune, "drill", "run", "--python", sys.executable, "experiment.json"],
        cwd=place.folder, stdout=write, timeout=SECONDS_MAX, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.path.join(HERE, "modules")})
    os.close(write)
    assert ran.returncode == 1
    assert place.read("effects.txt") == "done\nundone\n"


def ends_python_that_does_not_let_go(place):
    run = place.begin(experiment([STUBBORN, DONE], None, [activity("r", process("touch", ["back"]))]))
    place.wait_for("ready")
    run.send_signal(signal.SIGTERM)
    assert run.wait(SECONDS_MAX) == 1
    assert os.path.exists(place.path("back"))


def leaves_the_run_so_far_when_killed_and_recovers(place):
    secrets = {"g": {"token": {"type": "env", "key": "TOKEN"}}}
    undo = activity("undo", process("sh", ["-c", "echo ${token} >> undone"]))
    run = place.begin(experiment([DONE, MIDDLE], [GOOD], [undo], secrets=secrets), TOKEN="hush-hush")
    place.wait_for("ready")
    assert place.drill("recover", TOKEN="hush-hush") == 1, "the run still goes on"
    run.kill()
    run.wait()
    journal = place.journal()
    assert journal["status"] is None
    assert [run["activity"]["name"] for run in journal["run"]] == ["note done", "middle"]
    assert journal["steady_states"]["before"]["steady_state_met"]
    record = place.path("journal.json.undo")
    assert stat.S_IMODE(os.stat(record).st_mode) == 0o600
    assert "hush-hush" not in place.read("journal.json") + place.read("journal.json.undo")
    assert place.drill("recover", TOKEN="hush-hush") == 0
    assert place.read("undone") == "hush-hush\n"
    assert place.journal()["status"] == "interrupted"
    assert place.journal()["rollbacks"][0]["status"] == "succeeded"
    assert place.drill("recover") == 0
    assert place.read("undone") == "hush-hush\n", "a second recovery has nothing to do"


def ends_what_a_killed_run_left_running(place):
    fault = activity("fault", process("sh", ["-c", "touch ready; while true; do date > alive; sleep 0.05; done"]))
    run = place.begin(experiment([fault], None, [activity("undo", process("rm", ["-f", "alive"]))]))
    place.wait_for("alive")
    run.kill()
    run.wait()
    assert place.drill("recover") == 0
    time.sleep(0.3)
    assert not os.path.exists(place.path("alive")), "the fault goes on beside its rollback"


def plays_rollbacks_of_a_killed_run_before_the_next(place):
    run = place.begin(experiment([MIDDLE], None, UNDO))
    place.wait_for("ready")
    run.kill()
    run.wait()
    assert place.run(experiment([action("next")])) == 0
    assert place.read("effects.txt") == "undone\nnext\n"


def leaves_rollbacks_to_recovery_on_sigusr2(place):
    run = place.begin(experiment([MIDDLE], None, UNDO))
    place.wait_for("ready")
    run.send_signal(signal.SIGUSR2)
    assert run.wait(SECONDS_MAX) == 1
    assert place.read("effects.txt") == ""
    assert place.drill("recover") == 0
    assert place.read("effects.txt") == "undone\n"


def a_kill_at_any_moment_is_undone(place):
    tried = experiment(
        [activity("do", process("sh", ["-c", "echo did >> did"]), pauses={"after": 0.1})], [GOOD],
        [activity("undo", process("rm", ["-f", "did"]))])
    for _ in range(12):
        run = place.begin(tried)
        time.sleep(random.random() * 0.5)
        run.kill()
        run.wait()
        if os.path.exists(place.path("journal.json")):
            place.journal()
        assert place.drill("recover") == 0, place.read("output.log")
        assert not os.path.exists(place.path("did")), place.read("output.log")


def ends_the_background_of_an_interrupted_method_before_rollbacks(place):
    slow = activity("slow", process("sh", ["-c", "sleep 1; echo late >> effects.txt"]), background=True)
    run = place.begin(experiment([slow, MIDDLE], None, [action("in background", background=True), *UNDO]))
    place.wait_for("ready")
    run.send_signal(signal.SIGTERM)
    assert run.wait(SECONDS_MAX) == 1
    time.sleep(1.2)
    assert sorted(place.read("effects.txt").split()) == ["background", "in", "undone"]


def recovers_in_the_runs_folder_with_its_python_and_environment(place):
    os.mkdir(place.path("elsewhere"))
    with open(place.path("given.env"), "w") as file:
        file.write("FROM_FILE=yes\n")
    undo = [activity("p", python("note", text="by Python")),
            activity("e", process("sh", ["-c", "echo $FROM_FILE ${x} >> effects.txt"]))]
    run = place.begin(experiment([MIDDLE], None, undo, configuration={"x": 1}),
                      "--var-file", "given.env", "--var", "x=7", "--journal", "elsewhere/j.json")
    place.wait_for("ready")
    run.kill()
    run.wait()
    assert place.drill("recover", "elsewhere/j.json") == 0, place.read("output.log")
    assert place.read("effects.txt") == "by Python\nyes 7\n"
    assert len(json.loads(place.read("elsewhere/j.json"))["rollbacks"]) == 2


def plays_rollbacks_though_the_journal_cannot_be_written(place):
    os.mkdir(place.path("full"))
    gone = activity("gone", process("rm", ["-r", "full"]))
    assert place.run(experiment([gone, DONE], None, UNDO), "--journal", "full/j.json") == 1
    assert place.read("effects.txt") == "done\nundone\n"


def says_whether_a_file_is_valid(place):
    def write(name, content):
        with open(place.path(name), "w") as file:
            file.write(content)
    write("good.json", json.dumps(experiment([DONE])))
    write("bad.json", json.dumps(experiment([{"ref": "nobody"}])))
    write("own.yaml", "title: t\nsteady_state: {slos: [a], held_for: 10s}\nfault: {}\n")
    assert place.drill("validate", "--python", sys.executable, "good.json") == 0
    assert place.drill("validate", "bad.json") == 1
    assert place.drill("validate", "own.yaml") == 1
    assert place.drill("validate", "absent.json") == 1
    output = place.read("output.log")
    assert "referenced activity 'nobody'" in output, output


def prints_the_journal_for_programs(place):
    with open(place.path("experiment.json"), "w") as file:
        json.dump(experiment([DONE]), file)
    printed = subprocess.run(
        [place.immune, "drill", "run", "--json", "--python", sys.executable, "experiment.json"],
        cwd=place.folder, stdout=subprocess.PIPE, check=True, timeout=SECONDS_MAX,
        env={**os.environ, "PYTHONPATH": os.path.join(HERE, "modules")})
    assert json.loads(printed.stdout) == place.journal()


ALL = [passes_and_leaves_no_record, fails_when_an_action_fails, fails_when_a_process_says_so,
       fails_when_the_gate_is_missed_and_plays_rollbacks,
       fails_when_a_rollback_fails_and_remembers_it, plays_rollbacks_when_terminated,
       goes_on_when_nobody_listens_to_its_progress, ends_python_that_does_not_let_go, leaves_the_run_so_far_when_killed_and_recovers,
       ends_what_a_killed_run_left_running, plays_rollbacks_of_a_killed_run_before_the_next,
       leaves_rollbacks_to_recovery_on_sigusr2,
       a_kill_at_any_moment_is_undone,
       ends_the_background_of_an_interrupted_method_before_rollbacks,
       recovers_in_the_runs_folder_with_its_python_and_environment,
       plays_rollbacks_though_the_journal_cannot_be_written, says_whether_a_file_is_valid,
       prints_the_journal_for_programs]


def run(immune, check):
    """None, or what went wrong."""
    with Place(immune) as place:
        try:
            check(place)
            return None
        except Exception as error:
            import traceback
            return "".join(traceback.format_exception(error)) + place.read("output.log")
