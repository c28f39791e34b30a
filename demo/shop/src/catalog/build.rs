//! The builds of the catalog that can be deployed.

use std::path::Path;

use anyhow::{Context as _, bail};

/// What `shop release` writes in front of nothing: a version and a line feed.
const RELEASE_BYTES_MAX: usize = 64;

/// One build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// 1.4.0 and 1.4.1, which differ in nothing that users see.
    Good(&'static str),
    /// 1.5.0 takes a discount off each price, which a migration should have brought into the
    /// database. Nobody ran it.
    Discounts,
}

impl Build {
    /// The build that a release file names; without a file the oldest.
    pub fn chosen(file: Option<&Path>) -> anyhow::Result<Build> {
        let Some(file) = file else { return Ok(Build::Good("1.4.0")) };
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("read the release file {}", file.display()))?;
        if text.len() > RELEASE_BYTES_MAX {
            bail!("{} holds more than the name of a version", file.display());
        }
        Build::named(text.trim()).with_context(|| format!("read {}", file.display()))
    }

    /// The build of a version.
    pub fn named(version: &str) -> anyhow::Result<Build> {
        match version {
            "1.4.0" => Ok(Build::Good("1.4.0")),
            "1.4.1" => Ok(Build::Good("1.4.1")),
            "1.5.0" => Ok(Build::Discounts),
            other => bail!("there is no version {other:?}; there are 1.4.0, 1.4.1 and 1.5.0"),
        }
    }

    /// Its version.
    pub fn version(self) -> &'static str {
        match self {
            Build::Good(version) => version,
            Build::Discounts => "1.5.0",
        }
    }

    /// The SQL expression of a product's price in cents.
    pub fn price(self) -> &'static str {
        match self {
            Build::Good(_) => "price_cents",
            Build::Discounts => "price_cents * (100 - discount_percent) / 100",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_file_names_the_build() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("release");
        std::fs::write(&file, "1.5.0\n").expect("write");
        assert_eq!(Build::chosen(Some(&file)).expect("good"), Build::Discounts);
        assert_eq!(Build::chosen(None).expect("default").version(), "1.4.0");
        for text in ["", "2.0.0", &"9".repeat(100)] {
            std::fs::write(&file, text).expect("write");
            assert!(Build::chosen(Some(&file)).is_err(), "{text:?} was accepted");
        }
        assert!(Build::chosen(Some(&folder.path().join("none"))).is_err());
    }
}
