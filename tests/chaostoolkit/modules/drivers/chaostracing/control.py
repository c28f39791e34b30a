"""Stands in for the driver of this name: answers as a healthy system would."""


def before_activity_control(context, configuration=None, **kwargs):
    with open("calls.txt", "a") as file:
        file.write("trace %s\n" % context["name"])
