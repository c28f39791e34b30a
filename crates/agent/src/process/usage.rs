//! What a process uses, as the kernel counts it in `/proc`: the means by which effects of faults
//! are seen.

use std::fs;

/// Processor time of all its threads since it started, in clock ticks.
pub fn cpu_ticks(pid: u32) -> Option<u64> {
    parse_cpu_ticks(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Fields 14 and 15, counted from the last `)`; the one after it is field 3.
fn parse_cpu_ticks(text: &[u8]) -> Option<u64> {
    let end_of_name = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&text[end_of_name + 1..]).ok()?;
    let mut fields = rest.split_ascii_whitespace().skip(14 - 3);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user.saturating_add(system))
}

/// Idle and all processor time of the host since it started, in clock ticks.
pub fn host_ticks() -> Option<(u64, u64)> {
    parse_host_ticks(&fs::read_to_string("/proc/stat").ok()?)
}

fn parse_host_ticks(text: &str) -> Option<(u64, u64)> {
    let mut fields = text.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace();
    let mut times = [0_u64; 8];
    for time in &mut times {
        *time = fields.next()?.parse().ok()?;
    }
    let idle = times[3].saturating_add(times[4]);
    Some((idle, times.iter().fold(0, |sum: u64, time| sum.saturating_add(*time))))
}

/// Bytes of memory that a process has, swapped ones included.
pub fn memory_bytes(pid: u32) -> Option<u64> {
    let status = fs::read(format!("/proc/{pid}/status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    Some(kilobytes(&status, "VmRSS:")?.saturating_add(kilobytes(&status, "VmSwap:").unwrap_or(0)))
}

/// Bytes that the host can still give, and all that it has.
pub fn host_memory() -> Option<(u64, u64)> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    Some((kilobytes(&text, "MemAvailable:")?, kilobytes(&text, "MemTotal:")?))
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1_024)
}

/// Soft and hard limit of open files; `None` inside is no limit.
pub fn open_files_limit(pid: u32) -> Option<(Option<u64>, Option<u64>)> {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let mut fields = rest.split_ascii_whitespace();
    let mut limit = || match fields.next()? {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    };
    Some((limit()?, limit()?))
}

/// Numbers of the open files, in order. `None` when one may not look.
pub fn open_files(pid: u32) -> Option<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).ok()? {
        numbers.extend(entry.ok()?.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_after_a_name_with_parentheses() {
        let line = b"7 (a) Z 9 (x)) S 3 7 7 0 -1 4194560 1 0 0 0 11 31 0 0 20 0 1 0 8812 0 0\n";
        assert_eq!(parse_cpu_ticks(line), Some(42));
        assert_eq!(parse_cpu_ticks(b"7 (a S"), None);
    }

    #[test]
    fn time_of_guests_is_not_counted_twice() {
        let text = "cpu  10 1 5 70 4 2 3 5 9 9\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(parse_host_ticks(text), Some((74, 100)));
        assert_eq!(parse_host_ticks("cpu0 1 2"), None);
    }

    #[test]
    fn this_process_has_memory_and_files() {
        let pid = std::process::id();
        assert!(memory_bytes(pid).unwrap() > 100_000);
        let (available, total) = host_memory().unwrap();
        assert!(0 < available && available <= total);
        assert!(open_files(pid).unwrap().starts_with(&[0, 1, 2]));
        assert!(open_files_limit(pid).unwrap().0.is_none_or(|limit| limit > 3));
    }
}
