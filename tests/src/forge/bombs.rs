//! Files that were made to hurt who opens them, and how each ends.

use super::film::{a_box, element, ftyp, moov};
use super::photo::{CANARY, exif_of, jpeg, jpeg_of, quarters, riff, webp, webp_of};
use super::png::{SIGNATURE, chunk, deflated, deflated_zeros, ihdr, png};
use exif::Tag;
use image_worker::facts::Refusal;
use image_worker::wire::Message;
use std::iter::repeat_n;
use sync_protocol::blob::MediaType;

/// How the worker ends with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Pictures are made.
    Made,
    /// It is kept as it came.
    Kept,
    /// It is refused, because it has too many pixels or wants too much memory.
    TooLarge,
    /// It is refused, because it is damaged or another thing than it says.
    Damaged,
    /// The kernel ends the worker at one of its limits.
    Dies,
}

impl End {
    /// The last word of a worker; none if it died before it.
    pub fn told_by(mut answer: &[u8]) -> Option<Self> {
        loop {
            let length = u32::from_le_bytes(*answer.first_chunk()?);
            let text = answer.get(4..)?.get(..usize::try_from(length).ok()?)?;
            answer = answer.get(4 + text.len()..)?;
            match serde_json::from_slice(text).ok()? {
                Message::Made { thumb, screen } => {
                    let all = u64::try_from(answer.len()).ok()?;
                    let whole = all == u64::from(thumb.bytes) + u64::from(screen.bytes);
                    return whole.then_some(Self::Made);
                }
                Message::Kept => return Some(Self::Kept),
                Message::Refused { why: Refusal::TooLarge } => return Some(Self::TooLarge),
                Message::Refused { .. } => return Some(Self::Damaged),
                Message::Hello { .. } | Message::Facts(_) => {}
                #[cfg(feature = "faults")]
                Message::Escaped { .. } => {}
            }
        }
    }
}

/// One file.
#[derive(Clone, Copy, Debug)]
pub struct Bomb {
    /// What it is.
    pub name: &'static str,
    /// What it says that it is.
    pub kind: MediaType,
    /// Makes it.
    pub bytes: fn() -> Vec<u8>,
    /// How it ends.
    pub end: End,
}

const fn bomb(name: &'static str, kind: MediaType, end: End, bytes: fn() -> Vec<u8>) -> Bomb {
    Bomb { name, kind, bytes, end }
}

use End::{Damaged, Dies, Kept, Made, TooLarge};
use MediaType::{Heic, Jpeg, Mov, Mp4, Png, Webm, Webp};

