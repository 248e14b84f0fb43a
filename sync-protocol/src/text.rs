//! The narrative view: what is shown while several versions of one text stand beside each other.
//!
//! Nothing here changes what is stored. The versions stay as they are until a person saves a text that names them all.

use std::collections::BTreeMap;

/// The most distinct versions that are shown as one text; with more, each is shown whole.
pub const MERGE_VERSIONS_MAX: usize = 3;

/// Cuts a text into sentences, each with what ends it; joined, they give the text again.
///
/// A sentence ends with `。`, `．`, `！`, `？`, `!`, `?` or a line feed.
pub fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(['。', '．', '！', '？', '!', '?', '\n'])
}

/// Shows the versions of a narrative as one text, or says with `None` that each must be shown whole with its author.
///
/// `siblings` are the live versions in dot order, `base` the text that all of them replaced. Each version is one hunk
/// against the base, by sentences: what lies between their common beginning and their common end. Hunks that neither
/// touch nor overlap are applied together. The result stands only if it holds every sentence of every version, as
/// often as the version does: a sentence that one author struck out and another kept is for a person to decide.
pub fn merge(base: Option<&str>, siblings: &[&str]) -> Option<String> {
    let mut versions: Vec<&str> = Vec::new();
    for sibling in siblings {
        if !versions.contains(sibling) {
            versions.push(sibling);
        }
        if versions.len() > MERGE_VERSIONS_MAX {
            return None;
        }
    }
    match versions.as_slice() {
        [] => return None,
        [only] => return Some((*only).to_owned()),
        _ => {}
    }
    let base: Vec<&str> = sentences(base?).collect();
    let versions: Vec<Vec<&str>> = versions.iter().map(|text| sentences(text).collect()).collect();
    let mut hunks: Vec<Hunk<'_>> = versions
        .iter()
        .map(|version| Hunk::between(&base, version))
        .filter(Hunk::changes)
        .collect();
    hunks.sort_by_key(|hunk| (hunk.from, hunk.to));

    let merged = apply(&base, &hunks)?;
    let kept = count(&merged);
    let complete = versions.iter().all(|version| {
        count(version)
            .iter()
            .all(|(sentence, times)| kept.get(sentence).is_some_and(|n| n >= times))
    });
    complete.then(|| merged.concat())
}

/// What one version puts in the place of the sentences `from..to` of the base.
struct Hunk<'a> {
    from: usize,
    to: usize,
    put: &'a [&'a str],
}

impl<'a> Hunk<'a> {
    fn between(base: &[&str], version: &'a [&'a str]) -> Self {
        let alike = |(a, b): &(&&str, &&str)| a == b;
        let from = base.iter().zip(version).take_while(alike).count();
        let rest = base.iter().skip(from).rev().zip(version.iter().skip(from).rev());
        let tail = rest.take_while(alike).count();
        let put = version.get(from..version.len() - tail).unwrap_or_default();
        Self { from, to: base.len() - tail, put }
    }

    fn changes(&self) -> bool {
        self.from < self.to || !self.put.is_empty()
    }
}

/// Applies hunks in the order of their places; `None` when two of them touch or overlap.
fn apply<'a>(base: &[&'a str], hunks: &[Hunk<'a>]) -> Option<Vec<&'a str>> {
    let mut merged = Vec::new();
    let mut at = 0;
    for (index, hunk) in hunks.iter().enumerate() {
        if index > 0 && hunk.from <= at {
            return None;
        }
        merged.extend_from_slice(base.get(at..hunk.from)?);
        merged.extend_from_slice(hunk.put);
        at = hunk.to;
    }
    merged.extend_from_slice(base.get(at..)?);
    Some(merged)
}

fn count<'a>(sentences: &[&'a str]) -> BTreeMap<&'a str, usize> {
    let mut times = BTreeMap::new();
    for sentence in sentences {
        *times.entry(*sentence).or_insert(0) += 1;
    }
    times
}
