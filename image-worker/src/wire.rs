//! What the server and its worker say to each other: one job in, a few messages out, all of bounded length.

use super::facts::{Facts, Refusal};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead as _, Read, Write};
use sync_protocol::blob::{MediaType, PHOTO_BYTES_MAX};

/// The longest line that names a job.
pub const JOB_BYTES_MAX: u64 = 128;
/// The longest message of a worker.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// The most of a video that a worker is given: its beginning and its table of contents.
pub const FILM_BYTES_MAX: u64 = 17 * 1024 * 1024;
/// The longer side of the picture for lists, in pixels.
pub const THUMB_SIDE: u32 = 320;
/// The longer side of the picture for a screen, in pixels.
pub const SCREEN_SIDE: u32 = 1_600;
/// The largest picture for lists: three bytes a pixel, which no encoder needs.
pub const THUMB_BYTES_MAX: u32 = THUMB_SIDE * THUMB_SIDE * 3;
/// The largest picture for a screen: three bytes a pixel, which no encoder needs.
pub const SCREEN_BYTES_MAX: u32 = SCREEN_SIDE * SCREEN_SIDE * 3;

/// What a worker is to look at; so many bytes follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// What the bytes are.
    pub kind: MediaType,
    /// How many there are.
    pub bytes: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JobLine<'a> {
    mime: &'a str,
    bytes: u64,
}

impl Job {
    /// The most bytes that a job of this kind may have.
    pub const fn bytes_max(kind: MediaType) -> u64 {
        if kind.is_video() { FILM_BYTES_MAX } else { PHOTO_BYTES_MAX }
    }

    /// The line that names it.
    pub fn line(self) -> Vec<u8> {
        let line = JobLine { mime: self.kind.mime(), bytes: self.bytes };
        let mut line = serde_json::to_vec(&line).expect("a job is always JSON");
        line.push(b'\n');
        line
    }

    /// Reads the line that names a job within its bounds.
    pub(super) fn read(input: &mut impl Read) -> io::Result<Self> {
        let mut line = Vec::new();
        // One byte at a time, so that nothing is read of what follows.
        io::BufReader::with_capacity(1, input.take(JOB_BYTES_MAX)).read_until(b'\n', &mut line)?;
        let line: JobLine<'_> = serde_json::from_slice(&line)?;
        let kind = MediaType::of_mime(line.mime).ok_or(io::ErrorKind::InvalidData)?;
        if line.bytes > Self::bytes_max(kind) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Self { kind, bytes: line.bytes })
    }
}

/// What a worker says, in this order: `Hello`, `Facts`, and then one of the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Message {
    /// It has given up what it does not need.
    Hello {
        /// Whether the kernel also took its system calls away.
        confined: bool,
    },
    /// What the blob tells of itself.
    Facts(Facts),
    /// Both sizes are made; their bytes follow, the smaller one first.
    Made {
        /// The picture for lists.
        thumb: Size,
        /// The picture for a screen.
        screen: Size,
    },
    /// There is nothing to make.
    Kept,
    /// No picture can be made of it.
    Refused {
        /// Why.
        why: Refusal,
    },
    /// What a worker reached that it should not reach: only where tests plant it.
    #[cfg(feature = "faults")]
    Escaped {
        /// The attempts that succeeded.
        by: Vec<String>,
        /// The attempts that failed.
        not_by: Vec<String>,
    },
}

/// One picture that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// How many bytes it has.
    pub bytes: u32,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// Says one message: its length in four bytes, the lowest first, and then its JSON.
pub(super) fn say(output: &mut impl Write, message: &Message) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let length = u32::try_from(text.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    output.write_all(&length.to_le_bytes())?;
    output.write_all(&text)?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_reads_back_and_takes_nothing_of_what_follows() {
        let job = Job { kind: MediaType::Png, bytes: PHOTO_BYTES_MAX };
        let mut told = job.line();
        told.extend_from_slice(b"rest");
        let mut input = told.as_slice();
        assert_eq!(Job::read(&mut input).unwrap(), job);
        assert_eq!(input, b"rest");
    }

    #[test]
    fn a_job_beyond_its_bounds_is_refused() {
        let over = Job { kind: MediaType::Png, bytes: PHOTO_BYTES_MAX + 1 };
        assert!(Job::read(&mut over.line().as_slice()).is_err());
        let film = Job { kind: MediaType::Mp4, bytes: FILM_BYTES_MAX };
        assert!(Job::read(&mut film.line().as_slice()).is_ok());
        let over = Job { kind: MediaType::Mp4, bytes: FILM_BYTES_MAX + 1 };
        assert!(Job::read(&mut over.line().as_slice()).is_err());
        let blanks = vec![b' '; usize::try_from(JOB_BYTES_MAX).unwrap()];
        let late = [&blanks[..], over.line().as_slice()].concat();
        assert!(Job::read(&mut late.as_slice()).is_err());
        assert!(Job::read(&mut &b"{\"mime\":\"image/gif\",\"bytes\":1}\n"[..]).is_err());
        assert!(Job::read(&mut &b""[..]).is_err());
    }
}
