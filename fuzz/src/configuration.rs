//! Files that people write: the configuration, experiments; and the log of a load generator.
//!
//! What was read and is written again reads as the same; complaints point into the file.

use std::path::Path;

use chaos::ClientLog;
use model::Timestamp;

use crate::{Answer, Form, Memory, Target, planted};

/// YAML's aliases may repeat what they stand for; its reader has a budget of its own.
const MEMORY: Memory = Memory { base: 64 << 20, factor: 4096 };

pub const SERVER: Target = Target {
    name: "configuration",
    feeds: "immune.yaml",
    form: Form::Yaml,
    memory: MEMORY,
    caught: &[],
    run: server,
};

pub const EXPERIMENT: Target = Target {
    name: "experiment",
    feeds: "an experiment file",
    form: Form::Yaml,
    memory: MEMORY,
    caught: &[],
    run: experiment,
};

pub const CLIENT_LOG: Target = Target {
    name: "client-log",
    feeds: "where to cut (two bytes), then the log of a load generator",
    form: Form::Lines { head: 2 },
    memory: MEMORY,
    caught: &[],
    run: client_log,
};

pub const TOOLKIT: Target = Target {
    name: "toolkit",
    feeds: "an experiment of Chaos Toolkit; its configuration is also what its probes give",
    form: Form::Yaml,
    memory: MEMORY,
    caught: &[],
    run: toolkit_experiment,
};

fn toolkit_experiment(input: &[u8]) -> Answer {
    use toolkit::{Format, Value, experiment, substitute::Variables, tolerance};

    let Ok(text) = std::str::from_utf8(input) else { return Answer::Refused };
    let Ok(read) = toolkit::parse(text, Format::Yaml) else { return Answer::Refused };
    let written = serde_json::to_string(&read).expect("what was read can be written");
    if !written.contains(".nan") && !written.contains("null") {
        let again = toolkit::parse(&written, Format::Json).expect("what was written can be read");
        assert_eq!(again, read);
    }
    let environment = |name: &str| (name == "PORT").then(|| "80".to_owned());
    let valid = experiment::validate(&read, &environment);
    assert!(!valid.as_ref().is_err_and(String::is_empty), "refused without a word");
    let configuration = read.get("configuration").and_then(Value::as_map).cloned();
    let variables =
        Variables { configuration: configuration.unwrap_or_default(), ..Variables::default() };
    let _ = variables.substitute(&read);
    for place in experiment::activities(&read, experiment::PROBES) {
        let Some(tolerance) = read.at(&place).and_then(|probe| probe.get("tolerance")) else {
            continue;
        };
        let _ = tolerance::validate(tolerance);
        let _ = tolerance::within(tolerance, &read, &variables);
        for result in variables.configuration.values() {
            let _ = tolerance::within(tolerance, result, &variables);
        }
    }
    if valid.is_ok() { Answer::Taken } else { Answer::Refused }
}

fn server(input: &[u8]) -> Answer {
    let Ok(text) = std::str::from_utf8(input) else { return Answer::Refused };
    let file = Path::new("immune.yaml");
    let environment = |name: &str| (name == "PORT").then(|| "7701".to_owned());
    let config = match server::config::parse(file, text, environment) {
        Ok(config) => config,
        Err(error) => {
            assert!(!error.complaints.is_empty(), "refused without a word");
            for (place, message) in &error.complaints {
                assert!(!message.is_empty(), "a complaint without words");
                // YAML knows more ends of lines than most.
                let ends = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
                let lines = text.matches(ends).count() as u32 + 1;
                assert!(place.is_none_or(|(line, _)| line <= lines), "{place:?} of {lines} lines");
            }
            return Answer::Refused;
        }
    };
    planted::in_configuration(&config);
    let _ = config.engine();
    let shown = in_yaml(&serde_json::to_string(&config).expect("a configuration can be shown"));
    // What a variable was replaced by may look like a variable.
    if !shown.contains("${env:") {
        let again = server::config::parse(file, &shown, environment);
        let again = again.unwrap_or_else(|error| panic!("{error}\nin {shown}"));
        assert_eq!(format!("{again:?}"), format!("{config:?}"));
    }
    let hidden = config.without_secrets();
    assert_eq!(hidden.clone().without_secrets(), hidden);
    Answer::Taken
}

/// JSON is YAML but for characters that YAML knows only as escapes.
fn in_yaml(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                text.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            _ => text.push(character),
        }
    }
    text
}

fn experiment(input: &[u8]) -> Answer {
    let Ok(text) = std::str::from_utf8(input) else { return Answer::Refused };
    let experiment = match chaos::parse(text) {
        Ok(experiment) => experiment,
        Err(problem) => {
            assert!(!problem.to_string().is_empty());
            return Answer::Refused;
        }
    };
    let shown = in_yaml(&serde_json::to_string(&experiment).expect("an experiment can be shown"));
    let again = chaos::parse(&shown).unwrap_or_else(|problem| panic!("{problem} in {shown}"));
    assert_eq!(again, experiment);
    Answer::Taken
}

/// Read in two pieces, the second beginning where the first was used up, or at once: the same.
fn client_log(input: &[u8]) -> Answer {
    let Some((place, log)) = input.split_at_checked(2) else { return Answer::Refused };
    let Ok(text) = std::str::from_utf8(log) else { return Answer::Refused };
    let mut at_once = ClientLog::default();
    let used = at_once.read(text);
    assert!(used <= text.len() && (used == 0 || text.as_bytes()[used - 1] == b'\n'));
    let mut cut = usize::from(u16::from_le_bytes([place[0], place[1]])) % (text.len() + 1);
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    let mut in_pieces = ClientLog::default();
    let first = in_pieces.read(&text[..cut]);
    assert_eq!(first + in_pieces.read(&text[first..]), used);
    assert_eq!(in_pieces, at_once);
    let (from, to) = (Timestamp(0), Timestamp(u64::MAX));
    assert!(at_once.harmed_in_a_row() <= at_once.harmed(from, to).count);
    let _ = at_once.well_after(from);
    if used > 0 { Answer::Taken } else { Answer::Refused }
}
