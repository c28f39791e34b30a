"""Sends telemetry, asks the server, stops it, and asks its files through other engines. Prints a
line for each question, and at last `e2e: N passed, N failed, 0 skipped`."""

import json
import pathlib
import sys
import tempfile
import time
from collections import Counter

import telemetry
from engines import ClickHouse, DuckDb
from server import Server, wait_for

TRACES = 1_500
LOGS = 5_000
SERIES, POINTS = 40, 150
OF_REQUEST = 500
WORDS = ["unobtainium", "refused", "käse", "注文"]
MINUTE = 60 * telemetry.SECOND


class Sent:
    """What was sent, which all answers are held against."""

    def __init__(self):
        dice, now = telemetry.dice(1), time.time_ns()
        self.spans = list(telemetry.traces(dice, now, TRACES))
        self.logs = list(telemetry.logs(dice, now, LOGS))
        self.gauges = list(telemetry.gauges(dice, now, SERIES, POINTS))

    def all(self):
        return {"metrics": self.gauges, "logs": self.logs, "traces": self.spans}

    def traces(self):
        """A few, long ones among them."""
        sizes = Counter(span["traceId"] for _, _, span, _ in self.spans)
        by_size = sorted(sizes, key=lambda trace: (sizes[trace], trace))
        return by_size[:2] + by_size[-3:]


def answers_of_sent(sent):
    durations, counts = Counter(), Counter()
    for service, _, span, _ in sent.spans:
        counts[service] += 1
        durations[service] += int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"])
    bodies = [record["body"]["stringValue"].lower().split() for *_, record in sent.logs]
    levels = Counter()
    for service, _, metric in sent.gauges:
        for point in metric["gauge"]["dataPoints"]:
            queue = point["attributes"][0]["value"]["stringValue"]
            minute = int(point["timeUnixNano"]) // MINUTE
            levels[service, queue, minute] += point["asDouble"]
    return {
        "spans by service": dict(counts),
        "durations by service": dict(durations),
        "logs by severity": dict(Counter(record["severityNumber"] for *_, record in sent.logs)),
        "logs by word": {word: sum(word in body for body in bodies) for word in WORDS},
        "levels by minute": dict(levels),
        "traces": {
            trace: {
                span["spanId"]: pairs
                for _, _, span, pairs in sent.spans
                if span["traceId"] == trace
            }
            for trace in sent.traces()
        },
    }


