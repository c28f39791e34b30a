//! Files and folders of a disk that forgets what was not synced; without FUSE, so that it can be
//! tested by itself.
//!
//! Two states are kept side by side: what programs see, and what would be there after a power cut.
//! A file's content becomes durable by an fsync of the file, a name by an fsync of its folder, each
//! without the other. A rename within a folder is one change: it survives or it does not, but one
//! of the names is always there. This is the least that POSIX promises; real file systems keep
//! more.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::Fate;
use super::content::Content;

pub const ROOT: u64 = 1;
/// Files that nobody can reach any more are looked for after this many removals.
const SWEEP_EVERY: u32 = 256;

/// Why something was not done; the variants are POSIX's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    NotThere,
    Exists,
    NotAFolder,
    IsAFolder,
    NotEmpty,
    NoSpace,
    NotSupported,
}

#[derive(Clone, Debug)]
pub enum Kind {
    File(Content),
    Folder(Folder),
    Socket,
}

#[derive(Clone, Debug, Default)]
pub struct Folder {
    pub entries: BTreeMap<OsString, u64>,
    durable: BTreeMap<OsString, u64>,
}

#[derive(Clone, Debug)]
pub struct Inode {
    pub kind: Kind,
    pub mode: u16,
    pub owner: (u32, u32),
    /// Nanoseconds since 1970.
    pub modified: u64,
    /// Where it was put last.
    place: (u64, OsString),
    links: u32,
    /// How often the kernel holds it.
    held: u64,
}

/// A change of names that no fsync has made durable yet.
#[derive(Clone, Debug)]
enum Change {
    Set { folder: u64, name: OsString, inode: Option<u64> },
    Move { from: (u64, OsString), to: (u64, OsString), inode: u64 },
}

/// What a power cut took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    pub changes_of_names: usize,
    pub files_changed: usize,
}

#[derive(Debug)]
pub struct Volume {
    inodes: BTreeMap<u64, Inode>,
    next: u64,
    changes: Vec<Change>,
    /// Space in bytes; none: without bound.
    pub capacity: Option<u64>,
    removals: u32,
    generator: StdRng,
}

type Result<T> = std::result::Result<T, Refused>;

impl Volume {
    pub fn new(seed: u64) -> Volume {
        let root = Inode {
            kind: Kind::Folder(Folder::default()),
            mode: 0o755,
            owner: (0, 0),
            modified: 0,
            place: (ROOT, OsString::new()),
            links: 1,
            held: 1,
        };
        Volume {
            inodes: BTreeMap::from([(ROOT, root)]),
            next: ROOT + 1,
            changes: Vec::new(),
            capacity: None,
            removals: 0,
            generator: StdRng::seed_from_u64(seed),
        }
    }

    pub fn inode(&self, inode: u64) -> Result<&Inode> {
        self.inodes.get(&inode).ok_or(Refused::NotThere)
    }

    pub fn inode_mut(&mut self, inode: u64) -> Result<&mut Inode> {
        self.inodes.get_mut(&inode).ok_or(Refused::NotThere)
    }

    pub fn folder(&self, inode: u64) -> Result<&Folder> {
        match &self.inode(inode)?.kind {
            Kind::Folder(folder) => Ok(folder),
            _ => Err(Refused::NotAFolder),
        }
    }

    pub fn lookup(&self, folder: u64, name: &OsStr) -> Result<u64> {
        self.folder(folder)?.entries.get(name).copied().ok_or(Refused::NotThere)
    }

    /// Space that files take, those that nobody can name any more left out.
    pub fn used(&self) -> u64 {
        let files = self.inodes.values().filter(|inode| inode.links > 0);
        files.map(|inode| if let Kind::File(file) = &inode.kind { file.space() } else { 0 }).sum()
    }

    /// The path of what was put there last, without a leading slash.
    pub fn path(&self, inode: u64) -> String {
        let mut parts = Vec::new();
        let mut at = inode;
        while at != ROOT
            && let Ok(found) = self.inode(at)
        {
            parts.push(found.place.1.to_string_lossy().into_owned());
            at = found.place.0;
        }
        parts.reverse();
        parts.join("/")
    }

    pub fn create(
        &mut self,
        folder: u64,
        name: &OsStr,
        kind: Kind,
        mode: u16,
        owner: (u32, u32),
    ) -> Result<u64> {
        if self.folder(folder)?.entries.contains_key(name) {
            return Err(Refused::Exists);
        }
        let number = self.next;
        self.next += 1;
        let place = (folder, name.to_owned());
        let inode = Inode { kind, mode, owner, modified: 0, place, links: 1, held: 0 };
        self.inodes.insert(number, inode);
        self.set(folder, name, Some(number))?;
        Ok(number)
    }