/// All of them.
pub const ALL: [Bomb; 38] = [
    bomb("nothing as JPEG", Jpeg, Damaged, Vec::new),
    bomb("nothing as PNG", Png, Damaged, Vec::new),
    bomb("nothing as WebP", Webp, Damaged, Vec::new),
    bomb("nothing as MP4", Mp4, Kept, Vec::new),
    bomb("PNG of 50,000 by 50,000", Png, TooLarge, || flat_png(50_000, 50_000, 2, 1)),
    bomb("PNG of 4,294,967,295 pixels in a row", Png, TooLarge, || flat_png(u32::MAX, 1, 2, 1)),
    bomb("PNG of 250 MB in 250 kB", Png, Made, || flat_png(16_000, 4_000, 2, 184)),
    bomb("PNG of 64 million deep pixels", Png, TooLarge, || {
        png(&ihdr(8_000, 8_000, 16, 6), &[], &[0; 64])
    }),
    bomb("PNG whose pixels never end", Png, Made, || flat_png(100, 100, 2, 300)),
    bomb("PNG whose pixels are cut off", Png, Damaged, || {
        let whole = flat_png(4_000, 4_000, 2, 46);
        whole.get(..whole.len() / 2).unwrap_or_default().to_vec()
    }),
    bomb("PNG with 200 MiB of zTXt", Png, Made, || text_png(*b"zTXt", b"k\0\0")),
    bomb("PNG with 200 MiB of iTXt", Png, Made, || text_png(*b"iTXt", b"k\0\x01\0\0\0")),
    bomb("PNG with 200 MiB of iCCP", Png, Made, || text_png(*b"iCCP", b"k\0\0")),
    bomb("APNG of 20,000 frames", Png, Made, apng),
    bomb("GIF as PNG", Png, Damaged, gif),
    bomb("GIF as JPEG", Jpeg, Damaged, gif),
    bomb("JPEG of 65,500 by 65,500", Jpeg, TooLarge, || resized_jpeg(65_500, 65_500, false)),
    bomb("JPEG of 64 million pixels in 1 kB", Jpeg, Made, || resized_jpeg(16_384, 3_904, false)),
    bomb("progressive JPEG of 64 million pixels", Jpeg, Dies, || resized_jpeg(16_384, 3_904, true)),
    bomb("progressive JPEG with 20,000 scans", Jpeg, Damaged, many_scans),
    bomb("JPEG with 200,000 restart markers", Jpeg, Made, || {
        stuffed_jpeg(&[0xff, 0xd0].repeat(200_000), true)
    }),
    bomb("JPEG with 20,000 Huffman tables", Jpeg, Made, || {
        stuffed_jpeg(&huffman_table().repeat(20_000), false)
    }),
    bomb("JPEG with 50 MB of comments", Jpeg, Made, || {
        let comment = [&[0xff, 0xfe, 0xff, 0xff][..], &[b' '; 65_533]].concat();
        stuffed_jpeg(&comment.repeat(750), false)
    }),
    bomb("JPEG whose EXIF points to itself", Jpeg, Made, || jpeg(64, 64, Some(&looping_exif()))),
    bomb("JPEG whose EXIF counts to 4,294,967,295", Jpeg, Made, || {
        jpeg(64, 64, Some(&counting_exif()))
    }),
    bomb("JPEG, HTML and ZIP in one", Jpeg, Made, polyglot),
    bomb("WebP of 16,383 by 16,383", Webp, TooLarge, || lossless_head(16_383, 16_383)),
    bomb("WebP of 64 million pixels in 1 kB", Webp, Dies, || lossless_head(8_000, 8_000)),
    bomb("WebP of 20,000 frames", Webp, Made, animation),
    bomb("HEIC that is cut off", Heic, Kept, || {
        let whole = super::film::heic(&exif_of(&[(Tag::Make, super::photo::ascii("x"))]));
        whole.get(..whole.len() - 40).unwrap_or_default().to_vec()
    }),
    bomb("HEIC whose boxes nest a million times", Heic, Kept, || {
        [ftyp(b"heic"), nested(*b"meta", 1_000_000)].concat()
    }),
    bomb("HEIC with 60,000 items at one place", Heic, Kept, many_items),
    bomb("MP4 whose boxes nest a million times", Mp4, Kept, || {
        [ftyp(b"isom"), nested(*b"moov", 1_000_000)].concat()
    }),
    bomb("MP4 with 16 MiB of empty tracks", Mp4, Kept, || {
        [ftyp(b"isom"), a_box(b"moov", &a_box(b"trak", &[]).repeat(2 * 1024 * 1024 - 1))].concat()
    }),
    bomb("MP4 that promises 4,294,967,295 samples", Mp4, Kept, || {
        let table = [&[0; 4][..], &1_u32.to_be_bytes(), &u32::MAX.to_be_bytes()].concat();
        [ftyp(b"isom"), moov(false, &a_box(b"stsz", &table))].concat()
    }),
    bomb("QuickTime of boxes beyond all bounds", Mov, Kept, || {
        let beyond = [&1_u32.to_be_bytes()[..], b"moov", &u64::MAX.to_be_bytes()].concat();
        [ftyp(b"qt  "), beyond.repeat(1_000)].concat()
    }),
    bomb("WebM whose elements nest a million times", Webm, Kept, || {
        let open = b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff".repeat(1_000_000);
        [element(b"\x1a\x45\xdf\xa3", &element(b"\x42\x82", b"webm")), open].concat()
    }),
    bomb("WebM of lengths beyond all bounds", Webm, Kept, || {
        let beyond = b"\x15\x49\xa9\x66\x01\xff\xff\xff\xff\xff\xff\xfe".to_vec();
        [element(b"\x18\x53\x80\x67", &beyond), beyond].concat()
    }),
];

