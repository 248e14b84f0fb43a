//! A device that sends what is no change: each is stored for a person under a name, and nobody else notices.

use super::house::{self, PEOPLE};
use super::world::World;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sync_protocol::clock::UnixMillis;

/// What must be said of a text of the rogue.
struct Sent {
    text: String,
    codes: &'static [&'static str],
}

impl World {
    /// The rogue sends a push of nonsense with a replica of its own.
    pub(super) async fn rogue(&mut self) -> Result<()> {
        let mut sent = Vec::new();
        for _ in 0..=self.dice.below(4) {
            sent.push(self.nonsense().await?);
        }
        let texts: Vec<&str> = sent.iter().map(|sent| sent.text.as_str()).collect();
        let now = UnixMillis(self.now).to_string();
        let (replica, attempt) = (self.dice.uuid(), self.dice.uuid());
        let body = format!(
            r#"{{"v":1,"replica":"{replica}","attempt":"{attempt}","lease":null,"clock":{{"now":"{now}","mono":1,"boot":"b"}},"epoch":null,"cursor":null,"have":[],"snap":[],"push":{{"from":1,"changes":[{}]}},"want":{{}}}}"#,
            texts.join(",")
        );
        let (status, answer) = self.serve(house::device(PEOPLE), &body).await?;
        self.note(format!("the rogue sends {} texts: {status}", sent.len()));
        ensure!(status == 200, "a parsed envelope was answered with {status}");
        let answer: Value = serde_json::from_slice(&answer)?;
        let results = answer.get("results").and_then(Value::as_array).context("results")?;
        ensure!(results.len() == sent.len(), "{} results for {}", results.len(), sent.len());
        for (result, sent) in results.iter().zip(&sent) {
            let code = result.get("code").and_then(Value::as_str).unwrap_or("none");
            ensure!(sent.codes.contains(&code), "{} was answered {code}", sent.text);
        }
        self.tally.quarantined += sent.len() as u64;
        Ok(())
    }

    async fn nonsense(&mut self) -> Result<Sent> {
        let records = self.eye.records().await?;
        let rec = match self.dice.pick(&records) {
            Some(stored) if self.dice.hits(600) => stored.rec.0,
            _ => self.dice.uuid(),
        };
        let (id, rogue) = (self.dice.uuid(), *self.house.people.last().context("a rogue")?);
        let at = UnixMillis(self.now).to_string();
        let change = |by: Value, ops: Value| json!({"id": id, "rec": rec, "type": "visit", "sv": 1, "at": at, "by": by, "ops": ops});
        let set = json!([{"o": "set", "f": "title", "v": "x", "x": []}]);
        let known = self.eye.has.keys().next().copied();
        let new = json!([{"o": "new", "in": "station:a"}]);
        let (value, codes): (Value, &'static [&'static str]) = match self.dice.below(12) {
            0 => (json!({"x": self.dice.below(1_000_000)}), &["bad_op"]),
            1 => (json!([self.dice.below(1_000_000)]), &["bad_op"]),
            2 => (change(json!(rogue), json!([{"o": "unheard"}])), &["bad_op"]),
            3 => (change(json!(rogue), json!([])), &["bad_op"]),
            4 => (change(json!(rogue), set), &["forbidden"]),
            5 => (change(json!(self.house.boss), set), &["forbidden"]),
            6 => (
                change(json!(rogue), json!([{"o": "place", "in": ["station:a"], "x": []}])),
                &["forbidden"],
            ),
            7 => (
                change(json!(rogue), json!([{"o": "unseal", "x": [], "why": "w"}])),
                &["forbidden"],
            ),
            8 => (change(json!(rogue), new), &["forbidden", "id_reuse"]),
            9 => {
                let mut again = change(json!(rogue), set);
                if let (Some(known), Some(members)) = (known, again.as_object_mut()) {
                    members.insert("id".to_owned(), json!(known));
                }
                (again, &["id_reuse", "forbidden"])
            }
            10 => {
                let many: Vec<Value> =
                    vec![json!({"o": "set", "f": "title", "v": 1, "x": []}); 501];
                (change(json!(rogue), json!(many)), &["too_big"])
            }
            _ => (change(json!(7), set), &["bad_op"]),
        };
        Ok(Sent { text: value.to_string(), codes })
    }
}
