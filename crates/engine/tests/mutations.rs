//! Is every part of the loop missed by some scenario when it is left out?
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use engine::parts::Part;
use engine::scenario::{self, Scenario};

#[test]
fn search() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let mut all: Vec<(String, Scenario, f64)> = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "test") {
            continue;
        }
        let wanted = std::env::var("SCENARIO").unwrap_or_default();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        if !wanted.split(',').any(|w| stem.starts_with(w)) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let s = Scenario::parse(&text).unwrap();
        let t = Instant::now();
        let ok = scenario::run(&s).passed();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if !ok {
            println!("FAILS {name}");
            continue;
        }
        all.push((name, s, t.elapsed().as_secs_f64()));
    }
    all.sort_by(|a, b| a.2.total_cmp(&b.2));
    let limit: f64 = std::env::var("SECONDS_MAX").map_or(99.0, |m| m.parse().unwrap());
    all.retain(|a| a.2 <= limit);
    println!("{} scenarios, {:.1} s", all.len(), all.iter().map(|a| a.2).sum::<f64>());
    for a in all.iter().rev().take(6) {
        println!("slow {} {:.2}", a.0, a.2);
    }
    let parts: Vec<Part> = Part::all();
    let wanted = std::env::var("PART").unwrap_or_default();
    let parts: Vec<Part> = parts
        .into_iter()
        .filter(|p| wanted.split(',').any(|w| p.to_string().contains(w)))
        .collect();
    let next = AtomicUsize::new(0);
    let max: usize = std::env::var("MAX").map_or(2, |m| m.parse().unwrap());
    let lines = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut found = Vec::new();
                    for (name, s, _) in &all {
                        if !scenario::run_without(s, *part).passed() {
                            found.push(name.clone());
                            if found.len() >= max {
                                break;
                            }
                        }
                    }
                    println!("{part}: {}", found.join(", "));
                    lines.lock().unwrap().push((*part, found));
                }
            });
        }
    });
    let mut lines = lines.into_inner().unwrap();
    lines.sort();
    let missing: Vec<String> =
        lines.iter().filter(|l| l.1.is_empty()).map(|l| l.0.to_string()).collect();
    println!("UNNOTICED {}: {}", missing.len(), missing.join("; "));
}
