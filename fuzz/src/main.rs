//! `fuzz TARGET FILE…` runs inputs through a target, to see why one was found. Built with
//! `--cfg fuzzing` (by `fuzz/run`) it is libFuzzer's program instead; the target's name is then
//! taken from `FUZZ_TARGET`.

#![cfg_attr(fuzzing, no_main)]
// libFuzzer calls functions by their names.
#![cfg_attr(fuzzing, allow(unsafe_code))]

use fuzz::Target;

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
    |input: &[u8]| {
        TARGET.get().expect("set before the first input").check(input);
    }
);

#[cfg(not(fuzzing))]
fn main() {
    let mut arguments = std::env::args().skip(1);
    let target = named(&arguments.next().unwrap_or_default());
    for path in arguments {
        match std::fs::read(&path) {
            Ok(input) => {
                println!("{path}: {} bytes", input.len());
                target.check(&input);
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
