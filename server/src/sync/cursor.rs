//! Cursors and page tokens: opaque to tablets, bound to one device by a MAC.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sync_protocol::id::{Bucket, ChangeId, DeviceId, EpochId, RecordId, Seq};
use uuid::Uuid;

/// Bytes of the MAC that travel: 128 bit.
const MAC_BYTES: usize = 16;
/// The longest token that is looked at, in characters.
const TOKEN_CHARS_MAX: usize = 512;

/// Where a tablet's pull goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The history that it belongs to.
    pub(crate) epoch: EpochId,
    /// The head at the end of the last complete round of pages: payloads are deltas against it.
    pub(crate) floor: Seq,
    /// The last row returned in this round.
    pub(crate) at: Seq,
    /// The change with seq = `at`: another id there proves a rollback.
    pub(crate) id: ChangeId,
}

impl Cursor {
    /// The cursor of a tablet that was sent nothing.
    pub(super) const fn start(epoch: EpochId) -> Self {
        Self { epoch, floor: Seq(0), at: Seq(0), id: ChangeId(Uuid::nil()) }
    }
}

/// Where the paging of one bucket goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageToken {
    /// The history that it belongs to.
    pub(crate) epoch: EpochId,
    /// The bucket.
    pub(crate) bucket: Bucket,
    /// The head when the paging began.
    pub(crate) began_at: Seq,
    /// The last record that was sent; the nil id at the beginning.
    pub(crate) last: RecordId,
}

/// Writes and reads cursors and tokens.
#[derive(Clone, Debug)]
pub(crate) struct Notary {
    key: hmac::Key,
}

impl Notary {
    /// A notary with this secret.
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    fn seal(&self, kind: &str, device: DeviceId, mut body: Vec<u8>) -> String {
        let mac = self.mac(kind, device, &body);
        body.extend_from_slice(mac.as_ref().get(..MAC_BYTES).unwrap_or_default());
        URL_SAFE_NO_PAD.encode(body)
    }

    fn open(&self, kind: &str, device: DeviceId, text: &str) -> Option<Vec<u8>> {
        if text.len() > TOKEN_CHARS_MAX {
            return None;
        }
        let mut body = URL_SAFE_NO_PAD.decode(text).ok()?;
        let shown = body.split_off(body.len().checked_sub(MAC_BYTES)?);
        let made = self.mac(kind, device, &body);
        let made = made.as_ref().get(..MAC_BYTES)?;
        aws_lc_rs::constant_time::verify_slices_are_equal(made, &shown).ok()?;
        Some(body)
    }

    fn mac(&self, kind: &str, device: DeviceId, body: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(kind.as_bytes());
        context.update(device.0.as_bytes());
        context.update(body);
        context.sign()
    }

    /// Writes a cursor for one device: in the letters in which its ids stand elsewhere in the answer, so that
    /// compression finds them again.
    pub(crate) fn write_cursor(&self, device: DeviceId, cursor: &Cursor) -> String {
        let Cursor { epoch, floor, at, id } = cursor;
        let body = format!("{epoch}.{floor}.{at}.{id}");
        let mac = self.mac("cursor", device, body.as_bytes());
        let mac = URL_SAFE_NO_PAD.encode(mac.as_ref().get(..MAC_BYTES).unwrap_or_default());
        format!("{body}.{mac}")
    }

    /// Reads a cursor of this device; `None` for every other text.
    pub(crate) fn read_cursor(&self, device: DeviceId, text: &str) -> Option<Cursor> {
        let (body, shown) = text.rsplit_once('.').filter(|_| text.len() <= TOKEN_CHARS_MAX)?;
        let made = self.mac("cursor", device, body.as_bytes());
        let shown = URL_SAFE_NO_PAD.decode(shown).ok()?;
        let made = made.as_ref().get(..MAC_BYTES)?;
        aws_lc_rs::constant_time::verify_slices_are_equal(made, &shown).ok()?;
        let mut parts = body.split('.');
        let cursor = Cursor {
            epoch: parts.next()?.parse().ok()?,
            floor: Seq(parts.next()?.parse().ok()?),
            at: Seq(parts.next()?.parse().ok()?),
            id: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(cursor)
    }

    /// Writes a page token for one device.
    pub(crate) fn write_page(&self, device: DeviceId, token: &PageToken) -> String {
        let mut body = Vec::with_capacity(64 + MAC_BYTES);
        body.extend_from_slice(token.epoch.0.as_bytes());
        body.extend_from_slice(&token.began_at.0.to_be_bytes());
        body.extend_from_slice(token.last.0.as_bytes());
        body.extend_from_slice(token.bucket.as_str().as_bytes());
        self.seal("page", device, body)
    }

    /// Reads a page token of this device; `None` for every other text.
    pub(crate) fn read_page(&self, device: DeviceId, text: &str) -> Option<PageToken> {
        let body = self.open("page", device, text)?;
        let mut rest = Reader(&body);
        let epoch = EpochId(rest.uuid()?);
        let began_at = Seq(rest.integer()?);
        let last = RecordId(rest.uuid()?);
        let bucket = std::str::from_utf8(rest.0).ok()?.parse().ok()?;
        Some(PageToken { epoch, bucket, began_at, last })
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn uuid(&mut self) -> Option<Uuid> {
        self.take().map(Uuid::from_bytes)
    }

    fn integer(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(n: u128) -> DeviceId {
        DeviceId(Uuid::from_u128(n))
    }

    #[test]
    fn a_cursor_belongs_to_its_device_and_cannot_be_altered() {
        let notary = Notary::new(b"secret");
        let cursor = Cursor {
            epoch: EpochId(Uuid::from_u128(1)),
            floor: Seq(5),
            at: Seq(9),
            id: ChangeId(Uuid::from_u128(2)),
        };
        let text = notary.write_cursor(device(1), &cursor);
        assert_eq!(notary.read_cursor(device(1), &text), Some(cursor));
        assert_eq!(notary.read_cursor(device(2), &text), None);
        assert_eq!(Notary::new(b"other").read_cursor(device(1), &text), None);
        for at in 0..text.len() {
            let mut altered = text.clone().into_bytes();
            if let Some(byte) = altered.get_mut(at) {
                *byte = if *byte == b'A' { b'B' } else { b'A' };
            }
            let altered = String::from_utf8(altered).unwrap();
            if altered != text {
                assert_ne!(notary.read_cursor(device(1), &altered), Some(cursor), "byte {at}");
            }
        }
    }

    #[test]
    fn a_page_token_is_not_a_cursor() {
        let notary = Notary::new(b"secret");
        let token = PageToken {
            epoch: EpochId(Uuid::from_u128(1)),
            bucket: "station:fs-south".parse().unwrap(),
            began_at: Seq(7),
            last: RecordId(Uuid::nil()),
        };
        let text = notary.write_page(device(1), &token);
        assert_eq!(notary.read_page(device(1), &text), Some(token));
        assert_eq!(notary.read_cursor(device(1), &text), None);
        for wrong in ["", "a", "%%%", &"A".repeat(TOKEN_CHARS_MAX + 1)] {
            assert_eq!(notary.read_page(device(1), wrong), None);
        }
    }
}
