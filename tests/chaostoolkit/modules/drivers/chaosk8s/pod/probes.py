"""Stands in for the driver of this name: answers as a healthy system would."""


def pods_in_phase(label_selector, phase, ns):
    return True
