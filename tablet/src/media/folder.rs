//! The folder of photos and videos: files named by what they hold, written whole or not at all.

use crate::chance::OsChance;
use crate::error::TabletError;
use aws_lc_rs::digest::{Context, SHA256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use sync_protocol::blob::{BlobHash, BlobRef, MediaType, SNIFF_BYTES};
use sync_protocol::replica::Chance as _;

/// The name of the folder.
const FOLDER: &str = "media";
/// How a file that is still being written ends.
const DRAFT: &str = ".new";
/// How many bytes are read at a time: 256 KiB.
const READ_BYTES: usize = 256 * 1024;

/// The files of a tablet.
#[derive(Clone, Debug)]
pub struct MediaFolder {
    dir: PathBuf,
}

impl MediaFolder {
    /// Opens the folder of the tablet in `dir`, without what a crash left half written. The first photo makes it.
    pub fn open(dir: &Path) -> Result<Self, TabletError> {
        let folder = Self { dir: dir.join(FOLDER) };
        for (path, _) in folder.files()? {
            if path.to_string_lossy().ends_with(DRAFT) {
                std::fs::remove_file(&path).map_err(TabletError::file(path))?;
            }
        }
        Ok(folder)
    }

    /// What a file is, told by its first bytes; none when it is neither a photo nor a video.
    pub fn kind_of(file: &Path) -> Result<Option<MediaType>, TabletError> {
        let mut head = Vec::new();
        let read =
            File::open(file).and_then(|file| file.take(SNIFF_BYTES as u64).read_to_end(&mut head));
        read.map_err(TabletError::file(file))?;
        Ok(MediaType::of_bytes(&head))
    }

    /// Where the bytes of a blob lie, if they are here.
    pub fn path(&self, blob: &BlobRef) -> PathBuf {
        self.dir.join(format!("{}.{}", blob.sha256, blob.kind.extension()))
    }

    /// Whether all bytes of a blob are here.
    pub fn has(&self, blob: &BlobRef) -> bool {
        std::fs::metadata(self.path(blob)).is_ok_and(|file| file.len() == blob.bytes)
    }

    /// Copies a photo or a video into the folder; it is on disk, under its hash, when this returns. Blocks.
    pub fn take_in(&self, source: &Path) -> Result<BlobRef, TabletError> {
        let mut from = File::open(source).map_err(TabletError::file(source))?;
        let kind = sniff(&from, source)?;
        self.make()?;
        let draft = self.dir.join(format!("{:032x}{DRAFT}", OsChance.bits()));
        let taken = self.copy(&mut from, source, kind, &draft);
        if taken.is_err() {
            drop(std::fs::remove_file(&draft));
        }
        taken
    }

    /// Makes the folder, so that it is there after a power failure too.
    fn make(&self) -> Result<(), TabletError> {
        if self.dir.is_dir() {
            return Ok(());
        }
        let above = self.dir.parent().unwrap_or(&self.dir);
        let made = std::fs::create_dir(&self.dir).and_then(|()| File::open(above)?.sync_all());
        made.map_err(TabletError::file(&self.dir))
    }

    fn copy(
        &self,
        from: &mut File,
        source: &Path,
        kind: MediaType,
        draft: &Path,
    ) -> Result<BlobRef, TabletError> {
        let mut to = File::create(draft).map_err(TabletError::file(draft))?;
        let mut hash = Context::new(&SHA256);
        let mut buffer = vec![0; READ_BYTES];
        let mut bytes = 0;
        loop {
            let n = from.read(&mut buffer).map_err(TabletError::file(source))?;
            let Some(read) = buffer.get(..n).filter(|read| !read.is_empty()) else { break };
            bytes += read.len() as u64;
            if bytes > kind.bytes_max() {
                return Err(too_large(source, kind));
            }
            hash.update(read);
            to.write_all(read).map_err(TabletError::file(draft))?;
        }
        let blob = BlobRef { sha256: hash_of(hash), bytes, kind };
        let path = self.path(&blob);
        let kept = to.sync_all().and_then(|()| std::fs::rename(draft, &path));
        kept.and_then(|()| File::open(&self.dir)?.sync_all()).map_err(TabletError::file(path))?;
        Ok(blob)
    }

    /// A piece of a blob. Blocks.
    pub fn piece(&self, blob: &BlobRef, at: u64, bytes: usize) -> Result<Vec<u8>, TabletError> {
        let path = self.path(blob);
        let mut piece = vec![0; bytes];
        let read = File::open(&path).and_then(|mut file| {
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut piece)
        });
        read.map_err(TabletError::file(path))?;
        Ok(piece)
    }

    /// Whether the bytes of a blob are those that its name says. Blocks.
    pub fn is_whole(&self, blob: &BlobRef) -> Result<bool, TabletError> {
        let path = self.path(blob);
        let read = || {
            let mut file = File::open(&path)?;
            let mut hash = Context::new(&SHA256);
            let mut buffer = vec![0; READ_BYTES];
            loop {
                match file.read(&mut buffer)? {
                    0 => return Ok(hash_of(hash) == blob.sha256),
                    n => hash.update(buffer.get(..n).unwrap_or_default()),
                }
            }
        };
        read().map_err(TabletError::file(&path))
    }

    /// Deletes the bytes of a blob, of whatever type it was said to be. What is not here is deleted already.
    pub fn remove(&self, sha256: BlobHash) -> Result<(), TabletError> {
        let files = self.files()?;
        if files.is_empty() {
            return Ok(());
        }
        for (path, _) in files {
            if named(&path) == Some(sha256) {
                std::fs::remove_file(&path).map_err(TabletError::file(path))?;
            }
        }
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(TabletError::file(&self.dir))
    }

    /// The blobs whose bytes are here, with the time of the newest file of each.
    pub fn blobs(&self) -> Result<BTreeMap<BlobHash, SystemTime>, TabletError> {
        let mut blobs = BTreeMap::new();
        for (path, at) in self.files()? {
            if let Some(sha256) = named(&path) {
                let newest = blobs.entry(sha256).or_insert(at);
                *newest = at.max(*newest);
            }
        }
        Ok(blobs)
    }

    fn files(&self) -> Result<Vec<(PathBuf, SystemTime)>, TabletError> {
        let list = || {
            let mut files = Vec::new();
            let entries = match std::fs::read_dir(&self.dir) {
                Ok(entries) => entries,
                Err(e) if e.kind() == ErrorKind::NotFound => return Ok(files),
                Err(e) => return Err(e),
            };
            for entry in entries {
                let entry = entry?;
                files.push((entry.path(), entry.metadata()?.modified()?));
            }
            Ok(files)
        };
        list().map_err(TabletError::file(&self.dir))
    }
}

