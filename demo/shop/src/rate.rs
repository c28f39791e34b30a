//! `shop rate`: changes how many users come, by the file that `shop users --rate-file` reads.
//!
//! Users who took a rate up write it beside that file: only they know what they do.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::serve::write_whole;
use crate::users::parse_rate;

/// `shop rate`
#[derive(Debug, clap::Args)]
pub struct RateArgs {
    /// The rate file of the users
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Sessions per second from now on
    #[arg(long, value_name = "SESSIONS_PER_S", value_parser = parse_rate)]
    #[arg(required_unless_present = "is")]
    to: Option<f64>,
    /// End with 0 where this is the rate at which users come, with 1 where it is not
    #[arg(long, value_name = "SESSIONS_PER_S", value_parser = parse_rate, conflicts_with = "to")]
    is: Option<f64>,
}

/// Where users tell which rate of `file` they took up.
pub fn taken_up(file: &Path) -> PathBuf {
    file.with_extension("taken-up")
}

/// Tells the users, or looks at what they say.
pub fn run(args: &RateArgs) -> anyhow::Result<()> {
    if let Some(rate) = args.to {
        write_whole(&args.file, rate)?;
        println!("{rate} sessions per second are wanted");
        return Ok(());
    }
    let told = std::fs::read_to_string(taken_up(&args.file)).unwrap_or_default();
    let rate = parse_rate(told.trim()).ok();
    match rate.filter(|rate| Some(*rate) == args.is) {
        Some(rate) => println!("users come at {rate} sessions per second"),
        None => bail!("users tell of another rate, or of none: {:?}", told.trim()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_what_users_took_up_and_not_what_was_asked_for() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("rate");
        let asked = |is| run(&RateArgs { file: file.clone(), to: None, is: Some(is) });
        run(&RateArgs { file: file.clone(), to: Some(12.5), is: None }).expect("write");
        assert_eq!(std::fs::read_to_string(&file).expect("read"), "12.5");
        assert!(asked(12.5).is_err(), "nobody took it up");
        write_whole(&taken_up(&file), 12.5).expect("write");
        assert!(asked(12.5).is_ok());
        assert!(asked(5.0).is_err());
    }
}