def answers_of_server(server, sent):
    def pages(path, items, **parameters):
        found, after = [], None
        while True:
            more = {"after": after} if after else {}
            page = server.ask(path, limit=1000, **parameters, **more)
            found += page[items]
            after = page["next"]
            if not after:
                return found

    durations = Counter()
    for span in pages("/api/v1/spans", "spans"):
        durations[span["service"]] += span["duration_nanos"]
    histogram = server.ask("/api/v1/logs/histogram", buckets=1)["buckets"]
    classes = {number: name.lower() or "none" for number, name in telemetry.SEVERITIES}
    found = server.ask(
        "/api/v1/series", match="readers.level", function="sum", step="60s", limit=SERIES
    )
    return {
        "spans by service": {
            service: server.ask("/api/v1/spans/stats", service=service)["spans"]
            for service in telemetry.SERVICES
        },
        "durations by service": dict(durations),
        "logs by severity": {
            number: sum(bucket[name] for bucket in histogram) for number, name in classes.items()
        },
        "logs by word": {
            word: len(pages("/api/v1/logs", "records", query=f"body:{word}")) for word in WORDS
        },
        "levels by minute": {
            (labels["service"], labels["queue"], at * 1_000_000 // MINUTE): level
            for labels, points in ((each["labels"], each["points"]) for each in found["series"])
            for at, level in points
        },
        "traces": {
            trace: {
                span["span_id"]: span["attributes"]
                for span in server.ask(f"/api/v1/traces/{trace}")["spans"]
            }
            for trace in sent.traces()
        },
    }


# The attributes of spans that have a column of their own, among those that are sent.
COLUMNS = ["http.request.method", "http.route", "http.response.status_code"]


def answers_of_files(engine, sent):
    ask = engine.ask

    def pairs(row):
        """Columns and map together; all but texts (type `s`) are stored as JSON."""
        span, types, stored, *columns = row
        stored = json.loads(stored)
        types = types or "s" * len(stored)
        of_map = {
            key: text if kind == "s" else json.loads(text)
            for (key, text), kind in zip(stored.items(), types)
        }
        of_columns = {key: value for key, value in zip(COLUMNS, columns) if value is not None}
        return span, of_columns | of_map

    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    levels = ask(
        f"SELECT service, queue, CAST(floor(moment / {MINUTE}) AS BIGINT), sum(value)"
        f" FROM {engine.points} AS points WHERE metric = 'readers.level' GROUP BY 1, 2, 3"
    )
    severities = "SELECT severity_number, count(*) FROM logs GROUP BY 1"
    return {
        "spans by service": numbers(ask("SELECT service, count(*) FROM spans GROUP BY 1")),
        "durations by service": numbers(
            ask("SELECT service, CAST(sum(duration_nanos) AS BIGINT) FROM spans GROUP BY 1")
        ),
        "logs by severity": numbers(ask(severities)),
        "logs by word": {
            word: int(ask(f"SELECT count(*) FROM logs WHERE {engine.word(word)}")[0][0])
            for word in WORDS
        },
        "levels by minute": {(a, b, int(minute)): float(level) for a, b, minute, level in levels},
        "traces": {
            trace: dict(
                pairs(row)
                for row in ask(
                    f"SELECT {engine.id('span_id')}, attribute_types, {engine.pairs}, {columns}"
                    f" FROM spans WHERE {engine.trace_is(trace)}"
                )
            )
            for trace in sent.traces()
        },
    }


def numbers(rows):
    return {key: int(count) for key, count in rows}


def main(program):
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="immune-readers-") as folder:
        server = Server(program, pathlib.Path(folder))
        try:
            sent = Sent()
            send(server, sent, 0)
            wait_for("files", lambda: all_in_files(server, len(sent.spans[::2])))
            send(server, sent, 1)
            expected = answers_of_sent(sent)
            answers = {"files and memory": answers_of_server(server, sent)}
            wait_for("files", lambda: all_in_files(server, len(sent.spans)))
            answers["our files"] = answers_of_server(server, sent)
            server.stop()
            files = server.files()
            for engine in [DuckDb(files), ClickHouse(files)]:
                answers[engine.name] = answers_of_files(engine, sent)
        finally:
            server.kill()
    for reader, answer in answers.items():
        for question, right in expected.items():
            if answer[question] == right:
                passed += 1
                print(f"ok   {reader}: {question}")
            else:
                failed += 1
                print(f"FAIL {reader}: {question}: {difference(right, answer[question])}")
    print(f"e2e: {passed} passed, {failed} failed, 0 skipped")
    return failed == 0


def send(server, sent, half):
    """One half of it; the other lies between. Waits for nothing but the acknowledgements."""
    for kind, items in sent.all().items():
        for request in telemetry.requests(items[half::2], kind, OF_REQUEST):
            server.send(kind, request)


def all_in_files(server, spans):
    """Spans are sent last, and what came before them is in files before them."""
    tables = {table["table"]: table for table in server.ask("/api/v1/storage")["tables"]}
    return tables["spans"]["rows"] == spans


def difference(right, found):
    keys = [key for key in right.keys() | found.keys() if right.get(key) != found.get(key)]
    shown = [f"{key}: {right.get(key)} was sent, {found.get(key)} found" for key in keys[:3]]
    return f"{len(keys)} differences, such as " + "; ".join(shown)


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1]) else 1)
