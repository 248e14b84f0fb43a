//! Forms: what is refused, what they say of a path, what they find wrong, and the forms of the product themselves.

mod answers;
mod fixtures;
mod policies;
mod predicates;
mod problems;
mod refusals;

use std::{fs, path::PathBuf};
use sync_protocol::form::Form;

type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Where the forms of the product lie.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/forms")
}

/// Reads a form of the product.
fn form(name: &str) -> TestResult<Form> {
    let text = fs::read_to_string(folder().join(format!("{name}.json")))?;
    Ok(Form::parse(&text).map_err(|refused| format!("{name}: {refused}"))?)
}