/// A PNG of zeros whose data inflate to so many mebibytes, whatever its head says.
fn flat_png(width: u32, height: u32, color: u8, mebibytes: usize) -> Vec<u8> {
    let data = chunk(b"IDAT", &deflated_zeros(mebibytes));
    [SIGNATURE, &ihdr(width, height, 8, color), &data, &chunk(b"IEND", &[])].concat()
}

fn text_png(name: [u8; 4], head: &[u8]) -> Vec<u8> {
    let text = chunk(&name, &[head, &deflated_zeros(200)].concat());
    let rows = [0; 65].repeat(64);
    png(&ihdr(64, 64, 8, 0), &text, &rows)
}

fn apng() -> Vec<u8> {
    let side = 64_u32.to_be_bytes();
    let zero = 0_u32.to_be_bytes();
    let rows = deflated(&[0; 65].repeat(64));
    let count = chunk(b"acTL", &[20_000_u32.to_be_bytes(), zero].concat());
    let mut out = [SIGNATURE, &ihdr(64, 64, 8, 0), &count].concat();
    let control = |n: u32| {
        let body = [&n.to_be_bytes()[..], &side, &side, &zero, &zero, &[0, 1, 0, 1, 0, 0]].concat();
        chunk(b"fcTL", &body)
    };
    out.extend(control(0));
    out.extend(chunk(b"IDAT", &rows));
    for n in 0..19_999 {
        out.extend(control(2 * n + 1));
        out.extend(chunk(b"fdAT", &[&(2 * n + 2).to_be_bytes()[..], &rows].concat()));
    }
    out.extend(chunk(b"IEND", &[]));
    out
}

/// A GIF of 65,535 by 65,535 with ten thousand frames of codes that never end.
fn gif() -> Vec<u8> {
    let head = b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff";
    let frame = b"\x2c\0\0\0\0\xff\xff\xff\xff\0\x08\xff";
    let frame = [&frame[..], &[0xff; 255], &[0]].concat();
    [&head[..], &frame.repeat(10_000), b";"].concat()
}

/// A small JPEG whose head tells another size.
fn resized_jpeg(width: u16, height: u16, progressive: bool) -> Vec<u8> {
    let mut small = jpeg_of(&quarters(64, 64), (64, 64), None, progressive);
    let marker = if progressive { 0xc2 } else { 0xc0 };
    let head = find(&small, &[0xff, marker]);
    for (place, byte) in small
        .iter_mut()
        .skip(head + 5)
        .zip([height.to_be_bytes(), width.to_be_bytes()].as_flattened())
    {
        *place = *byte;
    }
    small
}

fn find(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).position(|part| part == what).unwrap_or_default()
}

/// A progressive JPEG of 12 million pixels whose last scan is said 20,000 times.
fn many_scans() -> Vec<u8> {
    let mut whole = jpeg_of(&quarters(256, 256), (256, 256), None, true);
    let last = whole.windows(2).rposition(|part| part == [0xff, 0xda]).unwrap_or_default();
    let scan = whole.get(last..whole.len() - 2).unwrap_or_default().to_vec();
    whole.truncate(last);
    whole.extend(scan.repeat(20_000));
    whole.extend([0xff, 0xd9]);
    let head = find(&whole, &[0xff, 0xc2]);
    for (place, byte) in whole.iter_mut().skip(head + 5).zip([0x0b, 0xb8, 0x0f, 0xa0]) {
        *place = byte;
    }
    whole
}

/// A JPEG with something before its pixels, or among them.
fn stuffed_jpeg(what: &[u8], among: bool) -> Vec<u8> {
    let whole = jpeg(64, 64, None);
    let scan = find(&whole, &[0xff, 0xda]);
    let at = if among { whole.len() - 2 } else { scan };
    let (before, after) = whole.split_at(at);
    [before, what, after].concat()
}

fn huffman_table() -> Vec<u8> {
    let whole = jpeg(64, 64, None);
    let table = whole.get(find(&whole, &[0xff, 0xc4])..).unwrap_or_default();
    let length =
        table.get(2..).and_then(<[u8]>::first_chunk).map(|length| u16::from_be_bytes(*length));
    table.get(..usize::from(length.unwrap_or_default()) + 2).unwrap_or_default().to_vec()
}

