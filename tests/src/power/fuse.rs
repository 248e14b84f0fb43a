//! The forgetful disk, mounted.

use super::disk::{Disk, Node, PAGE, ROOT};
use anyhow::{Context as _, Result};
use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};
use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nothing is remembered by the kernel.
const TTL: Duration = Duration::ZERO;

/// Whether this machine can mount it.
pub fn is_possible() -> bool {
    std::fs::File::options().read(true).write(true).open("/dev/fuse").is_ok()
}

/// A mounted disk.
#[derive(Debug)]
pub struct Mounted {
    session: BackgroundSession,
}

impl Mounted {
    /// Mounts a disk on an empty folder.
    pub fn new(disk: &Arc<Mutex<Disk>>, folder: &Path) -> Result<Self> {
        let shown = Shown(Arc::clone(disk));
        let session = fuser::spawn_mount(shown, folder, &Config::default())
            .with_context(|| format!("cannot mount on {}", folder.display()))?;
        Ok(Self { session })
    }

    /// Unmounts it; whatever used it must have ended.
    pub fn unmount(self) -> Result<()> {
        Ok(self.session.umount_and_join()?)
    }
}

/// What the kernel asks.
struct Shown(Arc<Mutex<Disk>>);

impl Shown {
    /// The disk, unless the power is off.
    fn disk(&self) -> Result<MutexGuard<'_, Disk>, Errno> {
        let disk = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if disk.is_off { Err(Errno::EIO) } else { Ok(disk) }
    }

    fn named(&self, parent: INodeNo, name: &OsStr) -> Result<FileAttr, Errno> {
        let mut disk = self.disk()?;
        let ino = disk.lookup(parent.0, word(name)?).ok_or(Errno::ENOENT)?;
        attr(&disk, ino)
    }

    fn made(&self, parent: INodeNo, name: &OsStr, is_folder: bool) -> Result<FileAttr, Errno> {
        let mut disk = self.disk()?;
        let ino = disk.make(parent.0, word(name)?, is_folder).ok_or(Errno::EEXIST)?;
        attr(&disk, ino)
    }

    fn removed(&self, parent: INodeNo, name: &OsStr) -> Result<(), Errno> {
        let gone = self.disk()?.unlink(parent.0, word(name)?);
        if gone { Ok(()) } else { Err(Errno::ENOENT) }
    }

    fn synced(&self, ino: INodeNo) -> Result<(), Errno> {
        self.disk()?.sync(ino.0);
        Ok(())
    }
}

fn word(name: &OsStr) -> Result<&str, Errno> {
    name.to_str().ok_or(Errno::EINVAL)
}

fn attr(disk: &Disk, ino: u64) -> Result<FileAttr, Errno> {
    let (kind, perm, size) = match disk.node(ino).ok_or(Errno::ENOENT)? {
        Node::File(file) => (FileType::RegularFile, 0o644, file.now.len()),
        Node::Folder(_) => (FileType::Directory, 0o755, PAGE),
    };
    let size = u64::try_from(size).map_err(|_| Errno::EFBIG)?;
    Ok(FileAttr {
        ino: INodeNo(ino),
        size,
        blocks: size.div_ceil(512),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    })
}

fn told(done: Result<(), Errno>, reply: ReplyEmpty) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

fn entered(found: Result<FileAttr, Errno>, reply: ReplyEntry) {
    match found {
        Ok(attr) => reply.entry(&TTL, &attr, Generation(0)),
        Err(error) => reply.error(error),
    }
}

impl Filesystem for Shown {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entered(self.named(parent, name), reply);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.disk().and_then(|disk| attr(&disk, ino.0)) {
            Ok(attr) => reply.attr(&TTL, &attr),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let set = self.disk().and_then(|mut disk| {
            if let (Some(size), Some(file)) = (size, disk.file(ino.0)) {
                file.resize(usize::try_from(size).map_err(|_| Errno::EFBIG)?);
            }
            attr(&disk, ino.0)
        });
        match set {
            Ok(attr) => reply.attr(&TTL, &attr),
            Err(error) => reply.error(error),
        }
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        entered(self.made(parent, name, true), reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        told(self.removed(parent, name), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let done = self.disk().and_then(|mut disk| {
            let ino = disk.lookup(parent.0, word(name)?).ok_or(Errno::ENOENT)?;
            let is_empty = disk.folder(ino).is_some_and(|folder| folder.now.is_empty());
            if is_empty && disk.unlink(parent.0, word(name)?) {
                Ok(())
            } else {
                Err(Errno::ENOTEMPTY)
            }
        });
        told(done, reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let done = self.disk().and_then(|mut disk| {
            if disk.rename((parent.0, word(name)?), (newparent.0, word(newname)?)) {
                Ok(())
            } else {
                Err(Errno::ENOENT)
            }
        });
        told(done, reply);
    }

    fn link(
        &self,
        _: &Request,
        ino: INodeNo,
        newparent: INodeNo,
        newname: &OsStr,
        reply: ReplyEntry,
    ) {
        let found = self.disk().and_then(|mut disk| {
            if disk.link(ino.0, newparent.0, word(newname)?) {
                attr(&disk, ino.0)
            } else {
                Err(Errno::EEXIST)
            }
        });
        entered(found, reply);
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::empty());
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut disk = match self.disk() {
            Ok(disk) => disk,
            Err(error) => return reply.error(error),
        };
        let Some(file) = disk.file(ino.0) else { return reply.error(Errno::ENOENT) };
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(file.now.len());
        let end = from.saturating_add(usize::try_from(size).unwrap_or(0)).min(file.now.len());
        reply.data(file.now.get(from..end).unwrap_or_default());
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut disk = match self.disk() {
            Ok(disk) => disk,
            Err(error) => return reply.error(error),
        };
        let (Some(file), Ok(at)) = (disk.file(ino.0), usize::try_from(offset)) else {
            return reply.error(Errno::ENOENT);
        };
        file.write(at, data);
        reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX));
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        told(self.synced(ino), reply);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        told(self.synced(ino), reply);
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let mut disk = match self.disk() {
            Ok(disk) => disk,
            Err(error) => return reply.error(error),
        };
        let Some(folder) = disk.folder(ino.0) else { return reply.error(Errno::ENOTDIR) };
        let mut names = vec![(".".to_owned(), ino.0), ("..".to_owned(), ROOT)];
        names.extend(folder.now.iter().map(|(name, ino)| (name.clone(), *ino)));
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        for (next, (name, ino)) in (1_u64..).zip(names).skip(skip) {
            let kind = match disk.node(ino) {
                Some(Node::Folder(_)) => FileType::Directory,
                _ => FileType::RegularFile,
            };
            if reply.add(INodeNo(ino), next, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let (blocks, files) = (1 << 24, 1 << 20);
        reply.statfs(blocks, blocks, blocks, files, files, 4096, 255, 4096);
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        match self.made(parent, name, false) {
            Ok(attr) => {
                reply.created(&TTL, &attr, Generation(0), FileHandle(0), FopenFlags::empty());
            }
            Err(error) => reply.error(error),
        }
    }
}
