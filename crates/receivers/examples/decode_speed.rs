//! How long decoding takes, on request bodies that were captured.
//!
//! `decode_speed FOLDER [ROUNDS]`: reads `*-traces.pb`, `*-metrics.pb`, `*-logs.pb` (and `.json`),
//! decodes each so many times in one thread and prints the time of one item: the best of the
//! rounds, because other programs only ever make it longer. Build it with `--release`.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use model::signal::Signal;
use receivers::{Encoding, decode};

const ROUNDS: u32 = 50;

struct Body {
    signal: Signal,
    encoding: Encoding,
    bytes: Vec<u8>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: decode_speed FOLDER [ROUNDS]")?;
    let rounds = arguments.next().map_or(Ok(ROUNDS), |rounds| rounds.parse())?;
    let bodies = read(Path::new(&folder))?;
    for &signal in Signal::ALL {
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            let is_own = |body: &&Body| body.signal == signal && body.encoding == encoding;
            let own: Vec<&Body> = bodies.iter().filter(is_own).collect();
            if !own.is_empty() {
                measure(signal, encoding, &own, rounds)?;
            }
        }
    }
    Ok(())
}

fn read(folder: &Path) -> Result<Vec<Body>, Box<dyn Error>> {
    let mut bodies = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let signal = Signal::ALL.iter().find(|signal| name.ends_with(signal.as_str()));
        let encoding = match path.extension().and_then(|extension| extension.to_str()) {
            Some("pb") => Encoding::Protobuf,
            Some("json") => Encoding::Json,
            _ => continue,
        };
        if let Some(&signal) = signal {
            bodies.push(Body { signal, encoding, bytes: std::fs::read(&path)? });
        }
    }
    Ok(bodies)
}

fn measure(
    signal: Signal,
    encoding: Encoding,
    bodies: &[&Body],
    rounds: u32,
) -> Result<(), Box<dyn Error>> {
    let (mut items, mut best) = (0, Duration::MAX);
    for _ in 0..rounds {
        let began = now();
        items = 0;
        for body in bodies {
            items += black_box(decode(signal, encoding, &body.bytes)?).batch.len();
        }
        best = best.min(began.elapsed());
    }
    let bytes: usize = bodies.iter().map(|body| body.bytes.len()).sum();
    let each = best.as_secs_f64() * 1e6 / items as f64;
    let rate = bytes as f64 / best.as_secs_f64() / 1e6;
    let (name, size) = (signal.as_str(), bytes / items.max(1));
    println!("{name} {encoding:?}: {each:.3} µs and {size} B an item, {rate:.0} MB/s ({items})");
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "a stopwatch; nothing depends on what it shows")]
fn now() -> Instant {
    Instant::now()
}
