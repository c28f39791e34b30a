//! The table of routes: what there is, who may ask it, what it is for. axum's router
//! ([`router`](super::router)) and the OpenAPI document ([`document`](super::document)) are made
//! from it.
//!
//! A new route is one entry here, and a line in `docs/api.md`.

mod telemetry;

use telemetry::{FROM, TO};

use super::route::{Area, Kind, Parameter, Route, get, post};
use super::{
    Role, alerts, audit, changes, document, drills, healing, incidents, metrics, pauses, plans,
    services, settings, status, stream,
};

pub(super) const AREAS: &[Area] = &[
    INCIDENTS,
    HEALING,
    SYSTEM,
    telemetry::TRACES,
    telemetry::LOGS,
    telemetry::SERIES,
    DRILLS,
    IMMUNE,
];

const INCIDENTS: Area = Area {
    name: "incidents",
    about: "Who is hurt, and why.",
    routes: &[
        Route::new(Role::Read, "/api/v1/incidents", "Incidents, newest first", || {
            get(incidents::list)
        })
        .with(&[Parameter::new(
            "state",
            Kind::Word(&["open", "mitigated", "resolved"]),
            "absent: all that the loop holds",
        )]),
        Route::new(Role::Read, "/api/v1/incidents/{id}", "One incident", || get(incidents::one)),
        Route::new(
            Role::Read,
            "/api/v1/incidents/{id}/events",
            "Its journal lines, oldest first, at most 1,000 and about 8 MiB",
            || get(incidents::events),
        ),
        Route::new(Role::Approve, "/api/v1/incidents/{id}/acknowledge", "Acknowledges it", || {
            post(incidents::acknowledge)
        }),
        Route::new(
            Role::Approve,
            "/api/v1/incidents/{id}/close",
            "Ends an incident whose recovery cannot be proven",
            || post(incidents::close),
        ),
        Route::new(
            Role::Read,
            "/api/v1/alerts",
            "Alerts that other systems told of, and what they mean here",
            || get(alerts::list),
        ),
        Route::new(
            Role::Ingest,
            "/api/v1/alerts/alertmanager",
            "Takes alerts by Alertmanager's webhook, version 4",
            || post(alerts::alertmanager),
        ),
        Route::new(
            Role::Read,
            "/api/v1/events",
            "The journal, oldest first, at most 1,000 lines and about 8 MiB",
            || get(incidents::all_events),
        )
        .with(&[AFTER]),
    ],
};

const AFTER: Parameter =
    Parameter::new("after", Kind::Integer, "the line after which to begin; absent: 0");

const WINDOW: Parameter =
    Parameter::new("window", Kind::Duration, "what figures are taken over, 30s to 5m; absent: 5m");

const HEALING: Area = Area {
    name: "healing",
    about: "Plans, and the hand on the brake.",
    routes: &[
        Route::new(
            Role::Read,
            "/api/v1/healing",
            "How it is configured: policies, targets, guardrails",
            || get(healing::healing),
        ),
        Route::new(
            Role::Read,
            "/api/v1/audit",
            "What was decided and why: verdicts, refusals, orders, outcomes, commands",
            || get(audit::list),
        )
        .with(&[
            Parameter::new("before", Kind::Integer, "lines before this one, newest first"),
            Parameter::new("after", Kind::Integer, "lines after this one, oldest first"),
            Parameter::new("limit", Kind::Integer, "as many at most, up to 1,000; absent: 100"),
            Parameter::new("plan", Kind::Integer, "only what is about this plan"),
            Parameter::new("refused", Kind::Word(&["true", "false"]), "only refusals"),
        ]),
        Route::new(Role::Read, "/api/v1/plans", "Plans, newest first", || get(plans::list)),
        Route::new(Role::Read, "/api/v1/plans/{id}", "One plan", || get(plans::one)),
        Route::new(Role::Approve, "/api/v1/plans/{id}/approve", "Lets a waiting plan act", || {
            post(plans::approve)
        }),
        Route::new(Role::Approve, "/api/v1/plans/{id}/deny", "Ends a waiting plan", || {
            post(plans::deny)
        }),
        Route::new(Role::Read, "/api/v1/autonomy", "What each remedy has proven so far", || {
            get(plans::autonomy)
        }),
        Route::new(Role::Approve, "/api/v1/freeze", "Stops all healing at once", || {
            post(plans::freeze)
        }),
        Route::new(Role::Admin, "/api/v1/thaw", "Allows healing again", || post(plans::thaw)),
        Route::new(Role::Read, "/api/v1/pauses", "Pauses in force, oldest first", || {
            get(pauses::list)
        }),
        Route::new(
            Role::Approve,
            "/api/v1/pauses",
            "Keeps healing off a target, a service or everything for a while",
            || post(pauses::pause),
        ),
        Route::new(Role::Admin, "/api/v1/pauses/{name}/resume", "Ends a pause", || {
            post(pauses::resume)
        }),
    ],
};

