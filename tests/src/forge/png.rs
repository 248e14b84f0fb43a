//! PNG, chunk by chunk.

use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::io::Write as _;

/// What every PNG begins with.
pub const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// One chunk of a PNG.
pub fn chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(name);
    crc.update(body);
    let length = u32::try_from(body.len()).expect("a chunk that fits");
    [&length.to_be_bytes(), &name[..], body, &crc.sum().to_be_bytes()].concat()
}

/// The head of a PNG: 0 is grey, 2 colour, 6 colour with transparency.
pub fn ihdr(width: u32, height: u32, depth: u8, color: u8) -> Vec<u8> {
    let body = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[depth, color, 0, 0, 0]].concat();
    chunk(b"IHDR", &body)
}

/// A PNG with chunks before its pixels; each row begins with its filter.
pub fn png(head: &[u8], before: &[u8], rows: &[u8]) -> Vec<u8> {
    let pixels = chunk(b"IDAT", &deflated(rows));
    [SIGNATURE, head, before, &pixels, &chunk(b"IEND", &[])].concat()
}

/// Bytes, deflated.
pub fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut out = ZlibEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).and_then(|()| out.finish()).expect("memory is written to")
}

/// So many zero bytes, deflated piece by piece.
pub fn deflated_zeros(mebibytes: usize) -> Vec<u8> {
    let piece = vec![0; 1024 * 1024];
    let mut out = ZlibEncoder::new(Vec::new(), Compression::best());
    for _ in 0..mebibytes {
        out.write_all(&piece).expect("memory is written to");
    }
    out.finish().expect("memory is written to")
}