/// The hash in the name of a file.
fn named(path: &Path) -> Option<BlobHash> {
    path.file_stem()?.to_str()?.parse().ok()
}

fn hash_of(hash: Context) -> BlobHash {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash.finish().as_ref());
    BlobHash(bytes)
}

/// What a file is, told by its first bytes and not by its name.
fn sniff(from: &File, source: &Path) -> Result<MediaType, TabletError> {
    let file = from.metadata().map_err(TabletError::file(source))?;
    let name = source.display();
    if !file.is_file() {
        return Err(TabletError::NotTaken(format!("{name} is not a file")));
    }
    let kind = MediaFolder::kind_of(source)?.ok_or_else(|| {
        TabletError::NotTaken(format!(
            "{name} is neither a photo (JPEG, PNG, WebP, HEIC) nor a video (MP4, QuickTime, WebM): \
             convert it, or photograph it again"
        ))
    })?;
    if file.len() > kind.bytes_max() {
        return Err(too_large(source, kind));
    }
    Ok(kind)
}

fn too_large(source: &Path, kind: MediaType) -> TabletError {
    const MIB: u64 = 1024 * 1024;
    let max = kind.bytes_max() / MIB;
    let (what, way_out) = if kind.is_video() {
        ("video", "film in shorter pieces or with fewer dots")
    } else {
        ("photo", "take it with fewer dots")
    };
    TabletError::NotTaken(format!(
        "{} is too large: a {what} may have {max} MiB; {way_out}",
        source.display()
    ))
}
