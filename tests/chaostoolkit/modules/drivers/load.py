"""Stands in for the driver of this name: answers as a healthy system would."""


def single(url, duration):
    return [url, duration]
