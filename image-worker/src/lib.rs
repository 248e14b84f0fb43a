//! The image worker: the program `genba` as a process that reads one photo or the head of one video, answers what it
//! shows, and may do nothing else.
//!
//! What decodes bytes of a stranger is where a server is hurt. So it happens in a process of its own, one for each
//! blob, with an empty environment, hard limits of memory and processor, and a list of system calls that has neither
//! files nor network nor other programs. It speaks over its standard input and output only; [`wire`] is what both
//! sides say.
//!
//! To read one more kind of picture: its decoder in `picture.rs`. One more kind of video: a reader beside `mp4.rs`.

mod confine;
#[cfg(feature = "faults")]
mod escape;
mod exif;
pub mod facts;
mod mp4;
mod picture;
mod sizes;
mod webm;
pub mod wire;

use facts::{Facts, Refusal};
use std::io::{self, Read, Write};
use std::process::ExitCode;
use sync_protocol::blob::MediaType;
use wire::{Job, Message};

/// The command that is the worker: `genba image-worker`. It is for the server only.
pub const COMMAND: &str = "image-worker";

/// Lets the calling process be a worker, from one job to its end.
///
/// Call it first of all, while the process has one thread: what it gives up is given up for the calling thread.
pub fn run() -> ExitCode {
    // What a panic says may quote what a person wrote, and a backtrace would look for files.
    std::panic::set_hook(Box::new(|_| {}));
    #[cfg(feature = "faults")]
    let parent = escape::prepare();
    let confined = confine::confine();
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let done = confined.and_then(|confined| {
        wire::say(&mut output, &Message::Hello { confined })?;
        #[cfg(feature = "faults")]
        escape::when_asked(parent, &mut output)?;
        work(&mut input, &mut output)
    });
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn work(input: &mut impl Read, output: &mut impl Write) -> io::Result<()> {
    let job = Job::read(input)?;
    let mut bytes = Vec::with_capacity(usize::try_from(job.bytes).unwrap_or_default());
    let read = input.take(job.bytes).read_to_end(&mut bytes)?;
    if u64::try_from(read).ok() != Some(job.bytes) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    match job.kind {
        MediaType::Jpeg | MediaType::Png | MediaType::Webp => show(job.kind, bytes, output),
        MediaType::Heic => keep(exif::of_heic(&bytes), output),
        MediaType::Mp4 | MediaType::Mov => keep(mp4::facts(&bytes), output),
        MediaType::Webm => keep(webm::facts(&bytes), output),
    }
}

/// What is kept as it came: facts only.
fn keep(facts: Facts, output: &mut impl Write) -> io::Result<()> {
    wire::say(output, &Message::Facts(facts))?;
    wire::say(output, &Message::Kept)
}

/// What is shown in two sizes. The facts go first, so that they outlive a decoder that dies.
fn show(kind: MediaType, bytes: Vec<u8>, output: &mut impl Write) -> io::Result<()> {
    let picture = match picture::open(kind, bytes) {
        Ok(picture) => picture,
        Err(refusal) => return refuse(Facts::default(), refusal, output),
    };
    let facts = picture.facts.clone();
    wire::say(output, &Message::Facts(facts.clone()))?;
    match picture.decode().and_then(|pixels| sizes::make(pixels, facts.orientation)) {
        Ok((thumb, screen)) => {
            let made = Message::Made { thumb: thumb.size(), screen: screen.size() };
            wire::say(output, &made)?;
            output.write_all(&thumb.bytes)?;
            output.write_all(&screen.bytes)?;
            output.flush()
        }
        Err(refusal) => wire::say(output, &Message::Refused { why: refusal }),
    }
}

fn refuse(facts: Facts, why: Refusal, output: &mut impl Write) -> io::Result<()> {
    wire::say(output, &Message::Facts(facts))?;
    wire::say(output, &Message::Refused { why })
}
