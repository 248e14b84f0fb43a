//! Writing a change as the text that is frozen.

use super::{Change, Frozen, Home, Op};
use serde_json::{Map, Value, json};

impl Change {
    /// Writes the change as the text that is frozen now: its bytes travel and are stored from here on.
    pub fn freeze(&self) -> Frozen {
        let mut object = Map::new();
        object.insert("id".into(), json!(self.id));
        object.insert("rec".into(), json!(self.rec));
        object.insert("type".into(), json!(self.kind));
        object.insert("sv".into(), json!(self.sv));
        object.insert("at".into(), json!(self.at.to_string()));
        if let Some(mono) = self.mono {
            object.insert("mono".into(), json!(mono));
        }
        if let Some(boot) = &self.boot {
            object.insert("boot".into(), json!(boot));
        }
        object.insert("by".into(), json!(self.by));
        if !self.ss.is_empty() {
            object.insert("ss".into(), json!(self.ss));
        }
        object.insert("ops".into(), self.ops_json());
        Frozen::new(Value::Object(object).to_string())
    }

    /// The ops as the wire writes them.
    pub fn ops_json(&self) -> Value {
        self.ops.iter().map(op_json).collect()
    }
}

fn op_json(op: &Op) -> Value {
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| {
        out.insert(name.to_owned(), value);
    };
    match op {
        Op::New { home: Home::In(bucket) } => {
            put("o", json!("new"));
            put("in", json!(bucket));
        }
        Op::New { home: Home::About(subject) } => {
            put("o", json!("new"));
            put("about", json!(subject));
        }
        Op::Set { path, value, x, px } => {
            put("o", json!("set"));
            put("f", json!(path.to_string()));
            put("v", value.clone());
            put("x", json!(x));
            if !px.is_empty() {
                put("px", json!(px));
            }
        }
        Op::Add { at, pos, value, x, px } => {
            put("o", json!("add"));
            put("f", json!(at.field));
            put("e", json!(at.row));
            if let Some(pos) = pos {
                put("pos", json!(pos));
            }
            if let Some(value) = value {
                put("v", value.clone());
            }
            if !x.is_empty() {
                put("x", json!(x));
            }
            if !px.is_empty() {
                put("px", json!(px));
            }
        }
        Op::Rem { at, x, why } => {
            put("o", json!("rem"));
            put("f", json!(at.field));
            put("e", json!(at.row));
            put("x", json!(x));
            if let Some(why) = why {
                put("why", json!(why));
            }
        }
        Op::Pos { at, pos, x, px } => {
            put("o", json!("pos"));
            put("f", json!(at.field));
            put("e", json!(at.row));
            put("pos", json!(pos));
            put("x", json!(x));
            put("px", json!(px));
        }
        Op::Del { seen, why } => {
            put("o", json!("del"));
            put("seen", json!(seen));
            if let Some(why) = why {
                put("why", json!(why));
            }
        }
        Op::Undel { x } => {
            put("o", json!("undel"));
            put("x", json!(x));
        }
        Op::Place { buckets, x } => {
            put("o", json!("place"));
            put("in", json!(buckets));
            put("x", json!(x));
        }
        Op::Seal { rv, covers, view_hash, x } => {
            put("o", json!("seal"));
            put("rv", json!(rv));
            put("covers", json!(covers));
            put("view_hash", json!(view_hash));
            put("x", json!(x));
        }
        Op::Unseal { x, why } => {
            put("o", json!("unseal"));
            put("x", json!(x));
            put("why", json!(why));
        }
        Op::Accept { change, x } => {
            put("o", json!("accept"));
            put("change", json!(change));
            put("x", json!(x));
        }
        Op::Aside { change, x, why } => {
            put("o", json!("aside"));
            put("change", json!(change));
            put("x", json!(x));
            put("why", json!(why));
        }
    }
    Value::Object(out)
}
