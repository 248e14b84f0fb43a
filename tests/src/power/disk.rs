//! A disk in memory that knows what a power cut would leave of it.
//!
//! What was written is there for readers at once and durable by an fsync of the file. A name is durable by an fsync of
//! its folder; the name under which a file was made also by an fsync of the file, as on ext4.

use crate::crash::dice::Dice;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes that reach the disk together.
pub const PAGE: usize = 4096;
/// The folder from which everything hangs.
pub const ROOT: u64 = 1;

/// A file: its bytes now and those that are durable.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// What readers see.
    pub now: Vec<u8>,
    kept: Vec<u8>,
    dirty: BTreeSet<usize>,
    made_as: Option<(u64, String)>,
}

/// A folder: its names now and those that are durable.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    /// What readers see.
    pub now: BTreeMap<String, u64>,
    kept: BTreeMap<String, u64>,
}

/// What a number names.
#[derive(Clone, Debug)]
pub enum Node {
    /// A file.
    File(File),
    /// A folder.
    Folder(Folder),
}

/// The disk.
#[derive(Clone, Debug)]
pub struct Disk {
    nodes: BTreeMap<u64, Node>,
    next: u64,
    /// Whether the power is off: nothing is read or written any more.
    pub is_off: bool,
}

impl Default for Disk {
    fn default() -> Self {
        let root = Node::Folder(Folder::default());
        Self { nodes: BTreeMap::from([(ROOT, root)]), next: ROOT + 1, is_off: false }
    }
}

impl File {
    /// Writes bytes at a place.
    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        let before = self.now.len();
        if end > before {
            self.now.resize(end, 0);
        }
        if let Some(place) = self.now.get_mut(at..end) {
            place.copy_from_slice(bytes);
        }
        self.dirty.extend(at.min(before) / PAGE..=end.saturating_sub(1) / PAGE);
    }

    /// Gives it another length.
    pub fn resize(&mut self, length: usize) {
        let pages = self.now.len().min(length) / PAGE..=self.now.len().max(length) / PAGE;
        self.now.resize(length, 0);
        self.dirty.extend(pages);
    }

    fn sync(&mut self) {
        self.kept.resize(self.now.len(), 0);
        for page in std::mem::take(&mut self.dirty) {
            self.keep(page);
        }
    }

    fn keep(&mut self, page: usize) {
        let end = ((page + 1) * PAGE).min(self.now.len());
        let from = (page * PAGE).min(end);
        if self.kept.len() < end {
            self.kept.resize(end, 0);
        }
        if let (Some(to), Some(bytes)) = (self.kept.get_mut(from..end), self.now.get(from..end)) {
            to.copy_from_slice(bytes);
        }
    }
}

impl Disk {
    /// The file or folder of a number.
    pub fn node(&self, ino: u64) -> Option<&Node> {
        self.nodes.get(&ino)
    }

    /// The file of a number.
    pub fn file(&mut self, ino: u64) -> Option<&mut File> {
        match self.nodes.get_mut(&ino)? {
            Node::File(file) => Some(file),
            Node::Folder(_) => None,
        }
    }

    /// The folder of a number.
    pub fn folder(&mut self, ino: u64) -> Option<&mut Folder> {
        match self.nodes.get_mut(&ino)? {
            Node::Folder(folder) => Some(folder),
            Node::File(_) => None,
        }
    }

    /// What a name in a folder stands for.
    pub fn lookup(&mut self, parent: u64, name: &str) -> Option<u64> {
        self.folder(parent)?.now.get(name).copied()
    }

    /// Makes a file or a folder; `None` when the name is taken or the folder is none.
    pub fn make(&mut self, parent: u64, name: &str, is_folder: bool) -> Option<u64> {
        let ino = self.next;
        let folder = self.folder(parent)?;
        if folder.now.contains_key(name) {
            return None;
        }
        folder.now.insert(name.to_owned(), ino);
        let node = if is_folder {
            Node::Folder(Folder::default())
        } else {
            Node::File(File { made_as: Some((parent, name.to_owned())), ..File::default() })
        };
        self.nodes.insert(ino, node);
        self.next += 1;
        Some(ino)
    }