/// Two directories that name each other as the next, and as the place of details.
fn looping_exif() -> Vec<u8> {
    let entry = |tag: u16, to: u32| {
        [&tag.to_be_bytes()[..], &[0, 4, 0, 0, 0, 1], &to.to_be_bytes()].concat()
    };
    let directory = |to: u32| {
        let entries = [entry(0x8769, to), entry(0x8825, to), entry(0xa005, to)].concat();
        [&3_u16.to_be_bytes()[..], &entries, &to.to_be_bytes()].concat()
    };
    [&b"MM\0\x2a\0\0\0\x08"[..], &directory(50), &directory(8)].concat()
}

/// Fields of every type that claim to have as many values as can be told.
fn counting_exif() -> Vec<u8> {
    let tags = [0x010f_u16, 0x0110, 0x0112, 0x0132, 0x9003, 0x8825];
    let entries: Vec<u8> = tags
        .into_iter()
        .zip((1_u16..=12).cycle())
        .flat_map(|(tag, kind)| [&tag.to_be_bytes()[..], &kind.to_be_bytes(), &[0xff; 8]].concat())
        .collect();
    [&b"MM\0\x2a\0\0\0\x08\0\x06"[..], &entries, &[0; 4]].concat()
}

fn polyglot() -> Vec<u8> {
    let html = format!("<html><script>{CANARY}</script>");
    let length = u16::try_from(html.len() + 2).unwrap_or_default();
    let comment = [&[0xff, 0xfe][..], &length.to_be_bytes(), html.as_bytes()].concat();
    let zip = [&b"PK\x03\x04"[..], CANARY.as_bytes(), b"PK\x05\x06", &[0; 18]].concat();
    [stuffed_jpeg(&comment, false), zip].concat()
}

/// A lossless WebP whose head tells this size and whose pixels are one and the same.
fn lossless_head(width: u32, height: u32) -> Vec<u8> {
    let small = webp(&[0; 3 * 64 * 64], 64, 64);
    let mut stream = small.get(20..).unwrap_or_default().to_vec();
    let bits = (width - 1) | (height - 1) << 14;
    for (place, byte) in stream.iter_mut().skip(1).zip(bits.to_le_bytes()) {
        *place = byte;
    }
    webp_of(&riff(b"VP8L", &stream))
}

fn animation() -> Vec<u8> {
    let side = [63, 0, 0];
    let picture = webp(&quarters(64, 64), 64, 64).split_off(12);
    let head = riff(b"VP8X", &[&[0x02, 0, 0, 0][..], &side, &side].concat());
    let control = riff(b"ANIM", &[0; 6]);
    let frame = [&[0; 6][..], &side, &side, &[1, 0, 0, 0], &picture].concat();
    webp_of(&[head, control, riff(b"ANMF", &frame).repeat(20_000)].concat())
}

/// A box in a box in a box.
fn nested(name: [u8; 4], times: u32) -> Vec<u8> {
    (1..=times).rev().flat_map(|left| [(left * 8).to_be_bytes(), name]).flatten().collect()
}

/// A HEIC file whose table says that 60,000 items are the whole file.
fn many_items() -> Vec<u8> {
    let full = |name: &[u8; 4], version: u8, body: &[u8]| {
        a_box(name, &[&[version, 0, 0, 0], body].concat())
    };
    let count = 60_000_u16;
    let infe =
        |id: u16| full(b"infe", 2, &[&id.to_be_bytes()[..], &[0, 0], b"Exif", &[0]].concat());
    let infos: Vec<u8> = (1..=count).flat_map(infe).collect();
    let iinf = full(b"iinf", 0, &[&count.to_be_bytes()[..], &infos].concat());
    let place = |id: u16| {
        [&id.to_be_bytes()[..], &[0, 0, 0, 1], &[0; 4], &1_000_000_u32.to_be_bytes()].concat()
    };
    let places: Vec<u8> = (1..=count).flat_map(place).collect();
    let iloc = full(b"iloc", 0, &[&[0x44, 0][..], &count.to_be_bytes(), &places].concat());
    let hdlr = full(b"hdlr", 0, &[&[0; 4], &b"pict"[..], &[0; 13]].concat());
    let meta = full(b"meta", 0, &[hdlr, iinf, iloc].concat());
    let zeros: Vec<u8> = repeat_n(0, 100_000).collect();
    [ftyp(b"heic"), meta, a_box(b"mdat", &zeros)].concat()
}
