//! Load: many tablets in memory against one server. The replica and the calls are those of a real tablet; only the
//! local database is left out, so that the figures are the server's.

use super::open::Place;
use super::out::json;
use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use serde::Serialize;
use serde_json::json as object;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use sync_protocol::change::{Home, Path};
use sync_protocol::id::{AttemptId, Bucket, RecordId, RecordType, Tenant};
use sync_protocol::replica::{Chance as _, Draft, Edit, Input, Notice, Output, Replica, Step};
use tablet::{Api, Clock, Connection, DeviceKey, Enrolment, OsChance, Profile, Reply};

/// No sync of one round takes more calls than this.
const CALLS_MAX: usize = 1_000;

/// What the load is made of.
#[derive(Clone, Debug, Args)]
pub(super) struct LoadArgs {
    /// The address of the server; needed to enrol.
    #[arg(long)]
    server: Option<String>,
    /// The bureau; needed to enrol.
    #[arg(long)]
    tenant: Option<Tenant>,
    /// A file with one enrolment code a line, followed by the bucket that this tablet writes to, if not `--in`.
    /// Tablets that are enrolled already in `--dir` need none.
    #[arg(long)]
    codes: Option<PathBuf>,
    /// How many tablets.
    #[arg(long, default_value_t = 10)]
    tablets: usize,
    /// How often each tablet syncs.
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// How many changes each tablet makes before it syncs.
    #[arg(long, default_value_t = 20)]
    changes: usize,
    /// The kind of the records.
    #[arg(long = "type", default_value = "fire_prevention_property")]
    kind: RecordType,
    /// The field that is written.
    #[arg(long, default_value = "name")]
    field: String,
    /// The bucket that the records lie in; the first that the tablet holds, unless given.
    #[arg(long = "in")]
    bucket: Option<Bucket>,
    /// Bytes of text in each change.
    #[arg(long, default_value_t = 200)]
    bytes: usize,
}

struct Virtual {
    replica: Replica,
    api: Api,
    clock: Arc<dyn Clock>,
    sending: Option<(AttemptId, String)>,
    wake_at: Option<i64>,
    bucket: Option<Bucket>,
    /// Change i of a round goes to record i, so that a change replaces one value and not a chain of them.
    records: Vec<RecordId>,
    latencies: Vec<Duration>,
    failures: usize,
    quarantined: usize,
}

#[derive(Serialize)]
struct Figures {
    tablets: usize,
    rounds: usize,
    changes: usize,
    seconds: f64,
    changes_per_s: f64,
    calls: usize,
    /// Calls that were not answered 200.
    failures: usize,
    /// Changes that the server keeps for a human: the load does not have the rights it needs.
    quarantined: usize,
    latency_ms: Latency,
}

#[derive(Serialize)]
struct Latency {
    p50: f64,
    p95: f64,
    p99: f64,
    max: f64,
}

pub(super) async fn load(place: &Place, args: LoadArgs) -> Result<()> {
    let codes = codes(args.codes.as_deref())?;
    let clock = place.clock();
    let mut tablets = Vec::new();
    for number in 0..args.tablets {
        let (code, bucket) = codes.get(number).cloned().unzip();
        let bucket = bucket.flatten().or_else(|| args.bucket.clone());
        let dir = place.dir.join(format!("load-{number}"));
        let (profile, key) = enrolled(&dir, &args, code).await?;
        tablets.push(Virtual::new(&profile, key, Arc::clone(&clock), bucket)?);
    }
    for tablet in &mut tablets {
        tablet.sync().await?;
        tablet.latencies.clear();
    }
    let began = Instant::now();
    let tasks: Vec<_> =
        tablets.into_iter().map(|tablet| tokio::spawn(tablet.play(args.clone()))).collect();
    let (mut latencies, mut failures, mut quarantined) = (Vec::new(), 0, 0);
    for task in tasks {
        let tablet = task.await??;
        latencies.extend(tablet.latencies);
        failures += tablet.failures;
        quarantined += tablet.quarantined;
    }
    json(&Figures { failures, quarantined, ..figures(&args, began.elapsed(), latencies) })
}

fn codes(path: Option<&FilePath>) -> Result<Vec<(String, Option<Bucket>)>> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let code = words.next().ok_or_else(|| anyhow!("a line of the codes is empty"))?.to_owned();
        let bucket = words.next().map(str::parse).transpose()?;
        Ok((code, bucket))
    };
    text.lines().filter(|text| !text.trim().is_empty()).map(line).collect()
}

async fn enrolled(
    dir: &FilePath,
    args: &LoadArgs,
    code: Option<String>,
) -> Result<(Profile, DeviceKey)> {
    let key_file = dir.join("device.key");
    if Profile::exists(dir) {
        return Ok((Profile::read(dir)?, DeviceKey::open(&key_file)?));
    }
    let missing =
        || anyhow!("{} is not enrolled: give --server, --tenant and --codes", dir.display());
    let (server, tenant, code) = (args.server.clone(), args.tenant.clone(), code);
    let (server, tenant) = (server.ok_or_else(missing)?, tenant.ok_or_else(missing)?);
    let code = code.ok_or_else(missing)?;
    std::fs::create_dir_all(dir)?;
    let key =
        if key_file.exists() { DeviceKey::open(&key_file) } else { DeviceKey::create(&key_file) }?;
    let enrolment = Enrolment { server, tenant, code, name: "load".to_owned(), ca: None };
    let profile = Connection::new(&enrolment.server, None)?.enrol(&enrolment, &key).await?;
    profile.write(dir)?;
    Ok((profile, key))
}

