//! The picture: answers in, one frame out.
//!
//! From the top: the headline, what else counts, what can be chosen (or what is open), the line of
//! keys or of a question, and Immune itself. States have signs of their own, so that it reads
//! without colour; when answers are old, they are dimmed and their age is said.

use model::Timestamp;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::overview::{self, Tone};
use super::super::{text, units};
use super::detail;
use super::rows::Row;
use super::view::View;

mod table;

/// Answers older than this are shown as old.
const OLD_AFTER: std::time::Duration = std::time::Duration::from_secs(5);
const HEADLINE_LINES_MAX: usize = 3;
const KEYS: &str = "j k move · Enter open · a approve · d deny · f freeze · ? help · q quit";
const KEYS_OPEN: &str = "j k scroll · Esc back · a approve · d deny · f freeze · ? help";
const HELP: &[&str] = &[
    "Keys",
    "",
    "  j, k, arrows     next, previous row; scroll what is open",
    "  Space, PageUp    a page on, a page back",
    "  g, G             first, last",
    "  Enter            open an incident, a plan or a service",
    "  Esc, q           back",
    "  a, d             approve, deny the plan that waits; it asks first",
    "  f                freeze all healing, or thaw it; it asks first",
    "  Ctrl-Z           stop until `fg`",
    "  q, Ctrl-C        leave",
    "",
    "Signs",
    "",
    "  !  users are hurt         ▲  at risk            ↻  being healed, watched",
    "  ?  no data, or a question that waits for you    …  being learned   ·  no traffic",
    "",
    "Any key goes back.",
];

#[derive(Clone, Copy)]
pub(super) struct Look {
    pub(super) colours: bool,
}

impl Look {
    fn colour(self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    fn hurt(self) -> Style {
        self.colour(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn risk(self) -> Style {
        self.colour(Color::Yellow)
    }

    fn healing(self) -> Style {
        self.colour(Color::Cyan)
    }

    fn drill(self) -> Style {
        self.colour(Color::Magenta)
    }

    fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn bold(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }
}

/// A line of the middle, and the row that it stands for.
struct Entry {
    line: Line<'static>,
    row: Option<Row>,
}

impl Entry {
    fn text(line: impl Into<Line<'static>>) -> Entry {
        Entry { line: line.into(), row: None }
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, view: &mut View, look: Look, now: Timestamp) {
    let area = frame.area();
    view.move_on(now);
    let head = head(view, look, area.width);
    let foot = foot(view, look);
    let room = usize::from(area.height).saturating_sub(foot.len());
    let head: Vec<Line<'static>> = head.into_iter().take(room).collect();
    let middle = Rect { y: area.y + head.len() as u16, height: (room - head.len()) as u16, ..area };
    frame.render_widget(Paragraph::new(head.clone()), Rect { height: head.len() as u16, ..area });
    let lines = match (view.help, view.open.clone()) {
        (true, _) => HELP.iter().map(|line| Line::from(*line)).collect(),
        (_, Some(row)) => opened(view, look, &row, middle),
        (_, None) => listed(view, look, middle),
    };
    frame.render_widget(Paragraph::new(lines), middle);
    let foot_area = Rect {
        y: area.y + area.height.saturating_sub(foot.len() as u16),
        height: (foot.len() as u16).min(area.height),
        ..area
    };
    frame.render_widget(Paragraph::new(foot), foot_area);
}

fn head(view: &View, look: Look, width: u16) -> Vec<Line<'static>> {
    let headline = overview::headline(&view.overview);
    let style = match headline.tone {
        Tone::Hurt => look.hurt(),
        Tone::Risk | Tone::Unknown => look.risk().add_modifier(Modifier::BOLD),
        Tone::Well => look.bold(),
    };
    let mut lines = Vec::new();
    for (text, style) in [(&headline.sentence, style), (&headline.detail, look.dim())] {
        let wrapped = text::wrap(&text::plain(text), usize::from(width));
        let wrapped = wrapped.into_iter().take(HEADLINE_LINES_MAX);
        lines.extend(wrapped.map(|line| Line::styled(line, style)));
    }
    lines.push(Line::default());
    lines
}

/// A question, an outcome or the keys; below it, Immune itself.
fn foot(view: &View, look: Look) -> Vec<Line<'static>> {
    let first = match (&view.question, &view.said) {
        (Some(question), _) => {
            Line::styled(text::plain(&question.text), look.bold().add_modifier(Modifier::REVERSED))
        }
        (None, Some(said)) => Line::styled(text::plain(said), look.bold()),
        (None, None) if view.open.is_some() => Line::styled(KEYS_OPEN, look.dim()),
        (None, None) => Line::styled(KEYS, look.dim()),
    };
    vec![first, bottom(view, look)]
}

fn bottom(view: &View, look: Look) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    if let Some(failed) = &view.failed {
        let age = units::span(view.silence());
        let why = text::plain(failed);
        return Line::styled(format!("no answer for {age}: {why}"), look.hurt());
    }
    for (part, good) in overview::bottom(&view.overview).parts {
        if !spans.is_empty() {
            spans.push(Span::styled(" · ", look.dim()));
        }
        spans.push(Span::styled(part, if good { look.dim() } else { look.risk() }));
    }
    Line::from(spans)
}

fn opened(view: &mut View, look: Look, row: &Row, area: Rect) -> Vec<Line<'static>> {
    let told = detail::lines(view, row);
    let width = usize::from(area.width);
    let lines: Vec<(String, bool)> = told.iter().flat_map(|line| folded(line, width)).collect();
    let height = usize::from(area.height);
    view.scroll = view.scroll.min(lines.len().saturating_sub(height));
    let shown = lines.into_iter().skip(view.scroll).take(height);
    let styled = shown.map(|(line, is_head)| match is_head {
        true => Line::styled(line, look.bold()),
        false => Line::from(line),
    });
    styled.collect()
}

