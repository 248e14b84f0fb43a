//! The description of the API, made from the routes themselves.

use super::{Described, Route};
use crate::auth::admit::Access;
use crate::bulkhead::Gate;
use crate::problem;
use axum::Json;
use axum::http::Method;
use serde_json::{Map, Value, json};

pub(super) fn routes() -> Vec<Route> {
    const WHY: Access = Access::Open("the description of the API is public");
    vec![Route::get("/openapi.json", WHY, "Describes the API.", show).gate(Gate::Free).empty(200)]
}

async fn show() -> Json<Value> {
    Json(document())
}

/// The OpenAPI 3.1 document of all routes.
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    let mut schemas: Map<String, Value> = Map::new();
    for route in super::all() {
        let described =
            route.request.iter().chain(route.answers.iter().filter_map(|(_, d)| d.as_ref()));
        for (name, schema) in described.flat_map(|described| &described.schemas) {
            let schema = serde_json::to_value(schema).unwrap_or_default();
            schemas.insert(name.clone(), schema);
        }
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Value::Object(methods) = path {
            methods.insert(method(&route.method).to_owned(), operation(&route));
        }
    }
    schemas.insert("Problem".to_owned(), problem_schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Genba",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": { "schemas": schemas, "securitySchemes": {
            "tablet": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
            "console": { "type": "http", "scheme": "bearer" },
            "cookie": { "type": "apiKey", "in": "cookie", "name": crate::auth::session::COOKIE },
        }},
    })
}

fn method(method: &Method) -> &'static str {
    match *method {
        Method::POST => "post",
        Method::PUT => "put",
        Method::DELETE => "delete",
        Method::PATCH => "patch",
        Method::HEAD => "head",
        Method::OPTIONS => "options",
        _ => "get",
    }
}

fn operation(route: &Route) -> Value {
    let mut answers: Map<String, Value> = Map::new();
    for (status, described) in &route.answers {
        answers.insert(status.to_string(), answer(described.as_ref()));
    }
    answers.insert(
        "default".to_owned(),
        json!({
            "description": "A problem",
            "content": { "application/problem+json": { "schema": reference("Problem") } },
        }),
    );
    let mut operation = json!({
        "summary": route.summary,
        "description": format!("For {}.", route.access.words()),
        "operationId": operation_id(route),
        "security": security(route.access),
        "responses": answers,
    });
    let parameters: Vec<Value> = path_parameters(route.path).chain(query(route)).collect();
    if let Value::Object(members) = &mut operation {
        if !parameters.is_empty() {
            members.insert("parameters".to_owned(), parameters.into());
        }
        if let Some(request) = &route.request {
            let body = json!({ "required": true, "content": {
                "application/json": { "schema": reference(&request.name) } } });
            members.insert("requestBody".to_owned(), body);
        }
    }
    operation
}

fn answer(described: Option<&Described>) -> Value {
    described.map_or_else(
        || json!({ "description": "Done" }),
        |described| {
            json!({ "description": "Done", "content": {
                "application/json": { "schema": reference(&described.name) } } })
        },
    )
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn operation_id(route: &Route) -> String {
    let words: String =
        route.path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("{}{}", method(&route.method), words.replace("__", "_"))
}

fn path_parameters(path: &'static str) -> impl Iterator<Item = Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| {
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    })
}

fn query(route: &Route) -> impl Iterator<Item = Value> {
    route.query.iter().map(|(name, words)| {
        json!({ "name": name, "in": "query", "required": false, "description": words,
            "schema": { "type": "string" } })
    })
}

fn security(access: Access) -> Value {
    match access {
        Access::Open(_) => json!([]),
        Access::Deposit | Access::Tablet => json!([{ "tablet": [] }]),
        Access::Console | Access::Admin => json!([{ "console": [] }, { "cookie": [] }]),
        Access::Person => json!([{ "tablet": [] }, { "console": [] }, { "cookie": [] }]),
    }
}

fn problem_schema() -> Value {
    let types: Vec<String> =
        problem::ALL.iter().map(|(name, ..)| format!("{}{name}", problem::TYPE_PREFIX)).collect();
    json!({
        "type": "object",
        "required": ["type", "title", "status"],
        "properties": {
            "type": { "type": "string", "enum": types },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "reason": { "type": "string" },
            "retry_after_ms": { "type": "integer" },
        },
    })
}
