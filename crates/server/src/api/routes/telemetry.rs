//! Routes that ask the store of telemetry.

use super::super::route::{Area, Kind, Parameter, Route, get};
use super::super::{Role, logs, series, traces};

pub(super) const FROM: Parameter =
    Parameter::new("from", Kind::Moment, "absent: an hour before the end");
pub(super) const TO: Parameter = Parameter::new("to", Kind::Moment, "not in it; absent: open");
const LIMIT: Parameter = Parameter::new("limit", Kind::Integer, "as many at most");

const SERVICE: Parameter = Parameter::new("service", Kind::Text, "name of a service");
const OPERATION: Parameter =
    Parameter::new("operation", Kind::Text, "name of a span, or its route");
const STATUS: Parameter =
    Parameter::new("status", Kind::Word(&["unset", "ok", "error"]), "status of a span");
const KIND: Parameter = Parameter::new(
    "kind",
    Kind::Word(&["internal", "server", "client", "producer", "consumer"]),
    "kind of a span",
);
const MIN_DURATION: Parameter = Parameter::new("min_duration", Kind::Duration, "at least");
const MAX_DURATION: Parameter = Parameter::new("max_duration", Kind::Duration, "at most");
const ATTRIBUTE: Parameter = Parameter::new(
    "attribute",
    Kind::Text,
    "`k=v`, `k!=v`, `k=~regex`, `k!~regex`, `k>=5`, `k`, `!k`; `resource.k` for the resource's",
)
.often();
const SPAN_ORDER: Parameter =
    Parameter::new("order", Kind::Word(&["newest", "slowest"]), "which come first; absent: newest");

pub(in super::super) const TRACES: Area = Area {
    name: "traces",
    about: "Spans and traces, as they are stored.",
    routes: &[
        Route::new(Role::Read, "/api/v1/traces", "Traces with a matching span", || {
            get(traces::list)
        })
        .with(&[
            FROM,
            TO,
            SERVICE,
            OPERATION,
            STATUS,
            KIND,
            MIN_DURATION,
            MAX_DURATION,
            ATTRIBUTE,
            SPAN_ORDER,
            LIMIT,
        ]),
        Route::new(Role::Read, "/api/v1/traces/{id}", "One trace, and its tree", || {
            get(traces::one)
        }),
        Route::new(Role::Read, "/api/v1/spans", "Matching spans, in pages", || get(traces::spans))
            .with(&[
                FROM,
                TO,
                SERVICE,
                OPERATION,
                STATUS,
                KIND,
                MIN_DURATION,
                MAX_DURATION,
                ATTRIBUTE,
                SPAN_ORDER,
                LIMIT,
                Parameter::new("after", Kind::Text, "`next` of the page before"),
            ]),
        Route::new(
            Role::Read,
            "/api/v1/spans/stats",
            "How many spans, and how many failed",
            || get(traces::stats),
        )
        .with(&[
            FROM,
            TO,
            SERVICE,
            OPERATION,
            STATUS,
            KIND,
            MIN_DURATION,
            MAX_DURATION,
            ATTRIBUTE,
            Parameter::new("step", Kind::Duration, "of a window; absent: a sixtieth"),
        ]),
    ],
};

const LOG_QUERY: Parameter =
    Parameter::new("query", Kind::Text, "in the language of logs; absent: all records");

pub(in super::super) const LOGS: Area = Area {
    name: "logs",
    about: "Log records, as they are stored.",
    routes: &[
        Route::new(Role::Read, "/api/v1/logs", "Matching records, in pages", || get(logs::search))
            .with(&[
                LOG_QUERY,
                FROM,
                TO,
                Parameter::new(
                    "order",
                    Kind::Word(&["newest", "oldest"]),
                    "which come first; absent: newest",
                ),
                LIMIT,
                Parameter::new("after", Kind::Text, "`next` of the page before"),
            ]),
        Route::new(
            Role::Read,
            "/api/v1/logs/histogram",
            "How many records match, by time and severity",
            || get(logs::counts),
        )
        .with(&[
            LOG_QUERY,
            FROM,
            TO,
            Parameter::new("buckets", Kind::Integer, "absent: 60"),
        ]),
        Route::new(
            Role::Read,
            "/api/v1/logs/tail",
            "Matching records as they come: server-sent events of type `records`",
            || get(logs::follow),
        )
        .with(&[LOG_QUERY]),
    ],
};

const MATCH: Parameter =
    Parameter::new("match", Kind::Text, "`metric{label=\"value\",other=~\"re.*\"}`");

pub(in super::super) const SERIES: Area = Area {
    name: "series",
    about: "Series that the engine makes, and OpenTelemetry's metrics.",
    routes: &[
        Route::new(Role::Read, "/api/v1/series", "Series over time", || get(series::query)).with(
            &[
                FROM,
                TO,
                MATCH.must(),
                Parameter::new("step", Kind::Duration, "of a window; absent: raw points"),
                Parameter::new(
                    "function",
                    Kind::Text,
                    "`last`, `avg`, `min`, `max`, `sum`, `count`, `rate`, `increase`, \
                     `quantile(0.95)`",
                )
                .often(),
                LIMIT,
            ],
        ),
        Route::new(Role::Read, "/api/v1/series/metrics", "Metrics that there are", || {
            get(series::metrics)
        })
        .with(&[FROM, TO, MATCH]),
        Route::new(Role::Read, "/api/v1/series/labels", "Names of labels", || get(series::labels))
            .with(&[FROM, TO, MATCH]),
        Route::new(Role::Read, "/api/v1/series/labels/{name}", "Values of a label", || {
            get(series::label_values)
        })
        .with(&[FROM, TO, MATCH]),
    ],
};