/// A line broken between words, those after the first indented as it is; and whether it is a
/// heading.
fn folded(line: &str, width: usize) -> Vec<(String, bool)> {
    let indent = line.len() - line.trim_start().len();
    let is_head = indent == 0 && line.chars().count() < 60 && !line.is_empty();
    let hanging = if indent == 0 { 0 } else { indent + 2 };
    let room = width.saturating_sub(hanging).max(10);
    let wrapped = text::wrap(line.trim_start(), room);
    let lines = wrapped.into_iter().enumerate().map(|(at, text)| {
        let before = if at == 0 { indent } else { hanging };
        (format!("{:before$}{text}", ""), is_head)
    });
    lines.collect()
}

fn listed(view: &View, look: Look, area: Rect) -> Vec<Line<'static>> {
    let mut entries = Vec::new();
    table::incidents(&mut entries, view, look);
    table::plans(&mut entries, view, look);
    table::drill(&mut entries, view, look);
    table::services(&mut entries, view, look, area.width);
    let height = usize::from(area.height);
    let chosen = entries.iter().position(|entry| entry.row.is_some() && entry.row == view.chosen);
    let first = first_line(entries.len(), chosen, height);
    let left = entries.len().saturating_sub(first + height);
    let old = view.silence() > OLD_AFTER && view.failed.is_some();
    let mut lines = Vec::new();
    for (at, entry) in entries.into_iter().enumerate().skip(first).take(height) {
        let mut line = entry.line;
        if old {
            line = line.patch_style(look.dim());
        }
        if Some(at) == chosen {
            line = line.patch_style(Style::new().add_modifier(Modifier::REVERSED));
        }
        lines.push(line);
    }
    if left > 0 && height > 2 {
        let more = units::plural(left + 1, "line", "lines");
        if Some(first + height - 1) != chosen {
            lines.pop();
            lines.push(Line::styled(format!("  ↓ {more} more"), look.dim()));
        }
    }
    lines
}

/// The first line shown, so that what is chosen is seen with something around it.
fn first_line(all: usize, chosen: Option<usize>, height: usize) -> usize {
    let last = all.saturating_sub(height);
    let Some(chosen) = chosen else { return 0 };
    // From the top on as long as that shows the choice above the last line.
    if chosen + 1 < height.max(1) {
        return 0;
    }
    chosen
        .saturating_sub(height.saturating_sub(2))
        .min(last)
        .max((chosen + 1).saturating_sub(height))
}
