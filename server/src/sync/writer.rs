//! The writer: one task takes the waiting pushes of a tenant together and commits them as a group.
//!
//! One fsync for a change would be the whole cost of a sync; and a transaction lives here and never in a request, whose
//! future may be dropped at any await.

use super::command::{self, Command, Done};
use super::forms::Library;
use super::ingest::{Ingested, Push, PushReceipt, Room, ingest};
use crate::clock::Clock;
use crate::fault::{crash_point, planted};
use crate::live::Pokes;
use crate::problem::ApiError;
use crate::random::Random;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use storage::Store;
use sync_protocol::id::{ReplicaId, Tenant};
use tokio::sync::{mpsc, oneshot};

/// The most requests in a group.
const GROUP_REQUESTS_MAX: usize = 64;
/// The most changes in a group.
const GROUP_CHANGES_MAX: usize = 2_000;
/// The most bytes of changes in a group: 8 MiB.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Requests that may wait for the writer of a tenant.
const QUEUE_MAX: usize = 1_024;
/// How long a caller waits when that many are waiting.
const FULL_RETRY_MS: u64 = 2_000;
/// How often a change that is alone in its push may fail before it is stored unread.
const FAILURES_MAX: u32 = 3;
/// How many such changes are remembered.
const FAILED_MAX: usize = 10_000;

/// How late the fault `acknowledge-before-commit` commits.
const COMMIT_DELAY: Duration = Duration::from_millis(20);

/// At what the fault `a-change-fails` fails.
const POISON: &str = "genba-poison";

/// What the writers need of the server.
#[derive(Clone, Debug)]
pub struct Means {
    /// The database.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<dyn Random>,
    /// The forms.
    pub library: Arc<Library>,
    /// Who waits for news.
    pub pokes: Pokes,
}

/// The writers of all tenants.
#[derive(Debug)]
pub struct Writers {
    means: Means,
    senders: Mutex<BTreeMap<Tenant, mpsc::Sender<Job>>>,
}

#[derive(Debug)]
enum Job {
    Push(Box<Push>, oneshot::Sender<Result<PushReceipt, ApiError>>),
    Command(Box<Command>, oneshot::Sender<Result<Done, ApiError>>),
}

impl Writers {
    /// Writers that start when they are first needed.
    pub const fn new(means: Means) -> Self {
        Self { means, senders: Mutex::new(BTreeMap::new()) }
    }

    /// Takes in a push; it is durable when this answers.
    pub(crate) async fn push(&self, tenant: &Tenant, push: Push) -> Result<PushReceipt, ApiError> {
        let (send, answer) = oneshot::channel();
        self.hand_over(tenant, Job::Push(Box::new(push), send))?;
        answer.await.map_err(ApiError::caused)?
    }

    /// Carries out a command; it is durable when this answers.
    pub async fn command(&self, tenant: &Tenant, command: Command) -> Result<Done, ApiError> {
        let (send, answer) = oneshot::channel();
        self.hand_over(tenant, Job::Command(Box::new(command), send))?;
        answer.await.map_err(ApiError::caused)?
    }

    fn hand_over(&self, tenant: &Tenant, job: Job) -> Result<(), ApiError> {
        self.sender(tenant).try_send(job).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => {
                ApiError::Overloaded { retry_after_ms: FULL_RETRY_MS }
            }
            mpsc::error::TrySendError::Closed(_) => ApiError::NotReady,
        })
    }

    fn sender(&self, tenant: &Tenant) -> mpsc::Sender<Job> {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = senders.get(tenant).filter(|sender| !sender.is_closed()) {
            return sender.clone();
        }
        let (sender, jobs) = mpsc::channel(QUEUE_MAX);
        let writer =
            Writer { tenant: tenant.clone(), means: self.means.clone(), failed: BTreeMap::new() };
        tokio::spawn(writer.run(jobs));
        senders.insert(tenant.clone(), sender.clone());
        sender
    }
}

/// The writer of one tenant.
struct Writer {
    tenant: Tenant,
    means: Means,
    failed: BTreeMap<(ReplicaId, i64), u32>,
}

type Waiting = (Push, oneshot::Sender<Result<PushReceipt, ApiError>>);

