//! The `process` provider: runs a program, gives `{status, stdout, stderr}`.
//!
//! The process leads a group of its own, and the whole group is killed when the time is over or the
//! run is interrupted. Its standard input is empty.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::fs::Access;
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::OUTPUT_BYTES_MAX;
use crate::clock;
use crate::raise::{Failure, Raise};
use crate::substitute::Variables;
use crate::value::Value;
use crate::variables::Environment;

/// Runs the provider's program to its end. `started` is told the number of its process, the leader
/// of its group.
pub async fn run(
    provider: &Value,
    variables: &Variables,
    added: &[(String, String)],
    environment: Environment<'_>,
    started: &(dyn Fn(u32) + Sync),
) -> Result<Value, Failure> {
    let mut command = command(provider, variables, environment)?;
    let timeout = match provider.get("timeout") {
        None | Some(Value::Null) => None,
        Some(timeout) => Some(timeout.as_number().map(clock::seconds).ok_or_else(|| {
            Raise::Error(format!("a process's timeout must be a number, not a {}", timeout.kind()))
        })?),
    };
    command.envs(added.iter().cloned()).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().map_err(|error| Raise::Error(format!("cannot run it: {error}")))?;
    child.id().into_iter().for_each(started);
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id as i32)));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let done = async {
        let (stdout, stderr) = tokio::join!(read(stdout), read(stderr));
        (stdout, stderr, child.wait().await)
    };
    let (stdout, stderr, status) = match timeout {
        None => done.await,
        Some(timeout) => tokio::time::timeout(timeout, done).await.map_err(|_| {
            Failure::Activity("process activity took too long to complete".to_owned())
        })?,
    };
    let status = status.map_err(|error| Raise::Error(format!("cannot wait for it: {error}")))?;
    let output = [
        ("status", code(status).into()),
        ("stdout", text(stdout?)?.into()),
        ("stderr", text(stderr?)?.into()),
    ];
    group.0 = None;
    Ok(output.into())
}

/// Kills what is left of the process and its children when dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            let _ = rustix::process::kill_process_group(leader, Signal::KILL);
        }
    }
}

fn command(
    provider: &Value,
    variables: &Variables,
    environment: Environment<'_>,
) -> Result<Command, Failure> {
    let path = provider.get_str("path").unwrap_or_default();
    let found = find_program(&expand_user(path, environment), environment);
    let arguments = match provider.get("arguments") {
        None => Value::List(Vec::new()),
        Some(arguments) if arguments.truthy() => variables.substitute_arguments(arguments)?,
        Some(arguments) => arguments.clone(),
    };
    if let Value::Text(arguments) = &arguments {
        let program = found.map_or("None".to_owned(), |path| path.display().to_string());
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(format!("{program} {arguments}"));
        return Ok(command);
    }
    let program = found.ok_or_else(|| Raise::Error(format!("there is no program `{path}`")))?;
    let mut command = Command::new(program);
    let words: Vec<String> = match &arguments {
        Value::List(list) => list.iter().filter_map(word).collect(),
        Value::Map(map) => map
            .iter()
            .flat_map(|(key, value)| [word(&Value::text(key)), word(value)])
            .flatten()
            .collect(),
        other => {
            let kind = other.kind();
            return Err(Raise::Error(format!("arguments cannot be a {kind}")).into());
        }
    };
    if words.iter().any(|word| word.contains('\0')) {
        return Err(Raise::Error("an argument holds a zero byte".to_owned()).into());
    }
    command.args(words);
    Ok(command)
}

/// An argument as text; nothing and empty text are left out.
fn word(value: &Value) -> Option<String> {
    let text = value.to_string();
    (!value.is_null() && !text.is_empty()).then_some(text)
}

fn expand_user(path: &str, environment: Environment<'_>) -> String {
    match (path.strip_prefix('~'), environment("HOME")) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            format!("{}{rest}", home.trim_end_matches('/'))
        }
        _ => path.to_owned(),
    }
}

