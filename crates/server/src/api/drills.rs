//! Drills: plan, start, watch, stop; what they proved.

use axum::extract::{Extension, State};
use chaos::{Matrix, Suggestion};
use serde_json::{Value, json};

use super::auth::Principal;
use super::extract::{Json, Path, Text};
use super::{App, Error, off_the_loop};
use crate::clock;
use crate::drills::{Overview, Plan, ProofError, Record, StartError};

pub(super) async fn list(State(app): State<App>) -> Result<Json<Vec<Record>>, Error> {
    let drills = app.drills.clone();
    Ok(Json(off_the_loop(move || drills.list()).await?))
}

pub(super) async fn one(
    State(app): State<App>,
    Path(id): Path<u64>,
) -> Result<Json<Record>, Error> {
    let drills = app.drills.clone();
    let record = off_the_loop(move || drills.get(id)).await?;
    record.map(Json).ok_or_else(|| Error::NotFound(format!("there is no drill {id}")))
}

/// The body is an experiment file (YAML or JSON).
pub(super) async fn start(
    State(app): State<App>,
    Extension(Principal(by)): Extension<Principal>,
    Text(body): Text,
) -> Result<Json<Value>, Error> {
    let experiment = chaos::parse(&body).map_err(|error| Error::Invalid(error.to_string()))?;
    match app.drills.start(experiment, &by).await {
        Ok(id) => Ok(Json(json!({ "drill": id }))),
        Err(StartError::Refused(why)) => Err(Error::Conflict(why)),
        Err(StartError::Driver(error)) => Err(error.into()),
        Err(StartError::Journal(error)) => Err(error.into()),
    }
}

/// The body is an experiment file; nothing is done.
pub(super) async fn plan(State(app): State<App>, Text(body): Text) -> Result<Json<Plan>, Error> {
    let experiment = chaos::parse(&body).map_err(|error| Error::Invalid(error.to_string()))?;
    Ok(Json(app.drills.plan(&experiment).await?))
}

pub(super) async fn matrix(State(app): State<App>) -> Result<Json<Matrix>, Error> {
    let drills = app.drills.clone();
    Ok(Json(off_the_loop(move || drills.matrix()).await?))
}

pub(super) async fn suggestions(State(app): State<App>) -> Result<Json<Vec<Suggestion>>, Error> {
    match app.drills.suggestions().await {
        Ok(suggestions) => Ok(Json(suggestions)),
        Err(ProofError::Driver(error)) => Err(error.into()),
        Err(ProofError::Journal(error)) => Err(error.into()),
    }
}

pub(super) async fn schedule(State(app): State<App>) -> Result<Json<Overview>, Error> {
    let drills = app.drills.clone();
    Ok(Json(off_the_loop(move || drills.schedule(clock::now())).await?))
}

/// Lets the schedule go on.
pub(super) async fn resume(State(app): State<App>) -> Result<Json<Value>, Error> {
    let drills = app.drills.clone();
    let was_stopped = off_the_loop(move || drills.resume_schedule()).await?;
    Ok(Json(json!({ "was_stopped": was_stopped })))
}

/// Ends whatever is going on.
pub(super) async fn stop_all(
    State(app): State<App>,
    Extension(Principal(by)): Extension<Principal>,
) -> Result<Json<Value>, Error> {
    let stopped = app.drills.stop_all(&by).map_err(Error::Conflict)?;
    Ok(Json(
        json!({ "drill": stopped, "result": "every fault is undone, the schedule is stopped" }),
    ))
}

pub(super) async fn stop(
    State(app): State<App>,
    Extension(Principal(by)): Extension<Principal>,
    Path(id): Path<u64>,
) -> Result<Json<Value>, Error> {
    match app.drills.stop(id, &by) {
        true => Ok(Json(json!({ "result": "stopping; the fault is undone" }))),
        false => Err(Error::NotFound(format!("drill {id} is not running"))),
    }
}
