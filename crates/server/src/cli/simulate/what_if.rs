//! The table of what each fault would do to a described system.

use sim::{Case, WhatIf};

const NAME_MAX: usize = 24;

/// What would hurt first, then what would not.
pub(super) fn table(found: &WhatIf) -> Vec<String> {
    let (hurting, harmless): (Vec<&Case>, Vec<&Case>) =
        found.cases.iter().partition(|case| case.hurt > 0);
    let mut lines = vec![
        String::new(),
        format!("what if      each fault at {} moments of its life", found.moments),
    ];
    if !hurting.is_empty() {
        let entity = hurting.iter().map(|case| short(&case.entity).chars().count());
        let width = entity.max().unwrap_or(0).max("entity".len());
        let heads = ["hurts", "noticed", "after", "cause", "done", "healed"];
        let [hurts, noticed, after, cause, done, healed] = heads;
        lines.push(format!(
            "{:<20}{:<width$}{hurts:>7}{noticed:>9}{after:>8}{cause:>8}  {done:<14}{healed:>8}",
            "fault", "entity"
        ));
        lines.extend(hurting.iter().map(|case| row(case, width)));
    }
    let names: Vec<String> =
        harmless.iter().map(|case| format!("{} of {}", case.family, case.entity)).collect();
    if !names.is_empty() {
        lines.push(format!("hurt nobody  {}", names.join(", ")));
    }
    let told = |what: &str, is: &dyn Fn(&Case) -> bool| {
        let names = hurting.iter().filter(|case| is(case));
        let names: Vec<String> =
            names.map(|case| format!("{} of {}", case.family, case.entity)).collect();
        (!names.is_empty()).then(|| format!("{what:<13}{}", names.join(", ")))
    };
    lines.extend(told("missed", &|case| case.noticed < case.hurt));
    lines.extend(told("harmed", &|case| case.harmful_actions > 0));
    lines
}

fn row(case: &Case, width: usize) -> String {
    let of_noticed = |count: usize| match case.noticed {
        0 => "-".to_owned(),
        noticed => format!("{count}/{noticed}"),
    };
    let after = case.noticed_after_s.map_or("-".to_owned(), |after| format!("{after} s"));
    let done: Vec<&str> = {
        let mut done: Vec<(&str, usize)> = case.done.iter().map(|(k, v)| (*k, *v)).collect();
        done.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        done.into_iter().map(|(name, _)| name).collect()
    };
    format!(
        "{:<20}{:<width$}{:>7}{:>9}{after:>8}{:>8}  {:<14}{:>8}",
        case.family,
        short(&case.entity),
        format!("{}/{}", case.hurt, case.tried),
        format!("{}/{}", case.noticed, case.hurt),
        of_noticed(case.right_cause),
        if done.is_empty() { "-".to_owned() } else { done.join(", ") },
        format!("{}/{}", case.healed, case.hurt),
    )
}

fn short(name: &str) -> String {
    match name.chars().count() > NAME_MAX {
        true => name.chars().take(NAME_MAX - 1).chain(['…']).collect(),
        false => name.to_owned(),
    }
}
