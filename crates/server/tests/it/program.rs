//! Programs of other packages that tests run.

use std::path::{Path, PathBuf};
use std::process::Child;

/// One that ends with the test.
pub struct Program(pub Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `None` where it is not installed, which is said past the capture of output; in CI it must be.
pub fn installed(program: &str) -> Option<PathBuf> {
    let path = Path::new("/usr/bin").join(program);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "{program} is not installed");
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: {program} is not installed");
    None
}
