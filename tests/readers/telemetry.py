"""What is sent: the same at every run, but for the time. Values of every type, texts in several
scripts, attributes with and without a column of their own, several services and days."""

import random

SECOND = 1_000_000_000
SERVICES = ["storefront", "orders", "payments"]
SEVERITIES = [(0, ""), (5, "DEBUG"), (9, "INFO"), (13, "WARN"), (17, "ERROR"), (21, "FATAL")]
WORDS = "order paid timeout retry cache käse 注文 connection refused slow user basket".split()
KINDS = [1, 2, 3, 4, 5]


def value(of):
    """A value as OTLP/JSON has it."""
    if isinstance(of, bool):
        return {"boolValue": of}
    if isinstance(of, int):
        return {"intValue": str(of)}
    if isinstance(of, float):
        return {"doubleValue": of}
    if isinstance(of, list):
        return {"arrayValue": {"values": [value(each) for each in of]}}
    if isinstance(of, dict):
        return {"kvlistValue": {"values": attributes(of)}}
    return {"stringValue": of}


def attributes(pairs):
    return [{"key": key, "value": value(each)} for key, each in pairs.items()]


def resource(service, instance):
    return {
        "attributes": attributes(
            {
                "service.name": service,
                "service.instance.id": instance,
                "deployment.environment.name": "production",
                "process.pid": 4711,
            }
        )
    }


SCOPE = {"name": "tests.readers", "version": "1.0"}


def traces(dice, now, count):
    """Traces of a few spans each; yields (service, instance, span)."""
    for _ in range(count):
        trace = f"{dice.getrandbits(128):032x}"
        start = now - dice.randrange(30 * 60 * SECOND)
        parent = ""
        for depth in range(dice.randrange(1, 7)):
            service = SERVICES[depth % len(SERVICES)]
            pairs = {
                "http.request.method": dice.choice(["GET", "POST"]),
                "http.route": f"/api/{dice.choice(WORDS)}/{{id}}",
                "http.response.status_code": dice.choice([200, 200, 200, 404, 500]),
                "user.id": f"u-{dice.randrange(50)}",
                "cart.items": dice.randrange(9),
                "cart.total": dice.randrange(1000) / 8,
                "retried": dice.random() < 0.1,
                "tags": [dice.choice(WORDS), dice.randrange(3)],
                "nested": {"key": dice.choice(WORDS), "deep": {"n": 1}},
            }
            span = {
                "traceId": trace,
                "spanId": f"{dice.getrandbits(64) or 1:016x}",
                "parentSpanId": parent,
                "name": f"{pairs['http.request.method']} {pairs['http.route']}",
                "kind": dice.choice(KINDS),
                "startTimeUnixNano": str(start),
                "endTimeUnixNano": str(start + dice.randrange(1, 2 * SECOND)),
                "attributes": attributes(pairs),
                "status": {"code": 2 if pairs["http.response.status_code"] == 500 else 0},
                "events": [{"timeUnixNano": str(start), "name": "began"}] * (depth % 2),
            }
            parent = span["spanId"]
            yield service, f"{service}-{dice.randrange(2)}", span, pairs


def logs(dice, now, count):
    for _ in range(count):
        number, text = dice.choice(SEVERITIES)
        words = [dice.choice(WORDS) for _ in range(dice.randrange(3, 9))]
        if dice.random() < 0.01:
            words.insert(2, "Unobtainium")
        service = dice.choice(SERVICES)
        pairs = {"exception.type": "IoError"} if number >= 17 else {"thread": dice.randrange(8)}
        yield service, f"{service}-0", {
            "timeUnixNano": str(now - dice.randrange(30 * 60 * SECOND)),
            "severityNumber": number,
            "severityText": text,
            "body": {"stringValue": " ".join(words)},
            "attributes": attributes(pairs),
        }


def gauges(dice, now, series, points):
    """One metric, `readers.level`, in several series. Each comes in two parts, whose times take
    turns. Values are eighths, so that sums are exact in any order."""
    step = 10 * SECOND
    first = (now - points * step) // step * step
    for index in range(series):
        service = SERVICES[index % len(SERVICES)]
        levels = [
            {
                "timeUnixNano": str(first + at * step),
                "asDouble": dice.randrange(8000) / 8,
                "attributes": attributes({"queue": f"q{index}", "shard": index}),
            }
            for at in range(points)
        ]
        for part in (levels[::2], levels[1::2]):
            yield service, f"{service}-0", {
                "name": "readers.level",
                "unit": "{item}",
                "gauge": {"dataPoints": part},
            }


def requests(items, signal, of_request):
    """Export requests of so many items, grouped as an SDK groups them."""
    kinds = {
        "traces": ("resourceSpans", "scopeSpans", "spans"),
        "logs": ("resourceLogs", "scopeLogs", "logRecords"),
        "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
    }
    resources, scopes, name = kinds[signal]
    for begin in range(0, len(items), of_request):
        groups = {}
        for service, instance, item, *_ in items[begin : begin + of_request]:
            groups.setdefault((service, instance), []).append(item)
        yield {
            resources: [
                {"resource": resource(*origin), scopes: [{"scope": SCOPE, name: each}]}
                for origin, each in groups.items()
            ]
        }


def dice(seed):
    return random.Random(seed)
