//! What holds for every route: declared access, named refusals, headers, descriptions.

use crate::support::{TestResult, World};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use server::auth::admit::Access;
use server::bulkhead::{AUTH_AT_ONCE, Gate};
use server::problem;
use server::routes::{Route, all, document, router_of};
use std::collections::BTreeSet;

const DOCS: &str = include_str!("../../../docs/api.md");

/// A path with something in the place of its parameters.
fn filled(path: &str) -> String {
    let part = |part: &str| {
        if part.starts_with('{') { "01990000-0000-7000-8000-000000000000" } else { part }.to_owned()
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn a_route_lets_in_whom_it_declares_and_nobody_without_credentials() -> TestResult {
    let world = World::new().await?;
    for route in all() {
        let answer = world.call(route.method.clone(), &filled(route.path), None, None).await;
        let refused = answer.status == StatusCode::UNAUTHORIZED;
        let open = matches!(route.access, Access::Open(_));
        assert_eq!(refused, !open, "{} {}: {}", route.method, route.path, answer.text);
        assert!(answer.status != StatusCode::INTERNAL_SERVER_ERROR, "{}", route.path);
    }
    Ok(())
}

/// A handler that takes another caller than its route admits would answer 500.
#[tokio::test]
async fn a_route_takes_the_caller_that_it_admits() -> TestResult {
    let world = World::new().await?;
    let admin = world.admin().await?;
    let tablet = world.tablet("fire", "mori").await?;
    let token = world.token(&tablet).await;
    for route in all().into_iter().filter(|route| route.path != "/v1/live/poll") {
        for caller in [&admin, &token] {
            let path = filled(route.path);
            let answer = world.call(route.method.clone(), &path, Some(caller), None).await;
            assert_ne!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{path}: {}", answer.text);
            if route.path == "/v1/sessions/current" && route.method == Method::DELETE {
                break;
            }
        }
        if route.path == "/v1/sessions/current" && route.method == Method::DELETE {
            break;
        }
    }
    Ok(())
}

#[tokio::test]
async fn unknown_addresses_and_verbs_are_named() -> TestResult {
    let world = World::new().await?;
    for path in
        ["/", "/v1", "/v1/", "/v1/nothing", "/v1/enrol/", "/V1/enrol", "//v1/enrol", "/%2e%2e"]
    {
        let answer = world.call(Method::GET, path, None, None).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (404, "not-found"),
            "{path}"
        );
    }
    for route in all() {
        for verb in ["PATCH", "TRACE", "OPTIONS", "BREW"] {
            let method = Method::from_bytes(verb.as_bytes())?;
            if all().iter().any(|other| other.path == route.path && other.method == method) {
                continue;
            }
            let answer = world.call(method, &filled(route.path), None, None).await;
            assert_eq!(answer.problem(), "method-not-allowed", "{verb} {}", route.path);
            assert!(answer.headers.contains_key("allow"), "{}", route.path);
        }
    }
    let admin = world.admin().await?;
    for path in ["/v1/records/%ff/seal", "/v1/records/%ff/late/%fe/accept"] {
        let answer = world.call(Method::POST, path, Some(&admin), Some(json!({}))).await;
        assert_eq!(answer.problem(), "not-found", "{path}: {}", answer.text);
    }
    let disguised = Request::get("/v1/nonce").header("x-http-method-override", "POST");
    assert_eq!(world.send(disguised.body(Body::empty())?).await.status.as_u16(), 405);
    Ok(())
}

#[tokio::test]
async fn every_answer_has_the_headers() -> TestResult {
    let world = World::new().await?;
    for (method, path) in [
        (Method::GET, "/healthz"),
        (Method::GET, "/nothing"),
        (Method::PATCH, "/healthz"),
        (Method::POST, "/v1/enrol"),
        (Method::GET, "/v1/admin/users"),
    ] {
        let answer = world.call(method, path, None, None).await;
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("strict-transport-security", "max-age=63072000; includeSubDomains"),
        ] {
            let found = answer.headers.get(name).and_then(|value| value.to_str().ok());
            assert_eq!(found, Some(value), "{path}");
        }
        assert!(answer.headers.contains_key("x-request-id"), "{path}");
        assert!(!answer.headers.contains_key("server"), "{path}");
        if answer.status.is_client_error() {
            let kind = answer.headers.get("content-type").and_then(|value| value.to_str().ok());
            assert_eq!(kind, Some("application/problem+json"), "{path}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_panic_ends_one_call_and_says_nothing_of_its_cause() -> TestResult {
    async fn fails() -> &'static str {
        panic!("the secret cause")
    }
    let world = World::new().await?;
    let route = Route::get("/fails", Access::Open("a test"), "Fails.", fails);
    let app = router_of(&world.state, vec![route]);
    let mut world = world;
    world.app = app;
    let answer = world.call(Method::GET, "/fails", None, None).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (500, "internal"));
    assert!(!answer.text.contains("secret"), "{}", answer.text);
    assert!(answer.headers.contains_key("x-request-id"));
    Ok(())
}

#[tokio::test]
async fn a_full_gate_answers_503_and_other_work_goes_on() -> TestResult {
    let world = World::new().await?;
    let mut held = Vec::new();
    for _ in 0..AUTH_AT_ONCE {
        held.push(world.state.bulkheads.enter(Gate::Auth, |_| 0).await?);
    }
    let answer = world.call(Method::POST, "/v1/nonce", None, None).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (503, "overloaded"));
    let wait = answer.headers.get("retry-after").ok_or("retry-after")?.to_str()?.parse::<u64>()?;
    assert!((1..=4).contains(&wait), "{wait}");
    assert!(answer.json().get("retry_after_ms").is_some_and(Value::is_u64));
    assert_eq!(world.call(Method::GET, "/readyz", None, None).await.status, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn a_server_that_retreats_is_not_ready_but_lives() -> TestResult {
    let world = World::new().await?;
    assert_eq!(world.call(Method::GET, "/readyz", None, None).await.status, StatusCode::OK);
    world.state.retreat();
    assert_eq!(world.call(Method::GET, "/readyz", None, None).await.problem(), "not-ready");
    assert_eq!(world.call(Method::GET, "/healthz", None, None).await.status, StatusCode::OK);
    Ok(())
}

fn registered() -> BTreeSet<String> {
    all().iter().map(|route| format!("{} {}", route.method, route.path)).collect()
}

#[test]
fn no_route_is_registered_twice() {
    assert_eq!(registered().len(), all().len());
}

#[test]
fn the_description_has_every_route_and_no_other() {
    let document = document();
    let paths = document.get("paths").and_then(Value::as_object).expect("paths");
    let described: BTreeSet<String> = paths
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().expect("methods");
            methods.keys().map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    assert_eq!(described, registered());
}

#[test]
fn every_reference_of_the_description_leads_somewhere() {
    fn walk(value: &Value, root: &Value) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(target)) = members.get("$ref") {
                    let pointer = target.trim_start_matches('#');
                    assert!(root.pointer(pointer).is_some(), "{target}");
                }
                members.values().for_each(|value| walk(value, root));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(value, root)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document();
    walk(&document, &document);
    let mut ids = BTreeSet::new();
    for operation in document["paths"].as_object().expect("paths").values() {
        for method in operation.as_object().expect("methods").values() {
            assert!(ids.insert(method["operationId"].to_string()), "{method}");
        }
    }
}

#[test]
fn one_name_means_one_schema() {
    let mut seen = std::collections::BTreeMap::new();
    for route in all() {
        let described =
            route.request.iter().chain(route.answers.iter().filter_map(|(_, d)| d.as_ref()));
        for (name, schema) in described.flat_map(|described| &described.schemas) {
            let schema = serde_json::to_string(schema).expect("a schema");
            let first = seen.entry(name.clone()).or_insert_with(|| schema.clone());
            assert_eq!(*first, schema, "{name} of {}", route.path);
        }
    }
}

#[test]
fn the_api_page_has_every_route_and_no_other() {
    let verbs = ["GET ", "POST ", "PUT ", "DELETE ", "PATCH ", "HEAD ", "OPTIONS "];
    let headings = DOCS.lines().filter_map(|line| line.strip_prefix("### "));
    let routes = headings.map(|line| line.trim_matches('`'));
    let told: BTreeSet<String> = routes
        .filter(|line| verbs.iter().any(|verb| line.starts_with(verb)))
        .map(ToOwned::to_owned)
        .collect();
    assert_eq!(told, registered());
}

#[test]
fn the_api_page_has_every_problem_and_no_other() {
    let rows = DOCS.lines().filter(|line| line.starts_with("| `"));
    let told: BTreeSet<(String, u16, String)> = rows
        .filter_map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
            let name = cells.next()?.trim_matches('`').to_owned();
            let status = cells.next()?.parse().ok()?;
            Some((name, status, cells.next()?))
        })
        .collect();
    let known: BTreeSet<(String, u16, String)> = problem::ALL
        .iter()
        .map(|(name, status, text)| ((*name).to_owned(), *status, (*text).to_owned()))
        .collect();
    assert_eq!(told, known);
}
