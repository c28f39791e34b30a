//! Drills: plan, start, watch, stop; what they proved.

use axum::extract::{Extension, State};
use chaos::{Matrix, Suggestion};
use schemars::JsonSchema;
use serde::Serialize;

use super::auth::Principal;
use super::extract::{ExperimentFile, Json, Path, Query};
use super::incidents::Done;
use super::parameters::Parameters;
use super::{App, Error, off_the_loop};
use crate::clock;
use crate::drills::{LIST_MAX, Overview, Plan, ProofError, Record, StartError};

pub(super) async fn list(
    State(app): State<App>,
    pairs: Query<Vec<(String, String)>>,
) -> Result<Json<Vec<Record>>, Error> {
    let mut given = Parameters::from(pairs);
    let limit = given.parsed("limit")?.unwrap_or(LIST_MAX);
    given.finish()?;
    if !(1..=LIST_MAX).contains(&limit) {
        return Err(Error::Invalid(format!("`limit`: write 1 to {LIST_MAX}")));
    }
    let drills = app.drills.clone();
    Ok(Json(off_the_loop(move || drills.list(limit)).await?))
}

pub(super) async fn one(
    State(app): State<App>,
    Path(id): Path<u64>,
) -> Result<Json<Record>, Error> {
    let drills = app.drills.clone();
    let record = off_the_loop(move || drills.get(id)).await?;
    record.map(Json).ok_or_else(|| Error::NotFound(format!("there is no drill {id}")))
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DrillStarted")]
pub(super) struct Started {
    /// Its number.
    drill: u64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DrillsStopped")]
pub(super) struct AllStopped {
    /// The one that was running.
    drill: Option<u64>,
    result: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ScheduleResumed")]
pub(super) struct Resumed {
    was_stopped: bool,
}

pub(super) async fn start(
    State(app): State<App>,
    Extension(Principal(by)): Extension<Principal>,
    ExperimentFile(experiment): ExperimentFile,
) -> Result<Json<Started>, Error> {
    match app.drills.start(experiment, &by).await {
        Ok(drill) => Ok(Json(Started { drill })),
        Err(StartError::Refused(why)) => Err(Error::Conflict(why)),
        Err(StartError::Driver(error)) => Err(error.into()),
        Err(StartError::Journal(error)) => Err(error.into()),
    }
}

/// Nothing is done.
pub(super) async fn plan(
    State(app): State<App>,
    ExperimentFile(experiment): ExperimentFile,
) -> Result<Json<Plan>, Error> {
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
pub(super) async fn resume(State(app): State<App>) -> Result<Json<Resumed>, Error> {
    let drills = app.drills.clone();
    let was_stopped = off_the_loop(move || drills.resume_schedule()).await?;
    Ok(Json(Resumed { was_stopped }))
}

/// Ends whatever is going on.
pub(super) async fn stop_all(
    State(app): State<App>,
    Extension(Principal(by)): Extension<Principal>,
) -> Result<Json<AllStopped>, Error> {
    let drill = app.drills.stop_all(&by).map_err(Error::Conflict)?;
    let result = "every fault is undone, the schedule is stopped".to_owned();
    Ok(Json(AllStopped { drill, result }))
}

pub(super) async fn stop(
    State(app): State<App>,
    Extension(Principal(by)): Extension<Principal>,
    Path(id): Path<u64>,
) -> Result<Json<Done>, Error> {
    match app.drills.stop(id, &by) {
        true => Ok(Json(Done { result: "stopping; the fault is undone".to_owned() })),
        false => Err(Error::NotFound(format!("drill {id} is not running"))),
    }
}
