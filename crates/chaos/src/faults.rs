//! Bounds of each fault's parameters: what is refused before anybody looks at a host.
//!
//! A fault without a clear reach (a network fault that names neither port nor peer, a disk fill on
//! `/`) is refused here, whatever the host would allow; the agent has refusals of its own.

mod names;

mod proxied;

use std::path::{Component, Path};
use std::time::Duration;

use model::fault::{DiskFill, Fault};

pub const CORES_MAX: u32 = 1_024;
const MEMORY_MIN: u64 = 1 << 20;
const MEMORY_MAX: u64 = 1 << 44;
/// Something must be able to write that the disk is full.
const LEAVE_FREE_MIN: u64 = 1 << 20;
const SPARE_MAX: u32 = 1_000_000;
const SHARE_MIN: f64 = 0.01;
const SHARE_MAX: f64 = 0.99;
const OFFSET_MIN: Duration = Duration::from_secs(1);
const OFFSET_MAX: Duration = Duration::from_secs(365 * 86_400);
const NAME_MAX: usize = 64;
/// Who drops this locks out those who could help.
const SSH_PORT: u16 = 22;

/// What is wrong with the fault, and what to write instead.
pub fn check(fault: &Fault) -> Result<(), String> {
    match fault {
        Fault::KillProcess | Fault::PauseProcess | Fault::Container(_) => Ok(()),
        Fault::Cpu(cpu) => within(cpu.cores, 1, CORES_MAX, "cores"),
        Fault::Memory(memory) if !(MEMORY_MIN..=MEMORY_MAX).contains(&memory.bytes.0) => {
            Err(format!("bytes: {} is not within 1MiB to 16384GiB", memory.bytes))
        }
        Fault::Memory(_) => Ok(()),
        Fault::DiskFill(fill) => disk_fill(fill),
        Fault::FileDescriptors(files) => within(files.spare, 0, SPARE_MAX, "spare"),
        Fault::Partition(cut) => far_side(cut.port, cut.peer.is_some()),
        Fault::PacketLoss(loss) => {
            if !(SHARE_MIN..=SHARE_MAX).contains(&loss.share) {
                return Err(format!(
                    "share: {} is not within {SHARE_MIN} to {SHARE_MAX}; drop everything by \
                     `partition`",
                    loss.share
                ));
            }
            far_side(loss.port, loss.peer.is_some())
        }
        Fault::Tcp(tcp) => {
            far_side(Some(tcp.port), tcp.peer.is_some())?;
            proxied::toxics(&tcp.toxics)
        }
        Fault::Http(http) => {
            far_side(Some(http.port), http.peer.is_some())?;
            proxied::http(http)
        }
        Fault::Dns(dns) => names::dns(dns),
        Fault::Toxiproxy(at) => {
            proxied::proxy_at(at)?;
            proxied::toxics(&at.toxics)
        }
        Fault::Clock(clock) if clock.offset.0 < OFFSET_MIN || clock.offset.0 > OFFSET_MAX => {
            Err(format!("offset: {} is not within 1s to 365d", clock.offset))
        }
        Fault::Clock(_) => Ok(()),
        Fault::Command(command) => {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            match !command.name.is_empty()
                && command.name.len() <= NAME_MAX
                && command.name.chars().all(allowed)
            {
                true => Ok(()),
                false => Err("name: write 1 to 64 letters, digits, `-`, `_` or `.`".to_owned()),
            }
        }
    }
}

fn within(value: u32, min: u32, max: u32, field: &str) -> Result<(), String> {
    match (min..=max).contains(&value) {
        true => Ok(()),
        false => Err(format!("{field}: {value} is not within {min} to {max}")),
    }
}

fn disk_fill(fill: &DiskFill) -> Result<(), String> {
    let path = fill.path.display();
    if !fill.path.is_absolute() || fill.path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(format!("path: `{path}` is not a full path; begin with `/`"));
    }
    if fill.path.components().any(|part| matches!(part, Component::ParentDir)) {
        return Err(format!("path: `{path}` leads upwards; write where it ends"));
    }
    if is_of_the_system(&fill.path) {
        return Err(format!(
            "path: filling `{path}` would hurt the whole host; name a folder of \
                            the target's own file system"
        ));
    }
    if fill.leave_free.0 < LEAVE_FREE_MIN {
        return Err(format!("leave_free: {} is less than 1MiB", fill.leave_free));
    }
    Ok(())
}

