//! The office: a person at the console, signed in by password, over plain HTTP as a browser or curl would.

use anyhow::{Context as _, Result, ensure};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

/// A person who is signed in.
#[derive(Debug)]
pub struct Office {
    client: Client,
    url: String,
    token: String,
    /// Who it is, as they are called.
    pub who: String,
}

impl Office {
    /// Signs a person in.
    pub async fn sign_in(
        client: &Client,
        url: &str,
        tenant: &str,
        login: &str,
        password: &str,
    ) -> Result<Self> {
        let body = json!({ "tenant": tenant, "user": login, "password": password });
        let answer = client.post(format!("{url}/v1/sessions")).json(&body).send().await?;
        let status = answer.status();
        let session: Value = answer.json().await?;
        ensure!(status == StatusCode::CREATED, "{login} cannot sign in: {status} {session}");
        let text = |value: &Value| {
            value.as_str().map(str::to_owned).context("a session has a token and a name")
        };
        Ok(Self {
            client: client.clone(),
            url: url.to_owned(),
            token: text(&session["token"])?,
            who: text(&session["who"]["name"])?,
        })
    }

    /// Asks, and takes only a success for an answer.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let (status, body) = self.call(Method::GET, path, None).await?;
        ensure!(status.is_success(), "GET {path} answered {status} {body}");
        Ok(body)
    }

    /// Tells, and takes only a success for an answer.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let (status, answer) = self.try_post(path, body).await?;
        ensure!(status.is_success(), "POST {path} answered {status} {answer}");
        Ok(answer)
    }

    /// Tells; the answer may be a refusal.
    pub async fn try_post(&self, path: &str, body: &Value) -> Result<(StatusCode, Value)> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Asks; the answer may be a refusal.
    pub async fn try_get(&self, path: &str) -> Result<(StatusCode, Value)> {
        self.call(Method::GET, path, None).await
    }

    /// Asks for bytes; the answer may be a refusal.
    pub async fn bytes(&self, path: &str) -> Result<(StatusCode, Vec<u8>)> {
        let request = self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        let answer = request.send().await?;
        Ok((answer.status(), answer.bytes().await?.to_vec()))
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value)> {
        let mut request =
            self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        let value = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        Ok((status, value))
    }
}
