//! Which parts of a film its facts are in: found by a few small readings, so that gigabytes stay where they are.

use axum::body::Bytes;
use image_worker::wire::FILM_BYTES_MAX;
use std::future::Future;
use std::io;
use std::ops::Range;
use sync_protocol::blob::MediaType;

/// The boxes of a film that are looked at.
pub const BOXES_MAX: usize = 64;
/// The largest table of contents that is read.
pub const MOOV_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The beginning of a `WebM` film in which its facts are sought.
pub const WEBM_HEAD_BYTES: u64 = 1024 * 1024;
/// The largest first box of a film that is handed on.
const FTYP_BYTES_MAX: u64 = FILM_BYTES_MAX - MOOV_BYTES_MAX;
/// The longest head of a box.
const HEAD_BYTES: u64 = 16;

/// Finds the parts of a film of `bytes` bytes that a worker is given; none if its table of contents is not found
/// within the bounds. `read` gives the bytes of a range.
pub async fn parts<R>(
    kind: MediaType,
    bytes: u64,
    mut read: impl FnMut(Range<u64>) -> R,
) -> io::Result<Vec<Range<u64>>>
where
    R: Future<Output = io::Result<Bytes>>,
{
    if kind == MediaType::Webm {
        return Ok(vec![Range { start: 0, end: bytes.min(WEBM_HEAD_BYTES) }]);
    }
    let (mut parts, mut at) = (Vec::new(), 0);
    for _ in 0..BOXES_MAX {
        if bytes.saturating_sub(at) < 8 {
            break;
        }
        let head = read(at..bytes.min(at + HEAD_BYTES)).await?;
        let Some((name, length)) = name_and_length(&head, bytes - at) else { break };
        let end = at.saturating_add(length);
        match &name {
            b"ftyp" if at == 0 && length <= FTYP_BYTES_MAX => parts.push(at..end.min(bytes)),
            b"moov" => {
                if length <= MOOV_BYTES_MAX {
                    parts.push(at..end.min(bytes));
                    return Ok(parts);
                }
                break;
            }
            _ => {}
        }
        at = end;
    }
    Ok(Vec::new())
}

/// The name of a box and its length with its head; none if it is no box.
fn name_and_length(head: &[u8], rest: u64) -> Option<([u8; 4], u64)> {
    let small = u32::from_be_bytes(*head.first_chunk()?);
    let name = *head.get(4..)?.first_chunk()?;
    let length = match small {
        0 => rest,
        1 => u64::from_be_bytes(*head.get(8..)?.first_chunk()?),
        small => small.into(),
    };
    (length >= 8).then_some((name, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_box(name: [u8; 4], body: usize) -> Vec<u8> {
        let length = u32::try_from(body + 8).unwrap();
        [&length.to_be_bytes()[..], &name, &vec![7; body]].concat()
    }

    async fn found(file: &[u8]) -> (Vec<Range<u64>>, usize) {
        let mut readings = 0;
        let read = |range: Range<u64>| {
            readings += 1;
            let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
            let bytes = Bytes::copy_from_slice(&file[range]);
            async move { Ok(bytes) }
        };
        let bytes = u64::try_from(file.len()).unwrap();
        let parts = parts(MediaType::Mp4, bytes, read).await.unwrap();
        (parts, readings)
    }

    #[tokio::test]
    async fn the_table_of_contents_is_found_in_front_and_at_the_end() {
        let (ftyp, moov, mdat) = (a_box(*b"ftyp", 16), a_box(*b"moov", 100), a_box(*b"mdat", 999));
        let first = [&ftyp[..], &moov, &mdat].concat();
        assert_eq!(found(&first).await, ([0..24, 24..132].into(), 2));
        let last = [&ftyp[..], &mdat, &moov].concat();
        assert_eq!(found(&last).await, ([0..24, 1_031..1_139].into(), 3));
        let mut long =
            [&ftyp[..], &1_u32.to_be_bytes(), b"mdat", &1_015_u64.to_be_bytes()].concat();
        long.extend([7; 999]);
        long.extend(&moov);
        assert_eq!(found(&long).await, ([0..24, 1_039..1_147].into(), 3));
    }

    #[tokio::test]
    async fn a_film_without_an_end_is_given_up() {
        let many = a_box(*b"free", 0).repeat(BOXES_MAX - 1);
        let reached = [&many[..], &a_box(*b"moov", 4)].concat();
        assert_eq!(found(&reached).await.0.len(), 1);
        let beyond = [&many[..], &a_box(*b"free", 0), &a_box(*b"moov", 4)].concat();
        assert_eq!(found(&beyond).await, (Vec::new(), BOXES_MAX));
        for bad in [&b"\0\0\0\x07moov"[..], b"\0\0\0\x01moov\0\0\0\0\0\0\0\x07", b"", b"\0\0\0"] {
            assert_eq!(found(bad).await.0, Vec::new());
        }
        let endless = [&b"\0\0\0\x01mdat"[..], &u64::MAX.to_be_bytes()].concat();
        assert_eq!(found(&endless).await, (Vec::new(), 1));
    }

    #[tokio::test]
    async fn a_table_of_contents_has_a_bound() {
        for (length, whole) in [(MOOV_BYTES_MAX, true), (MOOV_BYTES_MAX + 1, false)] {
            let small = u32::try_from(length).unwrap();
            let head = Bytes::from([&small.to_be_bytes()[..], b"moov", &[0; 8]].concat());
            let found = parts(MediaType::Mov, length, |_| {
                let head = head.clone();
                async move { Ok(head) }
            });
            let all = Range { start: 0, end: length };
            assert_eq!(found.await.unwrap() == [all], whole);
        }
    }
}