    pub fn unlink(&mut self, folder: u64, name: &OsStr) -> Result<()> {
        let inode = self.lookup(folder, name)?;
        if matches!(self.inode(inode)?.kind, Kind::Folder(_)) {
            return Err(Refused::IsAFolder);
        }
        self.remove(folder, name, inode)
    }

    pub fn remove_folder(&mut self, folder: u64, name: &OsStr) -> Result<()> {
        let inode = self.lookup(folder, name)?;
        if !self.folder(inode)?.entries.is_empty() {
            return Err(Refused::NotEmpty);
        }
        self.remove(folder, name, inode)
    }

    fn remove(&mut self, folder: u64, name: &OsStr, inode: u64) -> Result<()> {
        self.set(folder, name, None)?;
        self.unlinked(inode);
        Ok(())
    }

    pub fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr)) -> Result<()> {
        let inode = self.lookup(from.0, from.1)?;
        let replaced = self.folder(to.0)?.entries.get(to.1).copied();
        if replaced == Some(inode) {
            return Ok(());
        }
        if let Some(replaced) = replaced
            && let Kind::Folder(folder) = &self.inode(replaced)?.kind
            && !folder.entries.is_empty()
        {
            return Err(Refused::NotEmpty);
        }
        let (from, to) = ((from.0, from.1.to_owned()), (to.0, to.1.to_owned()));
        self.folder_mut(from.0)?.entries.remove(&from.1);
        self.folder_mut(to.0)?.entries.insert(to.1.clone(), inode);
        self.inode_mut(inode)?.place = to.clone();
        self.changes.push(Change::Move { from, to, inode });
        if let Some(replaced) = replaced {
            self.unlinked(replaced);
        }
        Ok(())
    }

    pub fn write(&mut self, inode: u64, offset: usize, data: &[u8]) -> Result<()> {
        let end = offset.checked_add(data.len()).ok_or(Refused::NoSpace)?;
        self.grow(inode, end as u64)?;
        let Volume { inodes, generator, .. } = self;
        file(inodes, inode)?.write(offset, data, generator);
        Ok(())
    }

    pub fn set_len(&mut self, inode: u64, len: u64) -> Result<()> {
        self.grow(inode, len)?;
        let Volume { inodes, generator, .. } = self;
        file(inodes, inode)?.set_len(len as usize, generator);
        Ok(())
    }

    /// Takes space up to `end`; with `keep_len` the length stays.
    pub fn reserve(&mut self, inode: u64, end: u64, keep_len: bool) -> Result<()> {
        self.grow(inode, end)?;
        let Volume { inodes, generator, .. } = self;
        let content = file(inodes, inode)?;
        content.reserve(end);
        if !keep_len && end > content.len() as u64 {
            content.set_len(end as usize, generator);
        }
        Ok(())
    }

    /// Is there space for a file of this length?
    fn grow(&mut self, inode: u64, end: u64) -> Result<()> {
        let space = file(&mut self.inodes, inode)?.space();
        let more = end.saturating_sub(space);
        match self.capacity {
            Some(capacity) if more > 0 && self.used() + more > capacity => Err(Refused::NoSpace),
            _ => Ok(()),
        }
    }

    /// fsync of a file or a folder.
    pub fn sync(&mut self, inode: u64) -> Result<()> {
        match &mut self.inode_mut(inode)?.kind {
            Kind::File(content) => content.sync(),
            Kind::Folder(_) => self.sync_folder(inode),
            Kind::Socket => {}
        }
        Ok(())
    }

    /// Changes of the folder become durable, and with them those that came before in folders from
    /// or to which something moved.
    fn sync_folder(&mut self, folder: u64) {
        let mut folders = BTreeSet::from([folder]);
        for change in self.changes.iter().rev() {
            let both = change.folders();
            if both.iter().any(|one| folders.contains(one)) {
                folders.extend(both);
            }
        }
        let all = std::mem::take(&mut self.changes);
        let (durable, rest): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|change| folders.contains(&change.folders()[0]));
        durable.into_iter().for_each(|change| self.make_durable(change));
        self.changes = rest;
    }

    /// The power fails: of what was not synced, chance decides what is there afterwards.
    pub fn cut(&mut self) -> Taken {
        let fate = Fate::draw(&mut self.generator);
        let mut taken = Taken::default();
        for change in std::mem::take(&mut self.changes) {
            if fate.keeps(&mut self.generator) {
                self.make_durable(change);
            } else {
                taken.changes_of_names += 1;
            }
        }
        let Volume { inodes, generator, .. } = self;
        for inode in inodes.values_mut() {
            inode.held = 0;
            inode.links = 0;
            match &mut inode.kind {
                Kind::Folder(folder) => folder.entries = folder.durable.clone(),
                Kind::File(content) => {
                    let fate = Fate::draw(generator);
                    let after = content.after_cut(fate, generator);
                    let same = after.read(0, after.len()) == content.read(0, content.len());
                    taken.files_changed += usize::from(!same);
                    *content = after;
                }
                Kind::Socket => {}
            }
        }
        self.relink();
        taken
    }

    /// Finds what can be reached by a name, and forgets the rest.
    fn relink(&mut self) {
        let mut open = vec![ROOT];
        let mut reached = BTreeSet::from([ROOT]);
        while let Some(at) = open.pop() {
            let Ok(folder) = self.folder(at) else { continue };
            for (name, inode) in folder.entries.clone() {
                if let Ok(found) = self.inode_mut(inode) {
                    found.links += 1;
                    found.place = (at, name);
                }
                if reached.insert(inode) {
                    open.push(inode);
                }
            }
        }
        self.inodes.retain(|number, _| reached.contains(number));
    }

    fn make_durable(&mut self, change: Change) {
        let durable = |volume: &mut Volume, folder: u64, name: OsString, inode: Option<u64>| {
            let Ok(folder) = volume.folder_mut(folder) else { return };
            match inode {
                Some(inode) => folder.durable.insert(name, inode),
                None => folder.durable.remove(&name),
            };
        };
        match change {
            Change::Set { folder, name, inode } => durable(self, folder, name, inode),
            Change::Move { from, to, inode } => {
                let holds = |folder: &Folder| folder.durable.get(&from.1) == Some(&inode);
                if self.folder(from.0).is_ok_and(holds) {
                    durable(self, from.0, from.1, None);
                }
                durable(self, to.0, to.1, Some(inode));
            }
        }
    }

    fn set(&mut self, folder: u64, name: &OsStr, inode: Option<u64>) -> Result<()> {
        let entries = &mut self.folder_mut(folder)?.entries;
        match inode {
            Some(inode) => entries.insert(name.to_owned(), inode),
            None => entries.remove(name),
        };
        self.changes.push(Change::Set { folder, name: name.to_owned(), inode });
        Ok(())
    }

    fn folder_mut(&mut self, inode: u64) -> Result<&mut Folder> {
        match &mut self.inode_mut(inode)?.kind {
            Kind::Folder(folder) => Ok(folder),
            _ => Err(Refused::NotAFolder),
        }
    }

    fn unlinked(&mut self, inode: u64) {
        if let Ok(inode) = self.inode_mut(inode) {
            inode.links = inode.links.saturating_sub(1);
        }
        self.removals += 1;
        if self.removals >= SWEEP_EVERY {
            self.removals = 0;
            self.sweep();
        }
    }

    /// The kernel holds it once more.
    pub fn hold(&mut self, inode: u64) {
        if let Ok(inode) = self.inode_mut(inode) {
            inode.held += 1;
        }
    }

    pub fn release(&mut self, inode: u64, times: u64) {
        if let Ok(inode) = self.inode_mut(inode) {
            inode.held = inode.held.saturating_sub(times);
        }
    }

    /// Forgets files that have no name, now or after a power cut, and that nobody holds.
    fn sweep(&mut self) {
        let mut named: BTreeSet<u64> = self.changes.iter().filter_map(Change::inode).collect();
        for inode in self.inodes.values() {
            if let Kind::Folder(folder) = &inode.kind {
                named.extend(folder.entries.values().chain(folder.durable.values()));
            }
        }
        self.inodes.retain(|number, inode| {
            *number == ROOT || inode.held > 0 || inode.links > 0 || named.contains(number)
        });
    }
}

