"""Controls that fail where they can."""


def configure_control():
    raise ValueError("cannot be configured")


def before_experiment_control(context):
    raise ValueError("no")
