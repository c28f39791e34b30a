//! `fuzz TARGET FILE…` runs inputs through a target, to see why one was found. Built with
//! `--cfg fuzzing` (by `fuzz/run`) it is libFuzzer's program instead; the target's name is then
//! taken from `FUZZ_TARGET`.

#![cfg_attr(fuzzing, no_main)]
// libFuzzer calls functions by their names.
#![cfg_attr(fuzzing, allow(unsafe_code))]

#[cfg(fuzzing)]
use std::sync::atomic::{AtomicBool, Ordering};

use fuzz::Target;

#[cfg(fuzzing)]
use fuzz::Answer;
#[cfg(fuzzing)]
use libfuzzer_sys::Corpus;

#[cfg(fuzzing)]
static TARGET: std::sync::OnceLock<&Target> = std::sync::OnceLock::new();

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(
    init: {
        let target = *TARGET
            .get_or_init(|| named(&std::env::var("FUZZ_TARGET").unwrap_or_default()));
        // Instead of libFuzzer's own, which ends the program at every panic, caught or not.
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !panic.location().is_some_and(|place| target.is_caught(place.file())) {
                print(panic);
                std::process::abort();
            }
        }));
    },
    |input: &[u8]| -> Corpus {
        let answer = target().check(input);
        let kept = crc32c::crc32c(input).is_multiple_of(REFUSED_PER_KEPT);
        match answer {
            Answer::Refused if SEARCHING.load(Ordering::Relaxed) && !kept => Corpus::Reject,
            _ => Corpus::Keep,
        }
    }
);

/// There are more ways of being refused than of being taken. If all were kept to be built upon, a
/// search would hardly ever get behind the first checks again.
#[cfg(fuzzing)]
const REFUSED_PER_KEPT: u32 = 16;

/// Inputs from before the search, and all of a merge, are kept whatever they are.
#[cfg(fuzzing)]
static SEARCHING: AtomicBool = AtomicBool::new(false);

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    SEARCHING.store(true, Ordering::Relaxed);
    match target().form.changed(&data[..size], seed, &mut spoil) {
        Some(changed) if (1..=max_size).contains(&changed.len()) => {
            data[..changed.len()].copy_from_slice(&changed);
            changed.len()
        }
        _ => libfuzzer_sys::fuzzer_mutate(data, size, max_size),
    }
});

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_crossover!(|input: &[u8], other: &[u8], out: &mut [u8], seed: u32| {
    match target().form.crossed(input, other, seed) {
        Some(crossed) if crossed.len() <= out.len() => {
            out[..crossed.len()].copy_from_slice(&crossed);
            crossed.len()
        }
        // Which makes libFuzzer choose something else.
        _ => 0,
    }
});

#[cfg(fuzzing)]
fn target() -> &'static Target {
    TARGET.get().expect("set before the first input")
}

/// What libFuzzer makes of a few bytes, which may become a little longer.
#[cfg(fuzzing)]
fn spoil(bytes: &mut Vec<u8>) {
    const LONGER: usize = 64;
    let size = bytes.len();
    bytes.resize(size + LONGER, 0);
    let size = libfuzzer_sys::fuzzer_mutate(bytes, size, size + LONGER);
    bytes.truncate(size);
}

#[cfg(not(fuzzing))]
fn main() {
    let mut arguments = std::env::args().skip(1);
    let target = named(&arguments.next().unwrap_or_default());
    for path in arguments {
        match std::fs::read(&path) {
            Ok(input) => {
                println!("{path}: {} bytes", input.len());
                println!("{:?}", target.check(&input));
            }
            Err(error) => stop(&format!("{path}: {error}")),
        }
    }
}

/// The target of that name; without one, the program ends with the list of all.
fn named(name: &str) -> &'static Target {
    fuzz::target(name).unwrap_or_else(|| {
        for target in fuzz::ALL {
            println!("{:20} {}", target.name, target.feeds);
        }
        stop(&format!("no target is named `{name}`; see the list above"))
    })
}

fn stop(why: &str) -> ! {
    eprintln!("fuzz: {why}");
    std::process::exit(2)
}
