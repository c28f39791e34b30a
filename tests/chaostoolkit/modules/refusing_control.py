"""A control that does not find itself valid."""


def validate_control(control):
    from chaoslib.exceptions import InvalidActivity

    raise InvalidActivity("not like this")
