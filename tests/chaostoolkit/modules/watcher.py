"""A control that writes down each call, and changes what its arguments tell it to."""


def write(line):
    with open("calls.txt", "a") as file:
        file.write(line + "\n")


def name_of(context):
    return context.get("name") or context.get("title")


def configure_control(configuration=None, secrets=None, experiment=None, settings=None, **kwargs):
    write("configure %s" % sorted(kwargs))


def cleanup_control():
    write("cleanup")


def before_loading_experiment_control(context, **kwargs):
    write("before loading")


def after_loading_experiment_control(context, state, **kwargs):
    write("after loading %s" % state["title"])


def before_experiment_control(context, configuration=None, **kwargs):
    write("before experiment %s" % name_of(context))


def after_experiment_control(context, state, extensions=None, **kwargs):
    write("after experiment %s %s %s" % (name_of(context), state["status"], extensions))
    state["noted"] = True


def before_hypothesis_control(context, **kwargs):
    write("before hypothesis %s" % name_of(context))


def after_hypothesis_control(context, state, **kwargs):
    write("after hypothesis %s %s" % (state["steady_state_met"], len(state["probes"])))
    state["watched"] = True


def before_method_control(context, **kwargs):
    write("before method %s" % name_of(context))


def after_method_control(context, state, **kwargs):
    write("after method %s" % [run.get("status") for run in state])


def before_rollback_control(context, **kwargs):
    write("before rollback %s" % name_of(context))


def after_rollback_control(context, state, **kwargs):
    write("after rollback %s" % [run.get("status") for run in state])


def before_activity_control(context, mode=None, target=None, secrets=None, **kwargs):
    write("before activity %s %s" % (name_of(context), mode))
    if target and name_of(context) != target:
        return
    if mode == "interrupt":
        from chaoslib.exceptions import InterruptExecution

        raise InterruptExecution("the control says so")
    if mode == "broken":
        raise ValueError("broken control")
    if mode == "configure":
        kwargs["configuration"]["name"] = "changed"
    if mode == "change":
        context["provider"]["arguments"] = {"value": "changed"}


def after_activity_control(context, state, mode=None, target=None, **kwargs):
    write("after activity %s %s" % (name_of(context), state and state.get("status")))
    if mode == "change" and state:
        state["seen"] = True
    if mode == "interrupt-after" and name_of(context) == target:
        from chaoslib.exceptions import InterruptExecution

        raise InterruptExecution("the control says so, after")
