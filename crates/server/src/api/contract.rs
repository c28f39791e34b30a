//! What a handler takes and answers, read off its type, so that the document cannot say anything
//! else than the code does.
//!
//! Answers are described as serde writes them, bodies as serde reads them. A handler that answers
//! in a type which is not described does not compile.

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use super::auth::{Held, Principal};
use super::extract::{AlertmanagerMessage, Events, ExperimentFile, Figures, Json, Path, Query};
use super::{App, Error};

/// Where schemas of named types stand in the document.
const SCHEMAS: &str = "/components/schemas";

/// Collects the schemas of named types.
pub(super) struct Schemas {
    pub answers: SchemaGenerator,
    pub bodies: SchemaGenerator,
}

impl Default for Schemas {
    fn default() -> Schemas {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = SCHEMAS.into();
        });
        Schemas {
            answers: settings.clone().for_serialize().into_generator(),
            bodies: settings.for_deserialize().into_generator(),
        }
    }
}

/// What a handler takes and answers.
#[derive(Default)]
pub(super) struct Contract {
    /// Schema of the variable part of its path.
    pub path: Option<Schema>,
    /// Media types of the body, with their schema.
    pub body: Option<Value>,
    /// Media types of the answer, with their schema.
    pub answer: Value,
}

/// One thing that a handler takes.
pub(super) trait Part {
    fn describe(_: &mut Contract, _: &mut Schemas) {}
}

impl Part for State<App> {}

impl Part for HeaderMap {}

impl Part for Extension<Principal> {}

impl Part for Extension<Held> {}

/// Its names stand in the table of routes.
impl<T> Part for Query<T> {}

impl<T: JsonSchema> Part for Path<T> {
    fn describe(contract: &mut Contract, schemas: &mut Schemas) {
        contract.path = Some(schemas.bodies.subschema_for::<T>());
    }
}

impl<T: JsonSchema> Part for Json<T> {
    fn describe(contract: &mut Contract, schemas: &mut Schemas) {
        let schema = schemas.bodies.subschema_for::<T>();
        contract.body = Some(json!({ "application/json": { "schema": schema } }));
    }
}

impl Part for ExperimentFile {
    fn describe(contract: &mut Contract, schemas: &mut Schemas) {
        let schema = schemas.bodies.subschema_for::<model::experiment::Experiment>();
        contract.body = Some(json!({
            "application/yaml": { "schema": schema },
            "application/json": { "schema": schema },
        }));
    }
}

impl Part for AlertmanagerMessage {
    fn describe(contract: &mut Contract, schemas: &mut Schemas) {
        let schema = schemas.bodies.subschema_for::<receivers::alertmanager::Message>();
        contract.body = Some(json!({ "application/json": { "schema": schema } }));
    }
}

/// What a handler answers.
pub(super) trait Answer {
    fn media_types(schemas: &mut Schemas) -> Value;
}

impl<T: Answer> Answer for Result<T, Error> {
    fn media_types(schemas: &mut Schemas) -> Value {
        T::media_types(schemas)
    }
}

impl<T: JsonSchema> Answer for Json<T> {
    fn media_types(schemas: &mut Schemas) -> Value {
        json!({ "application/json": { "schema": schemas.answers.subschema_for::<T>() } })
    }
}

impl<T: JsonSchema> Answer for Events<T> {
    fn media_types(schemas: &mut Schemas) -> Value {
        json!({ "text/event-stream": { "schema": schemas.answers.subschema_for::<T>() } })
    }
}

fn text() -> Value {
    json!({ "text/plain": { "schema": { "type": "string" } } })
}

impl Answer for Figures {
    fn media_types(_: &mut Schemas) -> Value {
        text()
    }
}

impl Answer for &'static str {
    fn media_types(_: &mut Schemas) -> Value {
        text()
    }
}

impl Answer for (StatusCode, String) {
    fn media_types(_: &mut Schemas) -> Value {
        text()
    }
}

/// A handler whose contract can be read. `Taken` is what axum's `Handler` has there.
pub(super) trait Contracted<Taken> {
    fn contract(schemas: &mut Schemas) -> Contract;
}

impl<F, Out> Contracted<((),)> for F
where
    F: Fn() -> Out,
    Out: Future<Output: Answer>,
{
    fn contract(schemas: &mut Schemas) -> Contract {
        Contract { answer: Out::Output::media_types(schemas), ..Contract::default() }
    }
}

impl<F, Out, M, A> Contracted<(M, A)> for F
where
    F: Fn(A) -> Out,
    Out: Future<Output: Answer>,
    A: Part,
{
    fn contract(schemas: &mut Schemas) -> Contract {
        let mut contract = Contract::default();
        A::describe(&mut contract, schemas);
        contract.answer = Out::Output::media_types(schemas);
        contract
    }
}

impl<F, Out, M, A, B> Contracted<(M, A, B)> for F
where
    F: Fn(A, B) -> Out,
    Out: Future<Output: Answer>,
    A: Part,
    B: Part,
{
    fn contract(schemas: &mut Schemas) -> Contract {
        let mut contract = Contract::default();
        A::describe(&mut contract, schemas);
        B::describe(&mut contract, schemas);
        contract.answer = Out::Output::media_types(schemas);
        contract
    }
}

impl<F, Out, M, A, B, C> Contracted<(M, A, B, C)> for F
where
    F: Fn(A, B, C) -> Out,
    Out: Future<Output: Answer>,
    A: Part,
    B: Part,
    C: Part,
{
    fn contract(schemas: &mut Schemas) -> Contract {
        let mut contract = Contract::default();
        A::describe(&mut contract, schemas);
        B::describe(&mut contract, schemas);
        C::describe(&mut contract, schemas);
        contract.answer = Out::Output::media_types(schemas);
        contract
    }
}
