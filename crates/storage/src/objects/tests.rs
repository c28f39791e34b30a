//! An object store in memory, one that is out, and a real server program.

pub(crate) mod server;

use object_store::memory::InMemory;
use proptest::prelude::*;

use super::*;
use crate::file::Source;

const STORE: u64 = 0x5a;
const NEVER: &dyn Fn() -> bool = &|| false;

/// A file whose bytes tell where they are.
fn local(bytes: usize) -> (tempfile::NamedTempFile, Vec<u8>) {
    let content: Vec<u8> = (0..bytes)
        .map(|at| (at as u64).wrapping_mul(0x9e37_79b9) as u8 ^ (at >> 9) as u8)
        .collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &content).unwrap();
    (file, content)
}

fn in_memory() -> Arc<Objects> {
    Arc::new(Objects::with_store(Arc::new(InMemory::new()), "pre/fix", STORE).unwrap())
}

/// Uploads in one piece and in parts, reads, lists and deletes.
fn check_all_operations(objects: &Arc<Objects>) {
    for (id, bytes) in [(1, 0), (2, 1000), (3, PART_BYTES), (4, 2 * PART_BYTES + 77)] {
        let (file, content) = local(bytes);
        let name = format!("spans/2026-11-22/{id:016x}.parquet");
        assert_eq!(objects.upload(&name, file.path(), NEVER).unwrap(), bytes as u64);
        let remote = RemoteFile::new(objects.clone(), id, name, bytes as u64);
        for (offset, len) in
            [(0, 0), (0, bytes), (bytes / 2, bytes - bytes / 2), (bytes / 3, 10), (bytes / 3, 12)]
        {
            let len = len.min(bytes - offset);
            assert_eq!(remote.read(offset as u64, len).unwrap(), content[offset..offset + len]);
        }
        assert!(remote.read(bytes as u64, 1).is_err(), "beyond its end");
    }
    let (file, _) = local(10);
    objects.upload("logs/2026-11-22/0000000000000009.parquet", file.path(), NEVER).unwrap();
    let mut spans = objects.list(|name| name.starts_with("spans/"), 100, NEVER).unwrap();
    spans.sort();
    assert_eq!(spans.len(), 4);
    assert_eq!(spans[0], "spans/2026-11-22/0000000000000001.parquet");
    assert_eq!(objects.list(|_| true, 2, NEVER).unwrap().len(), 2);
    for name in &spans {
        objects.delete(name, NEVER).unwrap();
        objects.delete(name, NEVER).unwrap();
    }
    assert_eq!(objects.list(|_| true, 100, NEVER).unwrap().len(), 1);
}

#[test]
fn an_object_store_takes_gives_lists_and_deletes() {
    check_all_operations(&in_memory());
}

#[test]
fn a_real_s3_server_takes_gives_lists_and_deletes() {
    let Some(server) = server::start() else { return };
    let objects = Arc::new(Objects::open(&server.config("bucket/some/prefix"), STORE).unwrap());
    check_all_operations(&objects);
    let other = Objects::open(&server.config("bucket/some/prefix"), STORE + 1).unwrap();
    assert_eq!(other.list(|_| true, 100, NEVER).unwrap().len(), 0, "stores see only their own");
    let wrong = Config {
        secret_access_key: Some("wrong".to_owned()),
        ..server.config("bucket/some/prefix")
    };
    let error = Objects::open(&wrong, STORE).unwrap().list(|_| true, 1, NEVER).unwrap_err();
    assert!(matches!(error, Error::Objects { .. }), "{error}");
}

#[test]
fn an_object_store_that_is_out_is_an_error_and_can_be_given_up() {
    // Nobody listens there: the port was just given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = Config {
        url: "s3://bucket".to_owned(),
        endpoint: Some(format!("http://127.0.0.1:{port}")),
        access_key_id: Some("key".to_owned()),
        secret_access_key: Some("secret".to_owned()),
        allow_http: true,
        path_style: true,
        ..Config::default()
    };
    let objects = Objects::open(&config, STORE).unwrap();
    let (file, _) = local(10);
    let name = "spans/2026-11-22/0000000000000001.parquet";
    let error = objects.upload(name, file.path(), NEVER).unwrap_err();
    assert!(error.to_string().contains("cannot upload spans/2026-11-22"), "{error}");
    assert!(matches!(objects.upload(name, file.path(), &|| true), Err(Error::Cancelled)));
}

#[test]
fn it_may_be_asked_and_dropped_in_async_code() {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let objects = in_memory();
        assert_eq!(objects.list(|_| true, 1, NEVER).unwrap().len(), 0);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn any_read_of_a_remote_file_gives_its_bytes(
        bytes in 1usize..1_500_000,
        reads in prop::collection::vec((any::<u32>(), any::<u32>()), 1..9),
    ) {
        let objects = in_memory();
        let (file, content) = local(bytes);
        objects.upload("a", file.path(), NEVER).unwrap();
        let remote = RemoteFile::new(objects, 1, "a".to_owned(), bytes as u64);
        for (offset, len) in reads {
            let offset = offset as usize % bytes;
            let len = len as usize % (bytes - offset + 1);
            let read = remote.read(offset as u64, len).unwrap();
            prop_assert_eq!(&read[..], &content[offset..offset + len]);
        }
    }
}
