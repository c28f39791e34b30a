//! Frames from answers recorded of a real server (its plan was then set to wait for approval, and
//! the states of its services varied, so that each is there), and what keys do.

use std::path::PathBuf;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use model::{IncidentId, PlanId, Timestamp};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;
use serde_json::{Value, json};

use super::super::overview::Asked;
use super::frame::{self, Look};
use super::history::History;
use super::poll::Answers;
use super::rows::Row;
use super::view::{Deed, View, Wish};

/// When the answers are taken to have come, by the clock here.
const NOW: Timestamp = Timestamp::from_secs(2_000_000_000);

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/top").join(name)
}

/// Answers of a server while a plan waits for approval, each under the name of its route.
fn recorded() -> Value {
    let text = std::fs::read_to_string(fixture("answers.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn view_of(recorded: Value) -> View {
    let mut view = View::new(NOW);
    view.answered(Ok(answers(recorded)), NOW);
    view
}

fn answers(mut recorded: Value) -> Answers {
    let history = recorded["series"].take();
    let history = History::read(serde_json::from_value(history).unwrap());
    let Value::Object(asked) = recorded else { panic!("answers are an object") };
    Answers { asked: Asked(asked), history: Some(history), service: None }
}

fn frame_of(view: &mut View, (columns, rows): (u16, u16), colours: bool) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| frame::draw(frame, view, Look { colours }, NOW)).unwrap();
    terminal.backend().buffer().clone()
}

fn text_of(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let symbols: Vec<&str> = buffer.content.iter().map(|cell| cell.symbol()).collect();
    let lines = symbols.chunks(width).map(|line| line.concat().trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// The picture without regard to where lines are broken.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn assert_shows(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(flat(text).contains(part), "no `{part}` in:\n{text}");
    }
}

fn press(view: &mut View, keys: &str) -> Option<Wish> {
    let mut wish = None;
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            key => KeyCode::Char(key),
        };
        wish = view.key(KeyEvent::new(code, KeyModifiers::NONE));
    }
    wish
}

#[test]
fn the_overview_fits_the_smallest_terminal_and_uses_a_large_one() {
    let mut view = view_of(recorded());
    let parts = [
        "request eject for maple-47 waits for your approval",
        "Incidents 1 open",
        "Plans 1 waiting for you",
        "? 4 request eject maple-47 for incident 1: denied by itself in 4 min 50 s",
        "Drill under way",
        "the fault is in effect, Immune is watched",
        "Services 7 known, worst first",
        "! beech",
        "q quit",
        "healing asks first",
    ];
    let small = text_of(&frame_of(&mut view, (80, 24), false));
    assert_shows(&small, &parts);
    assert!(small.contains("lines more"), "it says that there is more:\n{small}");
    let large = text_of(&frame_of(&mut view, (132, 40), false));
    assert_shows(&large, &parts);
    assert_shows(&large, &["alder", "↻ maple", "… fjord", "? peer card-network", "no data 6 min"]);
    assert!(!large.contains("lines more"), "all of it is seen:\n{large}");
    assert!(large.contains('█'), "bars of what came lately:\n{large}");
}

#[test]
fn an_incident_opens_as_explain_tells_it() {
    let mut view = view_of(recorded());
    press(&mut view, "\n");
    let text = text_of(&frame_of(&mut view, (80, 24), false));
    assert_shows(&text, &["Incident 1 · open for", "Impact", "Esc back"]);
    press(&mut view, "jjjj");
    assert_eq!(view.scroll, 4);
    press(&mut view, "G");
    frame_of(&mut view, (80, 24), false);
    let end = view.scroll;
    press(&mut view, "k");
    assert_eq!(view.scroll, end - 1, "the end is where the last line is seen");
    press(&mut view, "\u{1b}");
    assert_eq!(view.open, None);
}

#[test]
fn no_size_of_a_terminal_breaks_the_picture() {
    let mut view = view_of(recorded());
    for open in [false, true] {
        if open {
            press(&mut view, "\n");
        }
        for columns in [1, 2, 5, 20, 43, 60, 79, 100, 200] {
            for rows in [1, 2, 3, 4, 7, 12, 23, 60] {
                frame_of(&mut view, (columns, rows), true);
            }
        }
    }
}

