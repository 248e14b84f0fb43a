//! Inflates a body while counting, so that a small body cannot become a large one unseen.

use crate::problem::ApiError;
use std::io::Read;
use sync_protocol::wire::INFLATE_RATIO_MAX;

/// What a body of any ratio may become: too little to hurt.
const RATIO_FLOOR_BYTES: usize = 16 * 1024;
/// From this size on the wire a body gets memory of its own.
const LARGE_BYTES_MIN: usize = 32 * 1024;
/// So much that the allocator of the system maps it apart, and gives it back as soon as it is free: 33 MiB of addresses, of
/// which only what is written takes memory. Less would stay with each of the threads that ever inflated a body.
const MAPPED_BYTES: usize = 33 * 1024 * 1024;
/// The largest window that a zstd frame may ask for: 8 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
const CHUNK_BYTES: usize = 16 * 1024;

/// How a body travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Encoding {
    /// Reads a `Content-Encoding`; one encoding, no chains.
    pub fn read(header: Option<&[u8]>) -> Result<Self, ApiError> {
        match header.map(<[u8]>::to_ascii_lowercase).as_deref() {
            None | Some(b"" | b"identity") => Ok(Self::Identity),
            Some(b"gzip" | b"x-gzip") => Ok(Self::Gzip),
            Some(b"zstd") => Ok(Self::Zstd),
            Some(_) => Err(ApiError::UnsupportedEncoding),
        }
    }
}

/// Why a body does not inflate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bomb {
    /// More than the bound in bytes.
    Bytes,
    /// More than [`INFLATE_RATIO_MAX`] times its size on the wire.
    Ratio,
    /// Not of its encoding.
    Damaged,
}

/// Inflates `wire` to at most `bytes_max` bytes.
pub fn inflate(encoding: Encoding, wire: &[u8], bytes_max: usize) -> Result<Vec<u8>, Bomb> {
    match encoding {
        Encoding::Identity if wire.len() > bytes_max => Err(Bomb::Bytes),
        Encoding::Identity => Ok(wire.to_vec()),
        Encoding::Gzip => counted(flate2::read::MultiGzDecoder::new(wire), wire.len(), bytes_max),
        Encoding::Zstd => {
            let mut decoder =
                zstd::stream::read::Decoder::with_buffer(wire).map_err(|_| Bomb::Damaged)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(|_| Bomb::Damaged)?;
            counted(decoder, wire.len(), bytes_max)
        }
    }
}

fn counted(mut source: impl Read, wire_bytes: usize, bytes_max: usize) -> Result<Vec<u8>, Bomb> {
    let ratio_bytes = wire_bytes.saturating_mul(INFLATE_RATIO_MAX).max(RATIO_FLOOR_BYTES);
    let likely = wire_bytes.saturating_mul(4).min(bytes_max);
    let large = wire_bytes >= LARGE_BYTES_MIN;
    let mut out = Vec::with_capacity(if large { MAPPED_BYTES } else { likely });
    let mut chunk = [0; CHUNK_BYTES];
    loop {
        let read = source.read(&mut chunk).map_err(|_| Bomb::Damaged)?;
        let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(out);
        };
        if out.len() + bytes.len() > bytes_max {
            return Err(Bomb::Bytes);
        }
        if out.len() + bytes.len() > ratio_bytes {
            return Err(Bomb::Ratio);
        }
        out.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use sync_protocol::wire::INFLATED_BYTES_MAX;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).expect("written");
        encoder.finish().expect("finished")
    }

    /// Bytes that hardly compress.
    fn noise(len: u32) -> Vec<u8> {
        (0..len).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
    }

    #[test]
    fn both_encodings_give_the_bytes_back() {
        let plain = noise(100_000);
        let zstd = zstd::stream::encode_all(plain.as_slice(), 3).expect("encoded");
        let max = INFLATED_BYTES_MAX;
        assert_eq!(inflate(Encoding::Gzip, &gzip(&plain), max), Ok(plain.clone()));
        assert_eq!(inflate(Encoding::Zstd, &zstd, max), Ok(plain.clone()));
        assert_eq!(inflate(Encoding::Identity, &plain, max), Ok(plain));
    }

    #[test]
    fn each_side_of_the_byte_bound() {
        let plain = noise(50_000);
        for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Zstd] {
            let wire = match encoding {
                Encoding::Identity => plain.clone(),
                Encoding::Gzip => gzip(&plain),
                Encoding::Zstd => zstd::stream::encode_all(plain.as_slice(), 3).expect("encoded"),
            };
            assert!(inflate(encoding, &wire, 50_000).is_ok());
            assert_eq!(inflate(encoding, &wire, 49_999), Err(Bomb::Bytes));
        }
    }

    #[test]
    fn a_bomb_is_stopped_by_its_ratio_and_damage_is_named() {
        let zeros = vec![0; 4 * 1024 * 1024];
        let zstd = zstd::stream::encode_all(zeros.as_slice(), 3).expect("encoded");
        for (encoding, wire) in [(Encoding::Gzip, gzip(&zeros)), (Encoding::Zstd, zstd)] {
            assert_eq!(inflate(encoding, &wire, INFLATED_BYTES_MAX), Err(Bomb::Ratio));
            let cut = wire.get(..wire.len() / 2).expect("half");
            assert!(inflate(encoding, cut, INFLATED_BYTES_MAX).is_err());
            assert_eq!(inflate(encoding, b"not this", 100), Err(Bomb::Damaged));
        }
        let small = vec![0; RATIO_FLOOR_BYTES];
        assert_eq!(inflate(Encoding::Gzip, &gzip(&small), INFLATED_BYTES_MAX), Ok(small));
    }

    #[test]
    fn one_encoding_and_no_chain() {
        assert_eq!(Encoding::read(Some(b"GZIP")).ok(), Some(Encoding::Gzip));
        for other in [&b"br"[..], b"deflate", b"gzip, gzip", b"gzip,zstd"] {
            assert!(Encoding::read(Some(other)).is_err());
        }
    }
}
