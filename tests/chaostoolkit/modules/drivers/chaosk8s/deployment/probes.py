"""Stands in for the driver of this name: answers as a healthy system would."""


def collect_deployment_status(deployment_name, duration):
    return [{"name": deployment_name, "for": duration}]
