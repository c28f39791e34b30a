//! What storage finds on disk: its catalog, and its Parquet files, whole and damaged.
//!
//! S-1 what is written is read as it was in memory; S-2 a damaged file is an error or gives rows,
//! in bounded memory; S-3 the filters of a file never deny what it holds.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use arrow_array::RecordBatch;
use bytes::Bytes;
use model::Timestamp;
use model::signal::{Batch, Signal};
use storage::columns::Hot;
use storage::file::{self, OpenFile, Options, Scan, Source};
use storage::rows;
use storage::schema::Table;
use storage::{catalog, tokens};

use crate::input_log::{Dice, in_folder};
use crate::{Answer, Form, Memory, Target};

const EDITS_MAX: usize = 16;
const ARRIVAL: Timestamp = Timestamp(1_700_000_100_000_000_000);
const KEEP: std::time::Duration = std::time::Duration::from_secs(30 * 86_400);

pub const CATALOG: Target = Target {
    name: "catalog",
    feeds: "a catalog: as it is, or (first byte 1) all behind its checksum",
    form: Form::Bytes,
    memory: Memory { base: 8 << 20, factor: 64 },
    caught: &[],
    run: catalog,
};

pub const FILE: Target = Target {
    name: "stored-file",
    feeds: "a Parquet file: as it is, or (first byte 1 to 3) what is damaged in a good one",
    form: Form::Bytes,
    memory: Memory { base: 256 << 20, factor: 1024 },
    caught: &["parquet", "arrow-array", "arrow-buffer", "arrow-data", "arrow-select"],
    run: damaged_file,
};

pub const ROWS: Target = Target {
    name: "stored-rows",
    feeds: "signal (one byte) and a request in protobuf, which is stored and read again",
    form: Form::Wire { head: 1 },
    memory: Memory { base: 256 << 20, factor: 16 << 10 },
    caught: &[],
    run: stored_rows,
};

fn catalog(input: &[u8]) -> Answer {
    let bytes = match input.split_first() {
        Some((1, rest)) => {
            let mut bytes = b"IMCT".to_vec();
            bytes.extend_from_slice(&catalog::VERSION.to_le_bytes());
            bytes.extend_from_slice(&crc32c::crc32c(rest).to_le_bytes());
            bytes.extend_from_slice(rest);
            bytes
        }
        _ => input.to_vec(),
    };
    let mut answer = Answer::Refused;
    if let Ok(content) = catalog::decode(&bytes) {
        answer = Answer::Taken;
        assert!(catalog::encode(&content) == bytes, "another catalog was written than was read");
        for entry in content.files.values() {
            let name = entry.name();
            assert_eq!(catalog::parse_name(&name), Some((entry.table, entry.day, entry.id)));
        }
    }
    if let Ok(name) = std::str::from_utf8(input)
        && let Some((table, day, id)) = catalog::parse_name(name)
    {
        assert_eq!(catalog::name(table, day, id), name);
        answer = Answer::Taken;
    }
    answer
}

fn damaged_file(input: &[u8]) -> Answer {
    let Some((&how, rest)) = input.split_first() else { return Answer::Refused };
    let bytes = match good_files().get(usize::from(how).wrapping_sub(1)) {
        Some(good) => damaged(good, rest),
        None => rest.to_vec(),
    };
    let Ok(file) = open(bytes) else { return Answer::Refused };
    let _ = read(&file);
    Answer::Taken
}

/// Changes: place (two bytes, also counted from the end), and what is there now.
fn damaged(good: &[u8], input: &[u8]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    let mut dice = Dice(input);
    for _ in 0..EDITS_MAX {
        if dice.0.is_empty() || bytes.is_empty() {
            break;
        }
        let how = dice.byte();
        let place = usize::from(dice.byte()) | usize::from(dice.byte()) << 8;
        let value = dice.byte();
        // The footer is at the end, and says most of what can be wrong.
        let at = match how & 1 {
            0 => bytes.len() - 1 - place % bytes.len(),
            _ => place % bytes.len(),
        };
        match how >> 1 & 7 {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, value),
            2 => {
                bytes.remove(at);
            }
            _ => bytes[at] = value,
        }
    }
    bytes
}

/// One small file of each table.
fn good_files() -> &'static [Vec<u8>; 3] {
    static FILES: OnceLock<[Vec<u8>; 3]> = OnceLock::new();
    FILES.get_or_init(|| [Table::Spans, Table::Logs, Table::Samples].map(good_file))
}

