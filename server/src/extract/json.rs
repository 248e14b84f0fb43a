//! Typed bodies, query parameters and path segments, each refusal named.

use super::body::Text;
use super::misread::{misread, not_json};
use super::strict;
use crate::problem::ApiError;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// A JSON body of type `T`: one value, depth bounded, no member twice.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let Text(text) = Text::from_request(request, state).await?;
        read(&text).map(Self)
    }
}

/// Reads a strict JSON text as a `T`.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, ApiError> {
    strict::check(text).map_err(|error| {
        // A member that is named twice has a name when the form knows it.
        let told = error.to_string().contains("named twice").then(|| misread::<T>(text));
        ApiError::bad_body(told.flatten().unwrap_or_else(|| not_json(&error)))
    })?;
    serde_json::from_str(text)
        .map_err(|error| ApiError::bad_body(misread::<T>(text).unwrap_or_else(|| not_json(&error))))
}

/// Query parameters of type `T`.
#[derive(Debug)]
pub struct Parameters<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(query)| Self(query))
            .map_err(|_| ApiError::bad_parameter("query", "a parameter is not of its form"))
    }
}

/// The parameters of the path as a `T`; one that is not of its form names nothing, so it is not found.
#[derive(Debug)]
pub struct Segment<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segment<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(path)| Self(path)).map_err(|_| ApiError::NotFound { kind: "address" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Form {
        #[serde(rename = "name")]
        _name: String,
    }

    #[test]
    fn a_refusal_names_the_fault_and_never_quotes_the_body() {
        let cases = [
            (r#"{"name":"a","more":"secret"}"#, "`more` is not known"),
            ("{}", "`name` is missing"),
            (r#"{"name":7}"#, "`name` is not of its form"),
            (r#"{"name":"a","name":"b"}"#, "`name` is named twice"),
            ("secret", "not JSON"),
        ];
        for (text, expected) in cases {
            let error = read::<Form>(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("secret"), "{text}: {error}");
        }
        let doubled = r#"{"secret":1,"secret":2}"#;
        let error = read::<serde_json::Value>(doubled).expect_err(doubled).to_string();
        assert!(error.contains("a member is named twice, at line 1"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
