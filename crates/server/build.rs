//! Embeds the built web pages of `ui/dist` (or of `UI_DIST`) into the program, each with its
//! compressed twin. Nothing is generated but the list of files. Without pages the program says how
//! they are built.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use flate2::Compression;
use flate2::write::GzEncoder;

/// By the ending of a name.
const CONTENT_TYPES: &[(&str, &str)] = &[
    ("css", "text/css; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("webmanifest", "application/manifest+json"),
    ("woff2", "font/woff2"),
];
/// Where Vite puts what bears a hash in its name.
const HASHED: &str = "/assets/";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=UI_DIST");
    let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui");
    let dist = env::var_os("UI_DIST").map_or_else(|| ui.join("dist"), PathBuf::from);
    let mut files = Vec::new();
    if dist.join("index.html").is_file() {
        println!("cargo:rerun-if-changed={}", dist.display());
        gather(&dist, &mut files)?;
        files.sort();
    } else {
        println!("cargo:warning=the web pages are not built; `make ui` builds them");
        // A path that is not there would have everything built anew each time.
        if let Some(there) = [&dist, &ui].into_iter().find(|path| path.exists()) {
            println!("cargo:rerun-if-changed={}", there.display());
        }
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut list = String::from("pub static FILES: &[File] = &[\n");
    for (index, file) in files.iter().enumerate() {
        entry(&dist, file, &out.join(format!("{index}.gz")), &mut list)?;
    }
    list.push_str("];\n");
    fs::write(out.join("ui_files.rs"), list)
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            gather(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// One line of the list; writes the compressed twin where that is worth it.
fn entry(dist: &Path, file: &Path, twin: &Path, list: &mut String) -> io::Result<()> {
    let bytes = fs::read(file)?;
    let name = file.strip_prefix(dist).unwrap_or(file).to_string_lossy().replace('\\', "/");
    let path = format!("/{name}");
    let ending = name.rsplit('.').next().unwrap_or_default();
    let known = CONTENT_TYPES.iter().find(|(known, _)| *known == ending);
    let content_type = known.map_or("application/octet-stream", |(_, content_type)| content_type);
    let mut hasher = DefaultHasher::new();
    hasher.write(&bytes);
    let hash = format!("{:016x}", hasher.finish());
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&bytes)?;
    let compressed = encoder.finish()?;
    let gzip = if compressed.len() * 10 < bytes.len() * 9 {
        fs::write(twin, compressed)?;
        format!("Some(include_bytes!({:?}))", twin.display().to_string())
    } else {
        "None".to_owned()
    };
    let file = fs::canonicalize(file)?.display().to_string();
    let hashed = path.starts_with(HASHED);
    let written = writeln!(
        list,
        "File {{ path: {path:?}, content_type: {content_type:?}, hash: {hash:?}, \
         hashed: {hashed}, bytes: include_bytes!({file:?}), gzip: {gzip} }},"
    );
    written.map_err(io::Error::other)
}
