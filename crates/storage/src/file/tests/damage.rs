//! Damaged and hostile files: an error that names the file, or rows; never a panic.

use std::sync::Arc;

use bytes::Bytes;
use model::Timestamp;

use super::super::{OpenFile, Scan};
use super::{options, written};
use crate::Error;
use crate::columns::tests::random::{BASE, Random, told_back};
use crate::schema::{FORMAT_VERSION, Table};

fn files() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let batches = Random(7).batches(60);
    let written = Table::ALL
        .iter()
        .flat_map(|table| written(folder.path(), *table, &batches, &options()))
        .filter(|file| file.rows > 20);
    written.map(|file| std::fs::read(file.path).unwrap()).collect()
}

/// Reads all that can be read; says whether anything was refused.
fn read(content: Vec<u8>) -> bool {
    let source = ("files/damaged".to_owned(), Bytes::from(content));
    let named = |error: Error| {
        let text = error.to_string();
        assert!(text.contains("files/damaged") || matches!(error, Error::Columns { .. }), "{text}");
    };
    let open = match OpenFile::open(Arc::new(source)) {
        Ok(open) => open,
        Err(error) => {
            named(error);
            return true;
        }
    };
    let mut refused = false;
    for group in 0..open.row_groups() {
        refused |= open.may_hold_trace(group, &[1; 16]).map_err(named).is_err();
        refused |= open.may_hold_token(group, 99).map_err(named).is_err();
    }
    let time = Timestamp(BASE)..Timestamp(BASE + 60_000_000_000);
    let pruned = Scan { time: Some(time), service: Some("cart".to_owned()), ..Scan::default() };
    for scan in [Scan::default(), pruned] {
        for batch in open.scan(scan) {
            match batch {
                Ok(batch) => drop(told_back(&[batch])),
                Err(error) => {
                    named(error);
                    refused = true;
                }
            }
        }
    }
    refused
}

#[test]
fn a_whole_file_is_read() {
    for content in files() {
        assert!(!read(content));
    }
}

#[test]
fn a_cut_file_is_refused() {
    let mut random = Random(1);
    for content in files() {
        for _ in 0..12 {
            let length = random.below(content.len() as u64) as usize;
            assert!(read(content[..length].to_vec()), "cut to {length}");
        }
    }
}

#[test]
fn a_file_with_changed_bytes_never_panics() {
    let mut random = Random(2);
    let mut refused = 0;
    for content in files() {
        for round in 0..60 {
            let mut content = content.clone();
            for _ in 0..=random.below(3) {
                // Half of the damage goes where it hurts most: the footer.
                let length = content.len() as u64;
                let tail = if round % 2 == 0 { length } else { length.min(6_000) };
                let at = (length - 1 - random.below(tail)) as usize;
                content[at] ^= 1 << random.below(8);
            }
            refused += usize::from(read(content));
        }
    }
    assert!(refused > 30, "{refused}");
}

#[test]
fn what_is_no_file_of_ours_is_refused_with_its_name() {
    for content in [&b""[..], b"PAR1", b"PAR1\xff\xff\xff\xffPAR1", b"hello, this is some text"] {
        assert!(read(content.to_vec()));
    }
}

#[test]
fn a_file_of_another_format_is_refused() {
    let content = files().remove(0);
    let key = b"immune.format";
    let at = content.windows(key.len()).position(|window| window == key).unwrap();
    let mut changed = content.clone();
    // The value follows its key, after a field header and its length.
    let value = at + key.len() + 2;
    let current = FORMAT_VERSION.to_string();
    assert_eq!([changed[value]], current.as_bytes());
    changed[value] = b'9';
    let error = OpenFile::open(Arc::new(("new".to_owned(), Bytes::from(changed)))).err().unwrap();
    let expected = format!("new is of file format 9; this program reads version {current}");
    assert_eq!(error.to_string(), expected);
}
