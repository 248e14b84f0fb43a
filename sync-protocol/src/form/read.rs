//! Reads a form strictly and checks it against itself.

use super::{Form, FormError, Why};
use crate::value;

pub(super) fn form(json: &str) -> Result<Form, FormError> {
    let _body = value::parse_strict(json)
        .map_err(|_| FormError { at: "form".into(), why: Why::NotJson })?;
    Err(FormError { at: "form".into(), why: Why::NotA("form") })
}