const SYSTEM: Area = Area {
    name: "system",
    about: "What is watched, and how users fare.",
    routes: &[
        Route::new(Role::Read, "/api/v1/objectives", "How each objective fares", || {
            get(status::objectives)
        }),
        Route::new(
            Role::Admin,
            "/api/v1/objectives/{name}/relearn",
            "Learns a latency limit anew: of a service, or `default-latency` for all",
            || post(status::relearn),
        ),
        Route::new(
            Role::Read,
            "/api/v1/services",
            "How services, databases, queues and peers fare",
            || get(services::list),
        )
        .with(&[WINDOW]),
        Route::new(
            Role::Read,
            "/api/v1/services/{name}",
            "One of them: operations, instances, versions, calls",
            || get(services::one),
        )
        .with(&[
            Parameter::new("environment", Kind::Text, "where the name is in several"),
            Parameter::new(
                "kind",
                Kind::Word(&[
                    "service",
                    "instance",
                    "operation",
                    "database",
                    "queue",
                    "peer",
                    "host",
                    "container",
                    "process",
                    "page",
                ]),
                "where it is the name of several; a service comes first",
            ),
            WINDOW,
        ]),
        Route::new(Role::Read, "/api/v1/topology", "Who calls whom, and how they fare", || {
            get(services::topology)
        })
        .with(&[WINDOW]),
        Route::new(Role::Read, "/api/v1/changes", "Changes told or inferred, newest first", || {
            get(changes::list)
        })
        .with(&[
            FROM,
            TO,
            Parameter::new("limit", Kind::Integer, "as many at most, up to 1,000; absent: 100"),
        ]),
        Route::new(Role::Admin, "/api/v1/changes", "Tells of a change that somebody made", || {
            post(changes::tell)
        }),
    ],
};

const DRILLS: Area = Area {
    name: "drills",
    about: "Faults on purpose, and what they proved.",
    routes: &[
        Route::new(Role::Read, "/api/v1/drills", "Drills, newest first", || get(drills::list))
            .with(&[Parameter::new("limit", Kind::Integer, "as many at most; absent: 200")]),
        Route::new(Role::Read, "/api/v1/drills/matrix", "Kinds of fault by targets", || {
            get(drills::matrix)
        }),
        Route::new(Role::Read, "/api/v1/drills/schedule", "Drills that run by themselves", || {
            get(drills::schedule)
        }),
        Route::new(
            Role::Read,
            "/api/v1/drills/suggestions",
            "What to drill next, most telling first",
            || get(drills::suggestions),
        ),
        Route::new(
            Role::Read,
            "/api/v1/drills/{id}",
            "One drill, with progress and scorecard",
            || get(drills::one),
        ),
        Route::new(Role::Admin, "/api/v1/drills", "Starts a drill", || post(drills::start)),
        Route::new(
            Role::Admin,
            "/api/v1/drills/plan",
            "What a drill would hit, and what speaks against it; nothing is done",
            || post(drills::plan),
        ),
        Route::new(
            Role::Admin,
            "/api/v1/drills/stop",
            "Ends the running drill, undoes every fault, stops the schedule",
            || post(drills::stop_all),
        ),
        Route::new(Role::Admin, "/api/v1/drills/resume", "Lets the schedule go on", || {
            post(drills::resume)
        }),
        Route::new(Role::Admin, "/api/v1/drills/{id}/stop", "Undoes the fault of a drill", || {
            post(drills::stop)
        }),
    ],
};

const IMMUNE: Area = Area {
    name: "immune",
    about: "Immune itself.",
    routes: &[
        Route::new(Role::Read, "/api/v1/status", "How things are", || get(status::status)),
        Route::new(
            Role::Read,
            "/api/v1/stream",
            "What happens, as it happens: server-sent events, resumed by `Last-Event-ID`",
            || get(stream::follow),
        ),
        Route::new(Role::Read, "/api/v1/storage", "What is stored, and what does not work", || {
            get(status::storage)
        }),
        Route::new(
            Role::Admin,
            "/api/v1/configuration",
            "What is configured, and where each value comes from",
            || get(settings::configuration),
        ),
        Route::new(Role::Read, "/api/v1/me", "Who asks, and what that one may do", || {
            get(settings::me)
        }),
        Route::new(Role::Admin, "/api/v1/tokens", "Names and roles of tokens", || {
            get(settings::tokens)
        }),
        Route::new(Role::Read, "/api/v1/openapi.json", "This document", || get(document::served)),
        Route::new(Role::Read, "/metrics", "Immune's own figures, Prometheus text", || {
            get(metrics::metrics)
        }),
        Route::open("/livez", "`ok` while the process runs", || get(status::alive)),
        Route::open("/readyz", "`ok`, or 503 with the reason", || get(status::ready)),
    ],
};
