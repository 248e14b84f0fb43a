//! Pictures and a film that no camera has made: whole files, small, and each another one.

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use std::io::Write as _;

/// The sides of a picture, in dots.
const WIDTH: u32 = 400;
const HEIGHT: u32 = 300;
/// How many units a second of a film has.
const UNITS: u32 = 1_000;

/// A PNG of a wall with one spot on it; `shade` and `spot` make it another one.
pub fn picture(shade: u8, spot: u32) -> std::io::Result<Vec<u8>> {
    let mut rows = Vec::new();
    for y in 0..HEIGHT {
        rows.push(0);
        for x in 0..WIDTH {
            let far = x.abs_diff(spot).max(y.abs_diff(HEIGHT / 2)) > 40;
            let grain = u8::try_from((x * 7 + y * 13) % 32).unwrap_or(0);
            let light = if far { shade } else { shade / 4 };
            rows.extend([light.saturating_add(grain), light, light.saturating_sub(grain)]);
        }
    }
    // Not compressed: the picture has the weight of a photo.
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::none());
    packed.write_all(&rows)?;
    let mut head = [WIDTH.to_be_bytes(), HEIGHT.to_be_bytes()].concat();
    head.extend([8, 2, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, body) in [(b"IHDR", head), (b"IDAT", packed.finish()?), (b"IEND", Vec::new())] {
        file.extend(length(body.len()));
        file.extend(name);
        file.extend(&body);
        let mut crc = Crc::new();
        crc.update(name);
        crc.update(&body);
        file.extend(crc.sum().to_be_bytes());
    }
    Ok(file)
}

/// An MP4 of so many seconds and about so many bytes, whose header tells its length and when it was made.
pub fn film(seconds: u32, bytes: usize) -> Vec<u8> {
    let mut header = vec![0; 12];
    header.extend(UNITS.to_be_bytes());
    header.extend((seconds * UNITS).to_be_bytes());
    header.extend(0x0001_0000_u32.to_be_bytes());
    header.resize(100, 0);
    let grain = (0..bytes).map(|at| u8::try_from((at * at / 7 + at) % 251).unwrap_or(0)).collect();
    let mut file = atom(*b"ftyp", b"isom\0\0\x02\0isommp42".to_vec());
    file.extend(atom(*b"moov", atom(*b"mvhd", header)));
    file.extend(atom(*b"mdat", grain));
    file
}

fn atom(name: [u8; 4], body: Vec<u8>) -> Vec<u8> {
    let mut atom = length(body.len() + 8).to_vec();
    atom.extend(name);
    atom.extend(body);
    atom
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sync_protocol::blob::MediaType;

    #[test]
    fn what_is_made_is_what_it_is_called() -> std::io::Result<()> {
        let picture = picture(200, 100)?;
        assert_eq!(MediaType::of_bytes(&picture), Some(MediaType::Png));
        assert!((300_000..500_000).contains(&picture.len()), "{}", picture.len());
        assert_eq!(MediaType::of_bytes(&film(8, 1_000)), Some(MediaType::Mp4));
        assert_ne!(super::picture(200, 101)?, picture);
        Ok(())
    }
}