impl Virtual {
    fn new(
        profile: &Profile,
        key: DeviceKey,
        clock: Arc<dyn Clock>,
        bucket: Option<Bucket>,
    ) -> Result<Self> {
        let (replica, _) = Replica::begin(profile.identity(), key.secret(), &mut OsChance);
        Ok(Self {
            replica,
            api: Api::new(profile, Arc::new(key))?,
            clock,
            sending: None,
            wake_at: None,
            bucket,
            records: Vec::new(),
            latencies: Vec::new(),
            failures: 0,
            quarantined: 0,
        })
    }

    async fn play(mut self, args: LoadArgs) -> Result<Self> {
        for round in 0..args.rounds {
            for number in 0..args.changes {
                self.change(&args, round, number)?;
            }
            self.sync().await?;
        }
        Ok(self)
    }

    fn change(&mut self, args: &LoadArgs, round: usize, number: usize) -> Result<()> {
        let path =
            Path::parse(&args.field).ok_or_else(|| anyhow!("{:?} is not a path", args.field))?;
        let text = format!("{round} {:0>width$x}", OsChance.bits(), width = args.bytes);
        let mut edits = vec![Edit::Set(path, object!(text))];
        let rec = if let Some(rec) = self.records.get(number) {
            *rec
        } else {
            let rec = RecordId(uuid::Uuid::from_u128(OsChance.bits()));
            self.records.push(rec);
            edits.insert(0, Edit::New(Home::In(self.home()?)));
            rec
        };
        let draft = Draft { rec, kind: args.kind.clone(), sv: 1, edits };
        let reading = self.clock.read();
        let (_, step) = self.replica.author(&draft, &reading, &mut OsChance)?;
        self.take(step);
        Ok(())
    }

    fn home(&self) -> Result<Bucket> {
        let held =
            self.replica.buckets().map(|(bucket, _)| bucket).find(|b| **b != Bucket::everyone());
        let bucket = self.bucket.as_ref().or(held);
        bucket.cloned().ok_or_else(|| anyhow!("a tablet holds no bucket to write to: grant one"))
    }

    async fn sync(&mut self) -> Result<()> {
        self.input(Input::Network(true));
        for _ in 0..CALLS_MAX {
            if let Some((attempt, body)) = self.sending.take() {
                self.call(attempt, &body).await;
            } else if self.replica.calls_for_sync() {
                let wait = self.wake_at.map_or(0, |at| at - self.clock.read().mono).max(1);
                tokio::time::sleep(Duration::from_millis(wait.unsigned_abs())).await;
                self.input(Input::Tick);
            } else {
                self.input(Input::Network(false));
                return Ok(());
            }
        }
        Err(anyhow!("a sync did not end within {CALLS_MAX} calls"))
    }

    async fn call(&mut self, attempt: AttemptId, body: &str) {
        let began = Instant::now();
        let now = self.clock.read().now.0;
        if let Ok(Reply { status, retry_after_ms, body }) = self.api.sync(body, now).await {
            self.latencies.push(began.elapsed());
            self.failures += usize::from(status != 200);
            self.input(Input::Answer { attempt, status, retry_after_ms, body: &body });
        } else {
            self.failures += 1;
            self.input(Input::Failed { attempt });
        }
    }

    fn input(&mut self, input: Input<'_>) {
        let reading = self.clock.read();
        let step = self.replica.step(input, &reading, &mut OsChance);
        self.take(step);
    }

    fn take(&mut self, step: Step) {
        for output in step.outputs {
            match output {
                Output::Send { attempt, body } => self.sending = Some((attempt, body)),
                Output::Wake { at_mono } => self.wake_at = Some(at_mono),
                Output::Notice(Notice::Quarantined(_)) => self.quarantined += 1,
                Output::Vacuum { .. }
                | Output::FetchBundle { .. }
                | Output::DropBlob { .. }
                | Output::Notice(_) => {}
            }
        }
    }
}

fn figures(args: &LoadArgs, took: Duration, mut latencies: Vec<Duration>) -> Figures {
    latencies.sort_unstable();
    let at = |permille: usize| {
        let index = (latencies.len() * permille / 1_000).min(latencies.len().saturating_sub(1));
        latencies.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1_000.0)
    };
    let changes = args.tablets * args.rounds * args.changes;
    let seconds = took.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate of far fewer than 2^52 changes")]
    let changes_per_s = changes as f64 / seconds;
    Figures {
        tablets: args.tablets,
        rounds: args.rounds,
        changes,
        seconds,
        changes_per_s,
        calls: latencies.len(),
        failures: 0,
        quarantined: 0,
        latency_ms: Latency { p50: at(500), p95: at(950), p99: at(990), max: at(1_000) },
    }
}