/// The program of this path, or of this name in `PATH`, that may be run.
pub fn find_program(name: &str, environment: Environment<'_>) -> Option<PathBuf> {
    let may_run = |path: &Path| path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok();
    if name.is_empty() || name.contains('\0') {
        return None;
    }
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| may_run(path));
    }
    let folders = environment("PATH").unwrap_or_else(|| "/bin:/usr/bin".to_owned());
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| may_run(path))
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, Failure> {
    let mut output = Vec::new();
    let Some(pipe) = pipe else { return Ok(output) };
    let limit = OUTPUT_BYTES_MAX as u64 + 1;
    let read = pipe.take(limit).read_to_end(&mut output).await;
    read.map_err(|error| Raise::Error(format!("cannot read its output: {error}")))?;
    if output.len() > OUTPUT_BYTES_MAX {
        let problem = format!("the process wrote more than {OUTPUT_BYTES_MAX} bytes");
        return Err(Failure::Activity(problem));
    }
    Ok(output)
}

fn text(output: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(output)
        .map_err(|_| Failure::Activity("Failed to decode bytes using encoding 'utf-8'".to_owned()))
}

/// As Python counts: minus the signal that ended it.
fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| -signal)).unwrap_or(-1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_now(provider: &str, configuration: &str) -> Result<Value, Failure> {
        let value = |json: &str| -> Value { serde_json::from_str(json).unwrap() };
        let configuration = value(configuration).as_map().unwrap().clone();
        let variables = Variables { configuration, ..Variables::default() };
        let environment = |name: &str| std::env::var(name).ok();
        let provider = value(provider);
        let added = [("ADDED".to_owned(), "yes".to_owned())];
        let run = run(&provider, &variables, &added, &environment, &|_| {});
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run)
    }

    fn stdout(provider: &str, configuration: &str) -> String {
        run_now(provider, configuration).unwrap().get_str("stdout").unwrap().to_owned()
    }

    #[test]
    fn arguments_are_a_list_a_map_in_its_order_or_a_shells_text() {
        let list = r#"{"path": "printf", "arguments": ["%s|", 1, true, null, "", "${x}", 1.0]}"#;
        assert_eq!(stdout(list, r#"{"x": "a b"}"#), "1|True|a b|1.0|");
        let map = r#"{"path": "echo", "arguments": {"-z": 1, "-a": "", "b": null}}"#;
        assert_eq!(stdout(map, "{}"), "-z 1 -a b\n");
        let shell = r#"{"path": "echo", "arguments": "$ADDED ${x} $HOME | cut -c 1-5"}"#;
        assert_eq!(stdout(shell, r#"{"x": 7}"#), "yes 7\n");
    }

    #[test]
    fn the_status_is_the_programs_or_the_signal_that_ended_it() {
        let status = |script: &str| {
            let provider = format!(r#"{{"path": "sh", "arguments": ["-c", "{script}"]}}"#);
            run_now(&provider, "{}").unwrap().get("status").cloned().unwrap()
        };
        assert_eq!(status("exit 3"), Value::from(3));
        assert_eq!(status("kill -9 $$"), Value::from(-9));
    }

    #[test]
    fn a_timeout_kills_the_whole_group() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = format!("sleep 60 & echo $! > {}; wait", pid.display());
        let provider =
            format!(r#"{{"path": "sh", "arguments": ["-c", "{script}"], "timeout": 0.5}}"#);
        let failure = run_now(&provider, "{}").unwrap_err();
        assert!(matches!(failure, Failure::Activity(text) if text.contains("too long")));
        let grandchild = std::fs::read_to_string(pid).unwrap();
        let stat = format!("/proc/{}/stat", grandchild.trim());
        let until = clock::monotonic() + std::time::Duration::from_secs(10);
        let lives = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z"));
        while lives() {
            assert!(clock::monotonic() < until, "the grandchild lives");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        assert!(matches!(run_now(r#"{"path": "no-such"}"#, "{}"), Err(Failure::Raise(_))));
        let shell = r#"{"path": "no-such", "arguments": "x"}"#;
        assert_eq!(run_now(shell, "{}").unwrap().get("status"), Some(&Value::from(127)));
    }
}
