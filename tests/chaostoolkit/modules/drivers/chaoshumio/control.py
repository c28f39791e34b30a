"""Stands in for the driver of this name: answers as a healthy system would."""


def before_experiment_control(context, secrets=None, **kwargs):
    with open("calls.txt", "a") as file:
        file.write("humio %s\n" % sorted(secrets or {}))
