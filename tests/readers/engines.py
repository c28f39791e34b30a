"""The two engines, and the questions in each one's SQL. An answer is a list of tuples."""

import json

import chdb
import duckdb


class DuckDb:
    name = "DuckDB"

    def __init__(self, files):
        self.connection = duckdb.connect()
        for table, paths in files.items():
            listed = ", ".join(f"'{path}'" for path in paths)
            self.connection.execute(
                f"CREATE VIEW {table} AS SELECT * FROM read_parquet([{listed}])"
            )

    def ask(self, sql):
        return [tuple(row) for row in self.connection.execute(sql).fetchall()]

    id = "lower(hex({}))".format
    trace_is = "trace_id = unhex('{}')".format
    word = "regexp_matches(lower(body), '(^|[^\\w]){0}($|[^\\w])')".format
    pairs = "CAST(to_json(attributes) AS VARCHAR)"
    # One row for each point of a series.
    points = (
        "(SELECT metric, service, attributes['queue'] AS queue,"
        " unnest(times) AS moment, unnest(\"values\") AS value FROM samples)"
    )


class ClickHouse:
    name = "chdb"

    def __init__(self, files):
        self.tables = {}
        for table, paths in files.items():
            listed = " UNION ALL ".join(
                f"SELECT * FROM file('{path}', Parquet)" for path in paths
            )
            self.tables[table] = f"({listed})"

    def ask(self, sql):
        for table, source in self.tables.items():
            sql = sql.replace(f"FROM {table}", f"FROM {source}")
        answer = chdb.query(sql, "JSONCompactEachRow").bytes().decode()
        return [tuple(json.loads(line)) for line in answer.splitlines()]

    id = "lower(hex({}))".format
    trace_is = "trace_id = unhex('{}')".format
    word = "match(lower(body), '(^|[^\\\\w]){0}($|[^\\\\w])')".format
    pairs = "toJSONString(attributes)"
    points = (
        "(SELECT metric, service, attributes['queue'] AS queue,"
        " point.1 AS moment, point.2 AS value FROM samples"
        " ARRAY JOIN arrayZip(times, values) AS point)"
    )
