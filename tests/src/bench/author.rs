//! Who writes the load: fire inspections as inspectors fill them, from a seed.

use super::scene::{KIND, Person, uuid_v7};
use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use sync_protocol::change::{Change, Home, Op, Path, RowPath};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{ChangeId, Dot, RecordId};

/// The results of a check.
const RESULTS: [&str; 4] = ["good", "bad", "na", "unchecked"];
/// What remarks are made of.
const WORDS: [&str; 32] = [
    "階段に",
    "段ボール箱が",
    "置かれて",
    "いた。",
    "避難口は",
    "施錠されて",
    "いない。",
    "消火器の",
    "使用期限が",
    "切れて",
    "いる。",
    "誘導灯の",
    "球切れを",
    "確認した。",
    "防火戸の",
    "閉鎖障害は",
    "なかった。",
    "厨房の",
    "ダクトに",
    "油脂の",
    "付着が",
    "多い。",
    "受信機の",
    "予備電源は",
    "正常で",
    "ある。",
    "管理者に",
    "改善を",
    "求めた。",
    "次回までに",
    "報告する",
    "とのこと。",
];

/// A record as its author knows it.
#[derive(Clone, Debug)]
pub struct Written {
    /// The record.
    pub rec: RecordId,
    /// The live dot of each field.
    pub dots: BTreeMap<String, Dot>,
}

/// Writes changes in the name of one person.
#[derive(Debug)]
pub struct Author {
    rng: Pcg64,
    person: Person,
    at: UnixMillis,
}

impl Author {
    /// An author whose changes follow from the seed; they are made from `at` on.
    pub fn new(person: Person, seed: u64, at: UnixMillis) -> Self {
        Self { rng: Pcg64::seed_from_u64(seed), person, at }
    }

    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        usize::try_from(self.rng.next_u64() % end).unwrap_or_default()
    }

    /// A remark of about this many bytes.
    pub fn remark(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 32);
        while text.len() < bytes {
            let word = self.below(WORDS.len());
            text.push_str(WORDS.get(word).copied().unwrap_or_default());
        }
        text
    }

    fn check(&mut self) -> Value {
        let result = self.below(RESULTS.len());
        json!(RESULTS.get(result))
    }

    /// A new inspection: who was there, three checks, a remark of about `remark_bytes`.
    pub fn create(&mut self, remark_bytes: usize) -> (Change, Written) {
        let mut values = vec![("attendant_name".to_owned(), json!(self.remark(12)))];
        for n in 1..=3 {
            values.push((format!("checks.F{n:02}.result"), self.check()));
        }
        values.push(("checks.F01.remark".to_owned(), json!(self.remark(remark_bytes))));
        self.create_with(values)
    }

    /// A new inspection of about `bytes`, spread over the remarks of its checks.
    pub fn create_large(&mut self, bytes: usize) -> (Change, Written) {
        const CHECKS: usize = 10;
        /// What a remark takes beside its text: the member's name, the brackets, the result.
        const AROUND: usize = 80;
        let each = (bytes / CHECKS).saturating_sub(AROUND);
        let mut values = Vec::new();
        for n in 1..=CHECKS {
            values.push((format!("checks.F{n:02}.result"), self.check()));
            values.push((format!("checks.F{n:02}.remark"), json!(self.remark(each))));
        }
        self.create_with(values)
    }

    fn create_with(&mut self, values: Vec<(String, Value)>) -> (Change, Written) {
        let mut written =
            Written { rec: RecordId(uuid_v7(&mut self.rng, self.at)), dots: BTreeMap::new() };
        let first = Op::New { home: Home::In(self.person.bucket.clone()) };
        let change = self.change(&mut written, Some(first), values);
        (change, written)
    }

    /// A new inspection whose photos are named by these payloads.
    pub fn photograph(&mut self, payloads: Vec<Value>) -> (Change, Written) {
        let (mut change, written) = self.create(0);
        let row = |n: usize| RowPath { field: "photos".to_owned(), row: format!("p{n}") };
        change.ops.extend(payloads.into_iter().enumerate().map(|(n, payload)| Op::Add {
            at: row(n),
            pos: None,
            value: Some(payload),
            x: Vec::new(),
            px: Vec::new(),
        }));
        (change, written)
    }

    /// An edit: another result of one check, and another name.
    pub fn edit(&mut self, written: &mut Written) -> Change {
        let values = vec![
            ("attendant_name".to_owned(), json!(self.remark(12))),
            ("checks.F02.result".to_owned(), self.check()),
        ];
        self.change(written, None, values)
    }

    /// An edit of one field.
    pub fn edit_one(&mut self, written: &mut Written) -> Change {
        let value = self.check();
        self.change(written, None, vec![("checks.F02.result".to_owned(), value)])
    }

    fn change(
        &mut self,
        written: &mut Written,
        first: Option<Op>,
        values: Vec<(String, Value)>,
    ) -> Change {
        self.at = self.at.plus(1);
        let id = ChangeId(uuid_v7(&mut self.rng, self.at));
        let mut ops: Vec<Op> = first.into_iter().collect();
        for (field, value) in values {
            let index = u16::try_from(ops.len()).unwrap_or(u16::MAX);
            let seen = written.dots.insert(field.clone(), Dot::put(id, index));
            let x = seen.into_iter().collect();
            ops.push(Op::Set { path: Path::Field(field), value, x, px: Vec::new() });
        }
        Change {
            id,
            rec: written.rec,
            kind: KIND.parse().expect("a kind of record"),
            sv: 1,
            at: self.at,
            mono: Some(self.at.0 % 1_000_000_000),
            boot: Some("boot".to_owned()),
            by: self.person.user,
            ss: Vec::new(),
            ops,
        }
    }
}
