//! The fake server's side of tus 1.0.0: what was uploaded, and what goes wrong on the way.

use crate::fake::Seen;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use sync_protocol::blob::BlobHash;
use sync_protocol::value::hash_of;

/// What the fake answers to a call of tus.
#[derive(Debug, Default)]
pub(crate) struct TusAnswer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: String,
    /// Whether the connection breaks instead of an answer.
    pub(crate) lost: bool,
}

/// What goes wrong with a call.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The call is done and its answer is lost.
    Lost,
    /// It is refused with this status and these seconds to wait.
    Refused(u16, Option<u32>),
    /// The upload is gone.
    Expired,
    /// The address of the upload is this one.
    Elsewhere(String),
}

#[derive(Debug)]
struct Upload {
    sha256: String,
    length: usize,
    bytes: Vec<u8>,
}

/// The uploads of the fake server.
#[derive(Debug, Default)]
pub(crate) struct Media {
    uploads: BTreeMap<String, Upload>,
    /// What was uploaded whole, by hash.
    pub(crate) whole: BTreeMap<String, Vec<u8>>,
    /// What goes wrong with the next calls of a method.
    faults: BTreeMap<&'static str, VecDeque<Fault>>,
    /// Whether the server forgets what was uploaded.
    pub(crate) forgets: bool,
    created: usize,
}

impl Media {
    pub(crate) fn fault(&mut self, method: &'static str, faults: impl IntoIterator<Item = Fault>) {
        self.faults.entry(method).or_default().extend(faults);
    }

    pub(crate) fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Of the blobs that a request asks about, what is needed and what is there.
    pub(crate) fn blobs(&self, request: &Value) -> Value {
        let asked: Vec<BlobHash> =
            serde_json::from_value(request["blobs"].clone()).unwrap_or_default();
        let is_there =
            |sha256: &BlobHash| !self.forgets && self.whole.contains_key(&sha256.to_string());
        let (have, need): (BTreeSet<_>, BTreeSet<_>) = asked.into_iter().partition(is_there);
        json!({ "need": need, "have": have })
    }

    pub(crate) fn answer(&mut self, request: &Seen) -> TusAnswer {
        let method = request.line.split(' ').next().unwrap_or_default();
        let path = request.line.split(' ').nth(1).unwrap_or_default().to_owned();
        assert_eq!(header(request, "tus-resumable"), Some("1.0.0"), "{}", request.line);
        let fault = self.faults.get_mut(method).and_then(VecDeque::pop_front);
        match fault {
            Some(Fault::Refused(status, wait)) => return refused(status, wait),
            Some(Fault::Expired) => {
                self.uploads.remove(&path);
            }
            Some(Fault::Elsewhere(url)) => {
                return TusAnswer {
                    status: 201,
                    headers: format!("location: {url}\r\n"),
                    ..TusAnswer::default()
                };
            }
            Some(Fault::Lost) | None => {}
        }
        let answer = match method {
            "POST" => self.create(request),
            "HEAD" => self.offset(&path),
            "PATCH" => self.take(&path, request),
            _ => refused(405, None),
        };
        TusAnswer { lost: matches!(fault, Some(Fault::Lost)), ..answer }
    }

    fn create(&mut self, request: &Seen) -> TusAnswer {
        self.created += 1;
        let path = format!("/v1/uploads/{}", self.created);
        let metadata = header(request, "upload-metadata").expect("metadata");
        let told = |key: &str| {
            let value = metadata.split(',').find_map(|pair| pair.strip_prefix(key))?;
            String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()
        };
        assert!(told("mime").is_some_and(|mime| mime.contains('/')), "{metadata}");
        let upload = Upload {
            sha256: told("sha256").expect("a hash"),
            length: number(request, "upload-length"),
            bytes: Vec::new(),
        };
        self.uploads.insert(path.clone(), upload);
        let headers = format!("location: {path}\r\n");
        TusAnswer { status: 201, headers, ..TusAnswer::default() }
    }

    fn offset(&self, path: &str) -> TusAnswer {
        match self.uploads.get(path) {
            None => refused(404, None),
            Some(upload) => TusAnswer {
                status: 200,
                headers: format!(
                    "upload-offset: {}\r\nupload-length: {}\r\n",
                    upload.bytes.len(),
                    upload.length
                ),
                ..TusAnswer::default()
            },
        }
    }

    fn take(&mut self, path: &str, request: &Seen) -> TusAnswer {
        let Some(upload) = self.uploads.get_mut(path) else { return refused(404, None) };
        if number(request, "upload-offset") != upload.bytes.len() {
            return refused(409, None);
        }
        let checksum = format!("sha256 {}", STANDARD.encode(hash_of(&request.body)));
        if header(request, "upload-checksum") != Some(checksum.as_str()) {
            return refused(460, None);
        }
        upload.bytes.extend_from_slice(&request.body);
        if upload.bytes.len() == upload.length {
            if BlobHash(hash_of(&upload.bytes)).to_string() != upload.sha256 {
                return refused(460, None);
            }
            self.whole.insert(upload.sha256.clone(), upload.bytes.clone());
        }
        let headers = format!("upload-offset: {}\r\n", upload.bytes.len());
        TusAnswer { status: 204, headers, ..TusAnswer::default() }
    }
}

fn refused(status: u16, wait: Option<u32>) -> TusAnswer {
    let headers = wait.map_or(String::new(), |wait| format!("retry-after: {wait}\r\n"));
    let body = json!({ "type": format!("/problems/told-{status}"), "title": "no" }).to_string();
    TusAnswer { status, headers, body, lost: false }
}

/// A header of a request, its name in lower case.
pub(crate) fn header<'a>(request: &'a Seen, name: &str) -> Option<&'a str> {
    request.headers.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn number(request: &Seen, name: &str) -> usize {
    header(request, name).and_then(|value| value.parse().ok()).expect(name)
}