impl Writer {
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut next = None;
        loop {
            let job = match next.take() {
                Some(job) => job,
                None => match jobs.recv().await {
                    Some(job) => job,
                    None => return,
                },
            };
            match job {
                Job::Command(command, answer) => {
                    let done = self.carry_out(*command).await;
                    drop(answer.send(done));
                }
                Job::Push(push, answer) => {
                    let mut group = vec![(*push, answer)];
                    next = gather(&mut jobs, &mut group);
                    self.take_group(group).await;
                }
            }
        }
    }

    async fn take_group(&mut self, group: Vec<Waiting>) {
        let (pushes, answers): (Vec<Push>, Vec<_>) = group.into_iter().unzip();
        let pushes = Arc::new(pushes);
        match self.attempt(Arc::clone(&pushes), false).await {
            Ok(receipts) => {
                for (answer, receipt) in answers.into_iter().zip(receipts) {
                    drop(answer.send(receipt));
                }
            }
            Err(problem) if pushes.len() == 1 && !matches!(problem, ApiError::Internal(_)) => {
                for answer in answers {
                    drop(answer.send(Err(problem.clone())));
                }
            }
            Err(_) => {
                for (push, answer) in pushes.iter().zip(answers) {
                    drop(answer.send(self.take_alone(push.clone()).await));
                }
            }
        }
    }

    /// One push in a transaction of its own: who fails alone gets 500, and the third time is stored unread.
    async fn take_alone(&mut self, push: Push) -> Result<PushReceipt, ApiError> {
        let key = (push.replica, push.from);
        let is_single = push.changes.len() == 1;
        let failures = self.failed.get(&key).copied().unwrap_or_default();
        let unread = is_single && failures + 1 >= FAILURES_MAX;
        let outcome = self.attempt(Arc::new(vec![push]), unread).await;
        let outcome = outcome.and_then(|mut receipts| {
            receipts
                .pop()
                .unwrap_or_else(|| Err(ApiError::internal("a group of one without a receipt")))
        });
        if is_single && matches!(outcome, Err(ApiError::Internal(_))) {
            if self.failed.len() >= FAILED_MAX {
                self.failed.clear();
            }
            *self.failed.entry(key).or_default() += 1;
            tracing::error!("a change fails alone; it is stored unread the third time");
        } else {
            self.failed.remove(&key);
        }
        outcome
    }

    /// One transaction in a task of its own, so that a bug in it does not end the writer.
    async fn attempt(
        &self,
        pushes: Arc<Vec<Push>>,
        unread: bool,
    ) -> Result<Vec<Result<PushReceipt, ApiError>>, ApiError> {
        let (tenant, means) = (self.tenant.clone(), self.means.clone());
        let work = tokio::spawn(async move {
            let now = means.clock.now();
            let book = means.library.book(&means.store, &tenant, now).await?;
            let room = Room { tenant: &tenant, book: &book, random: &*means.random, now };
            let mut tx = means.store.write().await?;
            crash_point("push.begun");
            if planted("a-change-fails") && !unread && pushes.iter().any(holds_poison) {
                return Err(ApiError::internal("a planted fault"));
            }
            let Ingested { receipts, head, buckets } =
                ingest(&mut tx, room, &pushes, unread).await?;
            if planted("acknowledge-before-commit") {
                tokio::spawn(async move {
                    tokio::time::sleep(COMMIT_DELAY).await;
                    crash_point("push.before_commit");
                    drop(tx.commit().await);
                });
                return Ok(receipts);
            }
            crash_point("push.before_commit");
            tx.commit().await?;
            crash_point("push.after_commit_before_reply");
            if !buckets.is_empty() {
                means.pokes.poke(&tenant, head, &buckets);
            }
            crash_point("push.after_poke");
            Ok(receipts)
        });
        work.await.map_err(ApiError::caused)?
    }

    async fn carry_out(&self, command: Command) -> Result<Done, ApiError> {
        let (tenant, means) = (self.tenant.clone(), self.means.clone());
        let work = tokio::spawn(async move {
            let now = means.clock.now();
            let book = means.library.book(&means.store, &tenant, now).await?;
            let room = Room { tenant: &tenant, book: &book, random: &*means.random, now };
            let mut tx = means.store.write().await?;
            let done = command::carry_out(&mut tx, room, command).await?;
            crash_point("command.before_commit");
            tx.commit().await?;
            crash_point("command.after_commit_before_reply");
            if !done.buckets.is_empty() {
                means.pokes.poke(&tenant, done.head, &done.buckets);
            }
            Ok(done)
        });
        work.await.map_err(ApiError::caused)?
    }
}

/// Whether a push holds the word at which the fault `a-change-fails` fails.
fn holds_poison(push: &Push) -> bool {
    push.changes.iter().any(|change| change.text.contains(POISON))
}

/// Takes what is waiting, within the bounds of a group; a command ends it and comes next.
fn gather(jobs: &mut mpsc::Receiver<Job>, group: &mut Vec<Waiting>) -> Option<Job> {
    let size = |push: &Push| push.changes.iter().map(|change| change.text.len()).sum::<usize>();
    let mut changes: usize = group.iter().map(|(push, _)| push.changes.len()).sum();
    let mut bytes: usize = group.iter().map(|(push, _)| size(push)).sum();
    while group.len() < GROUP_REQUESTS_MAX && changes < GROUP_CHANGES_MAX && bytes < GROUP_BYTES_MAX
    {
        match jobs.try_recv() {
            Ok(Job::Push(push, answer)) => {
                changes += push.changes.len();
                bytes += size(&push);
                group.push((*push, answer));
            }
            Ok(command @ Job::Command(..)) => return Some(command),
            Err(_) => return None,
        }
    }
    None
}
