"""Prepares, starts, stops and inspects the polyglot test system. `../system` is its command."""


class ControlError(Exception):
    """Something the person at the command line can act on; its text says what."""