fn good_file(table: Table) -> Vec<u8> {
    let (signal, request) = match table {
        Table::Spans => (Signal::Traces, &include_bytes!("../corpus/otlp-traces/whole")[..]),
        Table::Logs => (Signal::Logs, &include_bytes!("../corpus/otlp-logs/whole")[..]),
        Table::Samples => (Signal::Metrics, &include_bytes!("../corpus/otlp-metrics/sum")[..]),
    };
    let decoded = receivers::decode_protobuf(signal, request).expect("a whole request");
    let mut hot = Hot::new();
    hot.append(&decoded.batch, ARRIVAL).expect("an ordinary request");
    let mut files = Vec::new();
    in_folder(|folder| files = written(folder, table, &mut hot));
    files.pop().expect("there are rows")
}

/// The bytes of the files that are written of what is in memory.
fn written(folder: &Path, table: Table, hot: &mut Hot) -> Vec<Vec<u8>> {
    let batches = hot.take().expect("memory can be sealed").table(table).to_vec();
    let mut place = |day: file::Day| folder.join(format!("{day}.parquet"));
    let written = file::write(table, batches, &mut place, &Options::fresh(KEEP));
    let written = written.expect("what is in memory can be written");
    written.iter().map(|file| std::fs::read(&file.path).expect("it was just written")).collect()
}

fn open(bytes: Vec<u8>) -> Result<OpenFile, storage::Error> {
    let source: Arc<dyn Source> = Arc::new(("input".to_owned(), Bytes::from(bytes)));
    OpenFile::open(source)
}

/// Every row in words, and all that is asked of a file besides.
fn read(file: &OpenFile) -> Result<Vec<String>, storage::Error> {
    for group in 0..file.row_groups().min(64) {
        let _ = (file.row_group_times(group), file.row_group_services(group));
        let _ = (file.row_group_metrics(group), file.row_group_severities(group));
        let _ = file.may_hold_trace(group, &[1; 16]);
        let _ = file.may_hold_token(group, tokens::hash("refused"));
    }
    let mut found = Vec::new();
    for batch in file.scan(Scan::default()) {
        found.extend(in_words(file.table(), &batch?)?);
    }
    // Through the page index, and by a service.
    let some = Scan {
        time: Some(Timestamp(1_700_000_000_000_000_000)..Timestamp(1_700_000_000_000_000_009)),
        service: Some("orders".to_owned()),
        ..Scan::default()
    };
    for batch in file.scan(some) {
        in_words(file.table(), &batch?)?;
    }
    Ok(found)
}

fn in_words(table: Table, batch: &RecordBatch) -> Result<Vec<String>, storage::Error> {
    fn words<T: std::fmt::Debug>(rows: Vec<T>) -> Vec<String> {
        rows.iter().map(|row| format!("{row:?}")).collect()
    }
    Ok(match table {
        Table::Spans => words(rows::spans(batch)?),
        Table::Logs => words(rows::logs(batch)?),
        Table::Samples => words(rows::series(batch)?),
    })
}

fn stored_rows(input: &[u8]) -> Answer {
    let Some((&signal, request)) = input.split_first() else { return Answer::Refused };
    let signal = Signal::ALL[usize::from(signal) % Signal::ALL.len()];
    let Ok(decoded) = receivers::decode_protobuf(signal, request) else {
        return Answer::Refused;
    };
    let table = Table::of(signal);
    let mut hot = Hot::new();
    if hot.append(&decoded.batch, ARRIVAL).is_err() {
        return Answer::Refused;
    }
    let mut in_memory = Vec::new();
    for batch in hot.snapshot(table, None).expect("memory can be read") {
        in_memory.extend(in_words(table, &batch).expect("memory is not damaged"));
    }
    if signal != Signal::Metrics {
        assert_eq!(in_memory.len(), decoded.batch.len(), "S-1: rows in memory");
    }
    let mut in_files = Vec::new();
    in_folder(|folder| {
        for bytes in written(folder, table, &mut hot) {
            let file = open(bytes).expect("S-1: what was written can be opened");
            in_files.extend(read(&file).expect("S-1: what was written can be read"));
            filters_hold(&file, &decoded.batch);
        }
    });
    in_memory.sort();
    in_files.sort();
    assert_eq!(in_memory, in_files, "S-1");
    Answer::Taken
}

/// S-3, for files of one row group: some row group may hold each trace.
fn filters_hold(file: &OpenFile, batch: &Batch) {
    let Batch::Traces(groups) = batch else { return };
    let spans = groups.iter().flat_map(|group| &group.items);
    // Spans of other days are in other files.
    for span in spans.filter(|_| file.rows() == batch.len() as u64) {
        let held = (0..file.row_groups())
            .any(|group| file.may_hold_trace(group, &span.trace_id).expect("it is whole"));
        assert!(held, "S-3: {:?}", span.trace_id);
    }
}
