//! The disk as the kernel asks for it: FUSE's calls, each answered from the volume under one lock.
//!
//! The kernel caches pages and writes through, so `mmap` works (SQLite's shared memory needs it).
//! Locks and permissions are the kernel's own. Hard links, symbolic links and extended attributes
//! are not there.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use super::content::Content;
use super::names::{Pattern, class};
use super::volume::{Folder, Inode, Kind, Refused, Volume};

/// Nobody but the kernel changes anything.
const KNOWN_FOR: Duration = Duration::from_secs(60);
const BLOCK_BYTES: u64 = 512;
/// What is said to be free where no bound is set.
const AMPLE_BYTES: u64 = 1 << 40;
const SOCKET_MODE: u32 = 0o140_000;
const KIND_MODE: u32 = 0o170_000;

/// What the mounted file system and whoever controls it share.
#[derive(Debug)]
pub struct State {
    pub volume: Volume,
    /// fsyncs of these are answered and not done.
    pub ignored: Option<Pattern>,
    /// How often what was synced, by the class of its name.
    pub syncs: BTreeMap<String, u64>,
    pub syncs_ignored: u64,
}

pub struct Mounted {
    pub state: Arc<Mutex<State>>,
}

impl Mounted {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// A new file, folder or socket, as the kernel wants to know it.
    fn created(
        &self,
        request: &Request,
        (folder, name): (INodeNo, &OsStr),
        kind: Kind,
        mode: u32,
    ) -> Result<FileAttr, Errno> {
        let mut state = self.state();
        let owner = (request.uid(), request.gid());
        let mode = (mode & 0o7777) as u16;
        let inode = state.volume.create(folder.0, name, kind, mode, owner).map_err(errno)?;
        state.volume.inode_mut(inode).map_err(errno)?.modified = now();
        state.volume.hold(inode);
        state.attributes(inode)
    }

    fn sync(&self, inode: INodeNo, is_folder: bool) -> Result<(), Errno> {
        let mut state = self.state();
        let mut path = state.volume.path(inode.0);
        if is_folder {
            path.push('/');
        }
        if state.ignored.as_ref().is_some_and(|pattern| pattern.matches(&path)) {
            state.syncs_ignored += 1;
            return Ok(());
        }
        *state.syncs.entry(class(&path)).or_default() += 1;
        state.volume.sync(inode.0).map_err(errno)
    }
}

pub fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn attributes(&self, inode: u64) -> Result<FileAttr, Errno> {
        self.volume.inode(inode).map(|found| attributes(inode, found)).map_err(errno)
    }
}

