//! Prints a simulation and how fast it was: `cargo run --release -p sim --example fleet_hours --
//! SEED HOURS FAULTS SERVICES [sealed]`; 0 services: drawn.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a tool for who develops this")]

use sim::{Note, Plan, simulate};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).map_or(0, |text| text.parse::<u64>().unwrap());
    let plan = Plan {
        seed: number(0),
        hours: number(1),
        faults: number(2) as usize,
        services: Some(number(3) as usize).filter(|services| *services > 0),
        sealed: arguments.get(4).is_some(),
    };
    let started = std::time::Instant::now();
    let mut seconds = 0;
    let report = simulate(&plan, |note| match note {
        Note::Simulated { seconds: more } => seconds += more,
        _ if plan.sealed => {}
        note => eprintln!("{note:?}"),
    });
    let took = started.elapsed().as_secs_f64();
    println!("{report:#?}");
    println!("{seconds} s in {took:.1} s: {:.0} times as fast as life", seconds as f64 / took);
}