    /// Gives a file one more name.
    pub fn link(&mut self, ino: u64, parent: u64, name: &str) -> bool {
        match self.folder(parent) {
            Some(folder) if !folder.now.contains_key(name) => {
                folder.now.insert(name.to_owned(), ino);
                true
            }
            _ => false,
        }
    }

    /// Takes a name away.
    pub fn unlink(&mut self, parent: u64, name: &str) -> bool {
        self.folder(parent).is_some_and(|folder| folder.now.remove(name).is_some())
    }

    /// Gives what has one name another one.
    pub fn rename(&mut self, from: (u64, &str), to: (u64, &str)) -> bool {
        let Some(ino) = self.folder(from.0).and_then(|folder| folder.now.remove(from.1)) else {
            return false;
        };
        self.folder(to.0).is_some_and(|folder| {
            folder.now.insert(to.1.to_owned(), ino);
            true
        })
    }

    /// Makes a file durable, and a folder's names.
    pub fn sync(&mut self, ino: u64) {
        match self.nodes.get_mut(&ino) {
            Some(Node::Folder(folder)) => folder.kept.clone_from(&folder.now),
            Some(Node::File(file)) => {
                file.sync();
                let Some((parent, name)) = file.made_as.clone() else { return };
                if let Some(folder) = self.folder(parent)
                    && folder.now.get(&name) == Some(&ino)
                {
                    folder.kept.insert(name, ino);
                }
            }
            None => {}
        }
    }

    /// What is left when the power comes back. Of what was not fsynced, `dice` says which pages had reached the disk by
    /// chance; without dice none had.
    pub fn come_back(&mut self, mut dice: Option<Dice>) {
        for node in self.nodes.values_mut() {
            match node {
                Node::Folder(folder) => folder.now.clone_from(&folder.kept),
                Node::File(file) => {
                    for page in std::mem::take(&mut file.dirty) {
                        if dice.as_mut().is_some_and(|dice| dice.below(2) == 0) {
                            file.keep(page);
                        }
                    }
                    file.now.clone_from(&file.kept);
                }
            }
        }
        let mut reached = BTreeSet::from([ROOT]);
        let mut next = vec![ROOT];
        while let Some(ino) = next.pop() {
            if let Some(Node::Folder(folder)) = self.nodes.get(&ino) {
                next.extend(folder.now.values().copied().filter(|ino| reached.insert(*ino)));
            }
        }
        self.nodes.retain(|ino, _| reached.contains(ino));
        self.is_off = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(disk: &mut Disk, name: &str) -> Option<Vec<u8>> {
        let ino = disk.lookup(ROOT, name)?;
        disk.file(ino).map(|file| file.now.clone())
    }

    #[test]
    fn only_what_was_fsynced_comes_back() {
        let mut disk = Disk::default();
        let ino = disk.make(ROOT, "a", false).expect("a new name");
        disk.file(ino).expect("a file").write(0, b"kept");
        disk.sync(ino);
        disk.file(ino).expect("a file").write(0, b"lost and longer");
        assert_eq!(read(&mut disk, "a").as_deref(), Some(&b"lost and longer"[..]));
        disk.come_back(None);
        assert_eq!(read(&mut disk, "a").as_deref(), Some(&b"kept"[..]));
    }

    #[test]
    fn a_rename_lasts_by_an_fsync_of_its_folder() {
        for synced in [false, true] {
            let mut disk = Disk::default();
            let ino = disk.make(ROOT, "part", false).expect("a new name");
            disk.file(ino).expect("a file").write(0, b"whole");
            disk.sync(ino);
            assert!(disk.rename((ROOT, "part"), (ROOT, "whole")));
            if synced {
                disk.sync(ROOT);
            }
            disk.come_back(None);
            assert_eq!(read(&mut disk, "whole").is_some(), synced);
            assert_eq!(read(&mut disk, "part").is_some(), !synced);
        }
    }

    #[test]
    fn pages_may_reach_the_disk_by_chance() {
        let mut disk = Disk::default();
        let ino = disk.make(ROOT, "a", false).expect("a new name");
        disk.sync(ROOT);
        let pages = vec![7; 16 * PAGE];
        disk.file(ino).expect("a file").write(0, &pages);
        disk.come_back(Some(Dice::new(3)));
        let bytes = read(&mut disk, "a").expect("its name was durable");
        assert!(bytes.contains(&7) && (bytes.contains(&0) || bytes.len() < 16 * PAGE));
    }
}