fn is_of_the_system(path: &Path) -> bool {
    const FOLDERS: &[&str] =
        &["boot", "dev", "etc", "proc", "run", "sys", "usr", "bin", "sbin", "lib"];
    let mut parts = path.components().skip(1);
    match parts.next() {
        None => true,
        // `/dev/shm` and what is mounted below `/run` are file systems of their own.
        Some(Component::Normal(first)) => {
            FOLDERS.iter().any(|folder| first == *folder) && parts.next().is_none()
        }
        Some(_) => true,
    }
}

fn far_side(port: Option<u16>, has_peer: bool) -> Result<(), String> {
    match port {
        None if !has_peer => {
            Err("name a `port`, a `peer` or both: without one everything would be cut".to_owned())
        }
        Some(0) => Err("port: 0 is no port".to_owned()),
        Some(SSH_PORT) if !has_peer => {
            Err("port: 22 without a `peer` would lock out those who could help".to_owned())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(yaml: &str) -> Result<(), String> {
        check(&serde_saphyr::from_str::<Fault>(yaml).unwrap())
    }

    #[test]
    fn every_kind_of_fault_is_read_and_passes_within_its_bounds() {
        for yaml in [
            "kill_process",
            "pause_process",
            "cpu: {cores: 2}",
            "memory: {bytes: 512MiB}",
            "disk_fill: {path: /var/lib/orders, leave_free: 10MiB}",
            "file_descriptors: {}",
            "file_descriptors: {spare: 4}",
            "partition: {port: 5432}",
            "partition: {peer: '10.0.0.7'}",
            "packet_loss: {port: 5432, peer: '::1', share: 0.3}",
            "tcp: {port: 8000, latency: 2s, jitter: 100ms, toxicity: 0.5, stream: upstream}",
            "tcp: {port: 8000, peer: '::1', bandwidth: 64KiB, limit_data: 1MiB}",
            "tcp: {port: 8000, slicer: {average_size: 64B, delay: 10ms}}",
            "tcp: {port: 8000, timeout: 0s}",
            "tcp: {port: 8000, down: true}",
            "http: {port: 8000, abort: 503}",
            "http: {port: 8000, method: GET, route: /cart, share: 0.2, delay: 2s, jitter: 1s}",
            "http: {port: 8000, response_headers: {remove: [etag]}, response_body: {text: '{'}}",
            "dns: {names: [orders.internal, '*.Payments.example'], answer: nxdomain}",
            "dns: {names: [a], answer: {slow: 3s}, server: 127.0.0.53}",
            "dns: {names: [a], answer: {address: 192.0.2.7}}",
            "dns: {names: [a], answer: {address: '2001:db8::7'}}",
            "toxiproxy: {api: '127.0.0.1:8474', proxy: orders, reset_peer: 0s}",
            "container: pause",
            "container: kill",
            "container: disconnect",
            "clock: {offset: 1h}",
            "clock: {offset: 30d, behind: true}",
            "command: {name: stop-replication}",
        ] {
            assert_eq!(judged(yaml), Ok(()), "{yaml}");
        }
    }

    #[test]
    fn what_reaches_too_far_is_refused_with_the_reason() {
        for (yaml, why) in [
            ("cpu: {cores: 0}", "cores: 0 is not within 1 to 1024"),
            ("memory: {bytes: 1KiB}", "bytes: 1KiB is not within"),
            ("disk_fill: {path: /, leave_free: 1GiB}", "would hurt the whole host"),
            ("disk_fill: {path: /etc/, leave_free: 1GiB}", "would hurt the whole host"),
            ("disk_fill: {path: var, leave_free: 1GiB}", "is not a full path"),
            ("disk_fill: {path: /srv/../, leave_free: 1GiB}", "leads upwards"),
            ("disk_fill: {path: /srv/orders, leave_free: 0B}", "is less than 1MiB"),
            ("file_descriptors: {spare: 4000000000}", "spare"),
            ("partition: {}", "name a `port`, a `peer` or both"),
            ("partition: {port: 0}", "0 is no port"),
            ("partition: {port: 22}", "lock out"),
            ("packet_loss: {port: 80, share: 1.0}", "drop everything by `partition`"),
            ("packet_loss: {port: 80, share: .nan}", "is not within"),
            ("tcp: {port: 80}", "name what is done"),
            ("tcp: {port: 80, jitter: 1s}", "name what is done"),
            ("tcp: {port: 80, jitter: 1s, down: true}", "no `latency` that could vary"),
            ("tcp: {port: 80, latency: 5m}", "is more than 20 s"),
            ("tcp: {port: 80, timeout: 1s, reset_peer: 1s}", "write one of both"),
            ("tcp: {port: 80, latency: 0s}", "0s is none"),
            ("tcp: {port: 22, down: true}", "lock out"),
            ("tcp: {port: 80, down: true, latency: 1s}", "no use for other toxics"),
            ("tcp: {port: 80, bandwidth: 10B}", "is not within 1kB to 64MiB"),
            ("tcp: {port: 80, limit_data: 0B}", "is not within 1B to 16MiB"),
            ("tcp: {port: 80, latency: 1s, toxicity: 1.5}", "is not within 0.01 to 1"),
            (
                "tcp: {port: 80, slicer: {average_size: 8B, size_variation: 8B, delay: 1ms}}",
                "vary by less than that",
            ),
            ("tcp: {port: 80, slicer: {average_size: 8B, delay: 2s}}", "not within 1ms to 1s"),
            ("http: {port: 80, route: /cart}", "name what is done"),
            ("http: {port: 80, request_headers: {}}", "name what is done"),
            ("http: {port: 80, abort: 99}", "99 is not within 200 to 599"),
            ("http: {port: 80, abort: 503, response_body: {text: a}}", "the server is not asked"),
            ("http: {port: 80, abort: 503, route: cart}", "does not begin with /"),
            ("http: {port: 80, abort: 503, method: connect}", "write a method as GET or POST"),
            ("http: {port: 80, abort: 503, share: 0.0}", "is not within 0.01 to 1"),
            ("http: {port: 80, delay: 1m}", "is more than 20 s"),
            ("http: {port: 80, jitter: 1s, abort: 503}", "no `delay` that could vary"),
            ("dns: {names: [], answer: none}", "write 1 to 64 names"),
            ("dns: {names: ['*'], answer: none}", "`*` is no name"),
            ("dns: {names: ['*.'], answer: none}", "`*.` is no name"),
            ("dns: {names: ['a..b'], answer: none}", "`a..b` is no name"),
            ("dns: {names: ['a b'], answer: none}", "`a b` is no name"),
            ("dns: {names: [a], answer: {slow: 0s}}", "0s is none"),
            ("dns: {names: [a], answer: {slow: 1m}}", "is more than 20 s"),
            ("dns: {names: [a], answer: {address: 10.0.0.1}}", "may be somebody's"),
            ("dns: {names: [a], answer: {address: '2001:470::1'}}", "may be somebody's"),
            ("clock: {offset: 0s}", "is not within 1s to 365d"),
            ("clock: {offset: 400d}", "is not within 1s to 365d"),
            ("toxiproxy: {api: '10.0.0.1:8474', proxy: a, down: true}", "no port of loopback"),
            ("toxiproxy: {api: '127.0.0.1:8474', proxy: '', down: true}", "write the name"),
            ("command: {name: 'a b'}", "write 1 to 64"),
        ] {
            let error = judged(yaml).unwrap_err();
            assert!(error.contains(why), "{yaml}: {error}");
        }
    }

    #[test]
    fn unknown_faults_and_parameters_are_refused() {
        for yaml in [
            "dance",
            "cpu: {cores: 1, hours: 3}",
            "partition: {port: 99999}",
            "cpu: {}",
            "tcp: {port: 80, latency: 1s, latenzy: 2s}",
            "tcp: {latency: 1s}",
        ] {
            assert!(serde_saphyr::from_str::<Fault>(yaml).is_err(), "{yaml}");
        }
    }
}