impl Filesystem for Mounted {
    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let mut state = self.state();
        let found = state.volume.lookup(parent.0, name).map_err(errno);
        match found.and_then(|inode| state.attributes(inode)) {
            Ok(attributes) => {
                state.volume.hold(attributes.ino.0);
                reply.entry(&KNOWN_FOR, &attributes, Generation(0));
            }
            Err(error) => reply.error(error),
        }
    }

    fn forget(&self, _request: &Request, inode: INodeNo, times: u64) {
        self.state().volume.release(inode.0, times);
    }

    fn getattr(&self, _request: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        answer_attributes(self.state().attributes(ino.0), reply);
    }

    fn setattr(
        &self,
        _request: &Request,
        inode: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _accessed: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _changed: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _created: Option<SystemTime>,
        _recorded: Option<SystemTime>,
        _backed_up: Option<SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut state = self.state();
        let change = |volume: &mut Volume| {
            if let Some(size) = size {
                volume.set_len(inode.0, size)?;
            }
            let found = volume.inode_mut(inode.0)?;
            found.mode = mode.map_or(found.mode, |mode| (mode & 0o7777) as u16);
            found.owner = (uid.unwrap_or(found.owner.0), gid.unwrap_or(found.owner.1));
            match modified {
                Some(TimeOrNow::SpecificTime(at)) => found.modified = nanos(at),
                Some(TimeOrNow::Now) => found.modified = now(),
                None if size.is_some() => found.modified = now(),
                None => {}
            }
            Ok(())
        };
        let changed = change(&mut state.volume).map_err(errno);
        answer_attributes(changed.and_then(|()| state.attributes(inode.0)), reply);
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _device: u32,
        reply: ReplyEntry,
    ) {
        let is_socket = mode & KIND_MODE == SOCKET_MODE;
        let kind = if is_socket { Kind::Socket } else { Kind::File(Content::default()) };
        answer_entry(self.created(request, (parent, name), kind, mode & !umask), reply);
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let kind = Kind::Folder(Folder::default());
        answer_entry(self.created(request, (parent, name), kind, mode & !umask), reply);
    }

    fn unlink(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(self.state().volume.unlink(parent.0, name), reply);
    }

    fn rmdir(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(self.state().volume.remove_folder(parent.0, name), reply);
    }

    fn rename(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let mut state = self.state();
        if flags.contains(RenameFlags::RENAME_NOREPLACE)
            && state.volume.lookup(new_parent.0, new_name).is_ok()
        {
            return reply.error(Errno::EEXIST);
        }
        if flags.intersects(RenameFlags::RENAME_EXCHANGE | RenameFlags::RENAME_WHITEOUT) {
            return reply.error(Errno::EINVAL);
        }
        answer(state.volume.rename((parent.0, name), (new_parent.0, new_name)), reply);
    }

    fn open(&self, _request: &Request, _inode: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let kind = Kind::File(Content::default());
        match self.created(request, (parent, name), kind, mode & !umask) {
            Ok(attributes) => {
                let (handle, flags) = (FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
                reply.created(&KNOWN_FOR, &attributes, Generation(0), handle, flags);
            }
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.state().volume.inode(inode.0).map(|inode| &inode.kind) {
            Ok(Kind::File(content)) => reply.data(content.read(offset as usize, size as usize)),
            Ok(_) => reply.error(Errno::EISDIR),
            Err(refused) => reply.error(errno(refused)),
        }
    }

    fn write(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut state = self.state();
        match state.volume.write(inode.0, offset as usize, data) {
            Ok(()) => {
                if let Ok(inode) = state.volume.inode_mut(inode.0) {
                    inode.modified = now();
                }
                reply.written(data.len() as u32);
            }
            Err(refused) => reply.error(errno(refused)),
        }
    }

    fn flush(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _handle: FileHandle,
        _owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }

    fn fsync(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        _only_data: bool,
        reply: ReplyEmpty,
    ) {
        answer_synced(self.sync(inode, false), reply);
    }

    fn fsyncdir(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        _only_data: bool,
        reply: ReplyEmpty,
    ) {
        answer_synced(self.sync(inode, true), reply);
    }

    fn readdir(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let state = self.state();
        let folder = match state.volume.folder(inode.0) {
            Ok(folder) => folder,
            Err(refused) => return reply.error(errno(refused)),
        };
        for (at, (name, entry)) in folder.entries.iter().enumerate().skip(offset as usize) {
            let Ok(attributes) = state.attributes(*entry) else { continue };
            if reply.add(attributes.ino, at as u64 + 1, attributes.kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _request: &Request, _inode: INodeNo, reply: ReplyStatfs) {
        let state = self.state();
        let used = state.volume.used();
        let all = state.volume.capacity.unwrap_or(used + AMPLE_BYTES);
        let free = all.saturating_sub(used) / BLOCK_BYTES;
        let block = BLOCK_BYTES as u32;
        reply.statfs(all / BLOCK_BYTES, free, free, 1 << 20, 1 << 20, block, 255, block);
    }

    fn fallocate(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        const KEEP_SIZE: i32 = 1;
        if mode & !KEEP_SIZE != 0 {
            return reply.error(Errno::EOPNOTSUPP);
        }
        let end = offset.saturating_add(length);
        answer(self.state().volume.reserve(inode.0, end, mode & KEEP_SIZE != 0), reply);
    }
}

fn answer(done: Result<(), Refused>, reply: ReplyEmpty) {
    answer_synced(done.map_err(errno), reply);
}

fn answer_synced(done: Result<(), Errno>, reply: ReplyEmpty) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

fn answer_entry(found: Result<FileAttr, Errno>, reply: ReplyEntry) {
    match found {
        Ok(attributes) => reply.entry(&KNOWN_FOR, &attributes, Generation(0)),
        Err(error) => reply.error(error),
    }
}

fn answer_attributes(found: Result<FileAttr, Errno>, reply: ReplyAttr) {
    match found {
        Ok(attributes) => reply.attr(&KNOWN_FOR, &attributes),
        Err(error) => reply.error(error),
    }
}

fn attributes(number: u64, inode: &Inode) -> FileAttr {
    let (kind, size) = match &inode.kind {
        Kind::File(content) => (FileType::RegularFile, content.len() as u64),
        Kind::Folder(_) => (FileType::Directory, 0),
        Kind::Socket => (FileType::Socket, 0),
    };
    let modified = UNIX_EPOCH + Duration::from_nanos(inode.modified);
    FileAttr {
        ino: INodeNo(number),
        size,
        blocks: size.div_ceil(BLOCK_BYTES),
        atime: modified,
        mtime: modified,
        ctime: modified,
        crtime: modified,
        kind,
        perm: inode.mode,
        nlink: 1,
        uid: inode.owner.0,
        gid: inode.owner.1,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

fn errno(refused: Refused) -> Errno {
    match refused {
        Refused::NotThere => Errno::ENOENT,
        Refused::Exists => Errno::EEXIST,
        Refused::NotAFolder => Errno::ENOTDIR,
        Refused::IsAFolder => Errno::EISDIR,
        Refused::NotEmpty => Errno::ENOTEMPTY,
        Refused::NoSpace => Errno::ENOSPC,
        Refused::NotSupported => Errno::EOPNOTSUPP,
    }
}

fn now() -> u64 {
    server::clock::now().0
}

fn nanos(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_nanos() as u64)
}