impl Change {
    fn folders(&self) -> [u64; 2] {
        match self {
            Change::Set { folder, .. } => [*folder, *folder],
            Change::Move { from, to, .. } => [from.0, to.0],
        }
    }

    fn inode(&self) -> Option<u64> {
        match self {
            Change::Set { inode, .. } => *inode,
            Change::Move { inode, .. } => Some(*inode),
        }
    }
}

fn file(inodes: &mut BTreeMap<u64, Inode>, inode: u64) -> Result<&mut Content> {
    match &mut inodes.get_mut(&inode).ok_or(Refused::NotThere)?.kind {
        Kind::File(content) => Ok(content),
        Kind::Folder(_) => Err(Refused::IsAFolder),
        Kind::Socket => Err(Refused::NotSupported),
    }
}

impl Fate {
    fn draw(generator: &mut StdRng) -> Fate {
        match generator.random_range(0..4) {
            0 | 1 => Fate::Lost,
            2 => Fate::Mixed,
            _ => Fate::Kept,
        }
    }

    fn keeps(self, generator: &mut StdRng) -> bool {
        match self {
            Fate::Lost => false,
            Fate::Kept => true,
            Fate::Mixed => generator.random_bool(0.5),
        }
    }
}

#[cfg(test)]
mod tests;
