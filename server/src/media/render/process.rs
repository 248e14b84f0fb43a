//! One worker process: given one blob, heard out within bounds, and ended in any case.

use axum::body::Bytes;
use futures_util::{Stream, StreamExt as _};
use image_worker::facts::{Facts, Refusal};
use image_worker::wire::{
    Job, MESSAGE_BYTES_MAX, Message, SCREEN_BYTES_MAX, Size, THUMB_BYTES_MAX,
};
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, Command};

/// How long one process may usually take; what its processor may take is shorter.
pub const WALL_MAX: Duration = Duration::from_secs(10);

/// How workers are started.
#[derive(Clone, Debug)]
pub struct Worker {
    /// The program `genba` itself.
    pub program: PathBuf,
    /// Whether a worker that could keep its system calls is given nothing.
    pub demand_seccomp: bool,
    /// How long one process may take.
    pub wall_max: Duration,
}

/// What a worker told of a blob.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// Whether the kernel held it.
    pub confined: bool,
    /// What the blob tells of itself.
    pub facts: Facts,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a blob.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Both sizes.
    Made {
        /// The picture for lists.
        thumb: Bytes,
        /// The picture for a screen.
        screen: Bytes,
    },
    /// There is nothing to make.
    Kept,
    /// No picture can be made of it.
    Refused(Refusal),
}

/// Why a worker told nothing to the end.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It died, or said what no worker says: the blob's doing.
    #[error("the worker did not come to an end")]
    Died {
        /// What it had told before.
        facts: Option<Facts>,
        /// How it ended.
        #[source]
        cause: io::Error,
    },
    /// It took longer than [`Worker::wall_max`]. What a blob can waste is processor time, of which it is given less: it
    /// is the machine that has no time.
    #[error("the worker took too long")]
    TookTooLong,
    /// The bytes of the blob could not be read.
    #[error("the bytes could not be read")]
    Source(#[source] io::Error),
    /// No process could be started.
    #[error("no worker could be started")]
    NotStarted(#[source] io::Error),
    /// The kernel has no filter for system calls, and the settings demand one.
    #[error("the kernel does not take the worker's system calls away")]
    Unconfined,
}

impl Worker {
    /// Hands `job` with its bytes to a worker. They pass through in pieces; nothing here holds all of them.
    pub async fn render(
        &self,
        job: Job,
        source: impl Stream<Item = io::Result<Bytes>>,
    ) -> Result<Rendered, Failure> {
        let mut child = Command::new(&self.program)
            .arg(image_worker::COMMAND)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(Failure::NotStarted)?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) =
            pipes.ok_or_else(|| Failure::NotStarted(io::ErrorKind::Other.into()))?;
        let talk = self.talk(job, source, input, output);
        let told =
            tokio::time::timeout(self.wall_max, talk).await.unwrap_or(Err(Failure::TookTooLong));
        // One that has told everything has ended; any other is ended by its process id.
        let _gone = child.kill().await;
        told
    }

    async fn talk(
        &self,
        job: Job,
        source: impl Stream<Item = io::Result<Bytes>>,
        input: ChildStdin,
        mut output: impl AsyncRead + Unpin,
    ) -> Result<Rendered, Failure> {
        let died = |cause| Failure::Died { facts: None, cause };
        let Message::Hello { confined } = hear(&mut output).await.map_err(died)? else {
            return Err(died(io::ErrorKind::InvalidData.into()));
        };
        if self.demand_seccomp && !confined {
            return Err(Failure::Unconfined);
        }
        let ((), (facts, outcome)) = tokio::try_join!(feed(job, source, input), listen(output))?;
        Ok(Rendered { confined, facts, outcome })
    }
}

/// Writes the job and its bytes. That the worker hears no more is for [`listen`] to judge.
async fn feed(
    job: Job,
    source: impl Stream<Item = io::Result<Bytes>>,
    mut input: ChildStdin,
) -> Result<(), Failure> {
    let mut source = std::pin::pin!(source);
    let mut hears = input.write_all(&job.line()).await.is_ok();
    while hears && let Some(piece) = source.next().await {
        let piece = piece.map_err(Failure::Source)?;
        hears = input.write_all(&piece).await.is_ok();
    }
    Ok(())
}

async fn listen(mut output: impl AsyncRead + Unpin) -> Result<(Facts, Outcome), Failure> {
    let nonsense = || io::Error::from(io::ErrorKind::InvalidData);
    let facts = match hear(&mut output).await {
        Ok(Message::Facts(facts)) if facts.is_bounded() => facts,
        Ok(_) => return Err(Failure::Died { facts: None, cause: nonsense() }),
        Err(cause) => return Err(Failure::Died { facts: None, cause }),
    };
    match outcome(&mut output).await {
        Ok(outcome) => Ok((facts, outcome)),
        Err(cause) => Err(Failure::Died { facts: Some(facts), cause }),
    }
}

async fn outcome(output: &mut (impl AsyncRead + Unpin)) -> io::Result<Outcome> {
    match hear(output).await? {
        Message::Made { thumb, screen } => {
            let thumb = picture(output, thumb, THUMB_BYTES_MAX).await?;
            let screen = picture(output, screen, SCREEN_BYTES_MAX).await?;
            Ok(Outcome::Made { thumb, screen })
        }
        Message::Kept => Ok(Outcome::Kept),
        Message::Refused { why } => Ok(Outcome::Refused(why)),
        Message::Hello { .. } | Message::Facts(_) => Err(io::ErrorKind::InvalidData.into()),
        #[cfg(feature = "faults")]
        Message::Escaped { .. } => Err(io::ErrorKind::InvalidData.into()),
    }
}

async fn picture(
    output: &mut (impl AsyncRead + Unpin),
    size: Size,
    bytes_max: u32,
) -> io::Result<Bytes> {
    if size.bytes == 0 || size.bytes > bytes_max {
        return Err(io::ErrorKind::InvalidData.into());
    }
    exactly(output, size.bytes).await.map(Bytes::from)
}

async fn hear(output: &mut (impl AsyncRead + Unpin)) -> io::Result<Message> {
    let length = output.read_u32_le().await?;
    if usize::try_from(length).is_ok_and(|length| length > MESSAGE_BYTES_MAX) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(serde_json::from_slice(&exactly(output, length).await?)?)
}

async fn exactly(output: &mut (impl AsyncRead + Unpin), length: u32) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| io::ErrorKind::InvalidData)?];
    output.read_exact(&mut bytes).await?;
    Ok(bytes)
}