#[test]
fn without_colours_signs_alone_tell_the_states() {
    let mut view = view_of(recorded());
    let plain = frame_of(&mut view, (80, 24), false);
    assert!(plain.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    assert!(text_of(&plain).lines().any(|line| line.starts_with("! ")));
    let coloured = frame_of(&mut view, (80, 24), true);
    assert!(coloured.content.iter().any(|cell| cell.fg == Color::Red));
    assert_eq!(text_of(&plain), text_of(&coloured), "colour changes no word");
}

#[test]
fn names_of_others_cannot_steer_the_terminal() {
    let mut recorded = recorded();
    recorded["services"]["services"][0]["entity"]["name"] = json!("evil\u{1b}[2J\u{9b}31m");
    recorded["incidents"][0]["title"] = json!("a\u{1b}]0;title\u{7}b");
    let mut view = view_of(recorded);
    for keys in ["", "\n"] {
        press(&mut view, keys);
        let buffer = frame_of(&mut view, (100, 30), true);
        let text = text_of(&buffer).replace('\n', "");
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
}

#[test]
fn the_chosen_row_stays_chosen_while_rows_come_and_go() {
    let mut view = view_of(recorded());
    press(&mut view, "jj");
    let chosen = view.chosen.clone().unwrap();
    let mut newer = recorded();
    let mut incident = newer["incidents"][0].clone();
    incident["id"] = json!(99);
    newer["incidents"].as_array_mut().unwrap().insert(0, incident);
    view.answered(Ok(answers(newer)), NOW);
    assert_eq!(view.chosen, Some(chosen));
    press(&mut view, "g");
    assert_eq!(view.chosen, Some(Row::Incident(IncidentId(99))));
}

/// The recorded plan that waits.
fn waiting(view: &View) -> PlanId {
    view.overview.waiting().next().unwrap().id
}

#[test]
fn nothing_is_done_without_a_question_that_was_answered_with_y() {
    for key in ['a', 'd', 'f'] {
        for answer in ['n', 'a', 'd', 'f', 'q', ' ', '\n', '\u{1b}'] {
            let mut view = view_of(recorded());
            assert_eq!(press(&mut view, &key.to_string()), None);
            assert!(view.question.is_some());
            assert_eq!(press(&mut view, &answer.to_string()), None, "{key} {answer:?}");
            assert!(view.question.is_none());
        }
    }
    let mut view = view_of(recorded());
    let id = waiting(&view);
    assert_eq!(press(&mut view, "ay"), Some(Wish::Do(Deed::Approve(id))));
    assert_eq!(press(&mut view, "dy"), Some(Wish::Do(Deed::Deny(id))));
    assert_eq!(press(&mut view, "fy"), Some(Wish::Do(Deed::Freeze)));
    view.overview.status.frozen = Some(Default::default());
    assert_eq!(press(&mut view, "fy"), Some(Wish::Do(Deed::Thaw)));
}

#[test]
fn what_is_done_is_what_the_question_named() {
    let mut view = view_of(recorded());
    let id = waiting(&view);
    press(&mut view, "a");
    // Another plan has taken its place meanwhile.
    let mut newer = recorded();
    for plan in newer["plans"].as_array_mut().unwrap() {
        plan["id"] = json!(plan["id"].as_u64().unwrap() + 100);
    }
    view.answered(Ok(answers(newer)), NOW);
    assert_eq!(press(&mut view, "y"), Some(Wish::Do(Deed::Approve(id))));
}

#[test]
fn a_plan_of_another_incident_is_not_meant() {
    let mut recorded = recorded();
    let mut other = recorded["incidents"][0].clone();
    other["id"] = json!(77);
    recorded["incidents"].as_array_mut().unwrap().insert(0, other);
    let mut view = view_of(recorded);
    view.chosen = Some(Row::Incident(IncidentId(77)));
    press(&mut view, "a");
    assert!(view.question.is_none());
    assert_eq!(view.said.as_deref(), Some("no plan here waits for a person"));
}

#[test]
fn figures_stay_when_nothing_is_answered_and_their_age_is_said() {
    let mut view = view_of(recorded());
    view.answered(Err(anyhow::anyhow!("cannot reach a server")), NOW);
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    let later = NOW + std::time::Duration::from_secs(12);
    let look = Look { colours: true };
    terminal.draw(|frame| frame::draw(frame, &mut view, look, later)).unwrap();
    let text = text_of(terminal.backend().buffer());
    assert!(text.contains("no answer for 12 s: cannot reach a server"), "{text}");
    assert!(text.contains("Services"), "{text}");
}
