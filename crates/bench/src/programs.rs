//! Where the programs are that are measured: beside this one, of the same build.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Full paths of the product's programs.
#[derive(Clone, Debug)]
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    pub fn find() -> Result<Programs> {
        let own = std::env::current_exe().context("cannot find this program's own file")?;
        let folder = own.parent().context("this program's own file has no folder")?;
        Ok(Programs { folder: folder.to_owned() })
    }

    pub fn immune(&self) -> Result<PathBuf> {
        self.program("immune", "server")
    }

    pub fn shop(&self) -> Result<PathBuf> {
        self.program("shop", "shop")
    }

    /// The cargo profile, as far as the folder tells.
    pub fn profile(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default().to_string_lossy();
        if name == "debug" { "dev".to_owned() } else { name.into_owned() }
    }

    fn program(&self, name: &str, package: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        ensure!(path.exists(), "{} is missing: build it with `-p {package}`", path.display());
        Ok(path)
    }
}

/// A folder for one run, and whether it is deleted at the end.
#[derive(Debug)]
pub struct Workplace {
    path: PathBuf,
    temporary: Option<tempfile::TempDir>,
}

impl Workplace {
    /// `given`, which is kept, or a temporary one, which is kept only if asked so.
    pub fn new(given: Option<&Path>, keep: bool) -> Result<Workplace> {
        if let Some(path) = given {
            let path = std::path::absolute(path)?;
            std::fs::create_dir_all(&path)
                .with_context(|| format!("cannot create {}", path.display()))?;
            // Numbers, seeds and clean counts begin anew; what lies there would be counted along.
            let is_empty = std::fs::read_dir(&path)?.next().is_none();
            ensure!(is_empty, "{} is not empty; choose another --dir", path.display());
            return Ok(Workplace { path, temporary: None });
        }
        let temporary = tempfile::Builder::new().prefix("immune-bench-").tempdir()?;
        let path = temporary.path().to_owned();
        if keep {
            let _ = temporary.keep();
            return Ok(Workplace { path, temporary: None });
        }
        Ok(Workplace { path, temporary: Some(temporary) })
    }

    /// What an earlier run has left in `again`; else as `new`.
    pub fn again_or_new(again: Option<&Path>, given: Option<&Path>) -> Result<Workplace> {
        match again {
            Some(path) => Ok(Workplace { path: std::path::absolute(path)?, temporary: None }),
            None => Workplace::new(given, false),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the files can be read afterwards, if they can.
    pub fn kept(&self) -> Option<&Path> {
        self.temporary.is_none().then_some(self.path.as_path())
    }
}

/// Users that servers run as must get through.
pub fn make_reachable(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(folder)?;
    for open in [Some(folder), folder.parent()].into_iter().flatten() {
        let mut permissions = std::fs::metadata(open)?.permissions();
        permissions.set_mode(permissions.mode() | 0o011);
        std::fs::set_permissions(open, permissions)?;
    }
    Ok(())
}
