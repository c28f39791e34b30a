"""Stands in for the driver of this name: answers as a healthy system would."""


def query(query, secrets=None):
    return {"data": {"result": [{"value": "0"}, {"value": "0"}]}}


def query_interval(query, start, end):
    return {"data": {"result": []}}
