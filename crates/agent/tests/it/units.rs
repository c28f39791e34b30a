//! Units of a real systemd, which the test starts for itself: a user's manager on a bus of its own,
//! in control groups of its own (else it would take all processes of the machine into its own) and
//! with a `/run` of its own that says that systemd runs this machine.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use agent::config::{ProcessMatch, Systemd, Unit};
use model::human::HumanDuration;
use model::plan::{Expectation, OutcomeResult};
use model::tick::ProcessState;
use model::{ActionKind, UnitOperation as Operation};
use rustix::process::{Pid, Signal, kill_process};

use crate::lab::{Lab, Server, installed, until, wait_exit};

const PROGRAM: &str = "/lib/systemd/systemd";

/// Puts itself into control groups of this name, then becomes the manager. cpuset of the first
/// version takes nobody in before it is configured; systemd leaves it alone.
const START: &str = r#"
set -e
groups=/sys/fs/cgroup
all=$(ls -d $groups/*/)
[ ! -e $groups/cgroup.procs ] || all=$groups
for group in $all; do
    mkdir "$group/$1"
    echo $$ 2>/dev/null >"$group/$1/cgroup.procs" || case $group in */cpuset/*) ;; *) exit 1 ;; esac
done
exec unshare --mount sh -c '
    mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system &&
    exec "$0" --user --log-target=console' "$2"
"#;

const END: &str = r#"
for group in /sys/fs/cgroup/*/"$1" /sys/fs/cgroup/"$1"; do
    [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} +
done
"#;

const BUS: &str = r#"
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>systemd:</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
    POLICY
  </policy>
</busconfig>
"#;

/// systemd uses the bus of which it started the daemon itself.
const BUS_UNITS: [(&str, &str); 2] = [
    ("dbus.socket", "[Socket]\nListenStream=DIR/bus\n"),
    (
        "dbus.service",
        "[Unit]\nRequires=dbus.socket\n[Service]\nType=notify\nExecStart=DAEMON \
         --config-file=DIR/bus.conf --nofork --nopidfile\n",
    ),
];

/// Dies with the test.
struct Manager {
    dir: tempfile::TempDir,
    systemd: Child,
    group: String,
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.systemd), Signal::TERM);
        let _ = self.systemd.wait();
        let _ = Command::new("/bin/sh").args(["-c", END, "sh", &self.group]).status();
    }
}

impl Manager {
    /// None, which is said, where it is not installed or may not run. `policy` is the bus's own.
    async fn start(policy: &str, units: &[(&str, &str)]) -> Option<Manager> {
        let daemon = installed("dbus-daemon")?;
        installed("systemctl")?;
        if !Path::new(PROGRAM).exists() || !rustix::process::geteuid().is_root() {
            say("systemd is not installed, or this is not root");
            return None;
        }
        let dir = tempfile::Builder::new().prefix("sd-").tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("units")).unwrap();
        for (name, unit) in BUS_UNITS.iter().chain(units) {
            let unit = unit.replace("DIR", dir.path().to_str().unwrap());
            let unit = unit.replace("DAEMON", daemon.to_str().unwrap());
            std::fs::write(at("units").join(name), unit).unwrap();
        }
        std::fs::write(at("bus.conf"), BUS.replace("POLICY", policy)).unwrap();
        let group = format!("immune-test-{}", dir.path().file_name().unwrap().to_str().unwrap());
        let mut command = dies_with_us();
        command.args(["/bin/sh", "-c", START, "sh", &group, PROGRAM]).env_clear();
        command.envs(variables(dir.path()));
        let log = std::fs::File::create(at("log")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let systemd = command.spawn().unwrap();
        let mut manager = Manager { dir, systemd, group };
        let private = manager.dir.path().join("systemd/private");
        until("systemd is there, or has ended", || {
            let ended = manager.systemd.try_wait().unwrap().is_some();
            (ended || private.exists()).then_some(())
        })
        .await;
        if manager.systemd.try_wait().unwrap().is_some() {
            let log = std::fs::read_to_string(manager.dir.path().join("log")).unwrap();
            say(&format!("systemd cannot run here: {}", log.lines().last().unwrap_or("")));
            return None;
        }
        until("it runs the bus", || manager.ctl(&["start", "dbus.service"])).await;
        Some(manager)
    }

    /// What `systemctl` prints, if it ends well.
    fn ctl(&self, arguments: &[&str]) -> Option<String> {
        let mut command = Command::new("systemctl");
        command.arg("--user").args(arguments).env_clear().envs(variables(self.dir.path()));
        let output = command.stdin(Stdio::null()).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    fn show(&self, unit: &str, property: &str) -> String {
        let property = format!("--property={property}");
        self.ctl(&["show", "--value", &property, unit]).unwrap().trim().to_owned()
    }

    async fn shows(&self, unit: &str, property: &str, wanted: &str) {
        let what = format!("{property} of {unit} is {wanted}");
        until(&what, || (self.show(unit, property) == wanted).then_some(())).await;
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("bus")
    }

    fn lab(&self, unit: &str, timeout: HumanDuration) -> Lab {
        let mut lab = Lab::new();
        lab.target.restart = None;
        lab.target.process =
            Some(ProcessMatch::Systemd(Unit { unit: unit.to_owned(), socket: self.socket() }));
        lab.target.systemd = Some(declared(unit, self.socket(), timeout));
        lab.start_agent();
        lab
    }
}

fn declared(unit: &str, socket: PathBuf, timeout: HumanDuration) -> Systemd {
    let operations = [Operation::Restart, Operation::Reload, Operation::Start].into();
    Systemd { unit: unit.to_owned(), socket, operations, timeout }
}

/// Runs a program that ends when the test is killed.
fn dies_with_us() -> Command {
    let mut command = Command::new("/usr/bin/setpriv");
    command.args(["--pdeathsig", "TERM"]);
    command
}

fn variables(dir: &Path) -> [(&'static str, String); 4] {
    let dir = dir.to_str().unwrap();
    [
        ("PATH", std::env::var("PATH").unwrap()),
        ("XDG_RUNTIME_DIR", dir.to_owned()),
        ("SYSTEMD_UNIT_PATH", format!("{dir}/units:/usr/lib/systemd/user")),
        ("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={dir}/bus")),
    ]
}

/// Where no manager can run that is no defect, in CI neither.
fn say(why: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

const SECONDS: HumanDuration = HumanDuration(Duration::from_secs(10));

async fn order(
    lab: &Lab,
    server: &mut Server,
    id: &str,
    operation: Operation,
    expect: Expectation,
) -> (OutcomeResult, String) {
    server.perform(lab.action(id, ActionKind::Systemd { operation }, expect)).await
}

const ORDERS: (&str, &str) =
    ("orders.service", "[Service]\nExecStart=/bin/sleep 600\nExecReload=/bin/touch DIR/reloaded\n");

#[tokio::test]
async fn a_unit_is_recognised_reloaded_and_restarted_but_not_in_place_of_another_process() {
    let Some(manager) = Manager::start("", &[ORDERS]).await else { return };
    let lab = manager.lab("orders.service", SECONDS);
    let mut server = lab.server().await;
    server.report("never seen", |state| *state == ProcessState::NeverSeen).await;
    manager.ctl(&["start", "orders"]).unwrap();
    let first = server.running().await;
    assert_eq!(first.pid.to_string(), manager.show("orders", "MainPID"));
    let runs = || Expectation::Running(first.clone());
    let (result, said) = order(&lab, &mut server, "a", Operation::Reload, runs()).await;
    assert_eq!(result, OutcomeResult::Done, "{said}");
    assert_eq!(said, format!("reloaded orders.service, pid {}", first.pid));
    assert!(manager.dir.path().join("reloaded").exists());
    let (result, said) = order(&lab, &mut server, "b", Operation::Start, runs()).await;
    assert_eq!(result, OutcomeResult::Refused, "{said}");
    assert!(said.contains("orders.service is active (running)"), "{said}");

    let (result, said) = order(&lab, &mut server, "c", Operation::Restart, runs()).await;
    assert_eq!(result, OutcomeResult::Done, "{said}");
    let second = lab.service().unwrap();
    let expected = format!("restarted orders.service: pid {} became pid {}", first.pid, second.pid);
    assert!(said.starts_with(&expected), "{said}");
    assert!(lab.kept("c").contains("sleep"));
    let (result, said) = order(&lab, &mut server, "d", Operation::Restart, runs()).await;
    assert_eq!(result, OutcomeResult::Refused, "{said}");
    assert_eq!(lab.service(), Some(second.clone()));

    // The target's process is another than the unit's.
    drop(server);
    let mut lab = lab;
    let mut other = Command::new("/bin/sleep").arg("600").spawn().unwrap();
    let pid_file = lab.dir.path().join("pid");
    std::fs::write(&pid_file, other.id().to_string()).unwrap();
    lab.target.process = Some(ProcessMatch::PidFile(pid_file));
    let mut server = lab.server().await;
    let runs = Expectation::Running(lab.service().unwrap());
    let (result, said) = order(&lab, &mut server, "e", Operation::Restart, runs).await;
    let expected = format!(
        "the main process of orders.service is pid {}, the target's {}",
        second.pid,
        other.id()
    );
    assert_eq!(result, OutcomeResult::Refused, "{said}");
    assert!(said.contains(&expected), "{said}");
    let gone = Expectation::Gone(lab.service().unwrap());
    other.kill().unwrap();
    other.wait().unwrap();
    let (result, said) = order(&lab, &mut server, "f", Operation::Start, gone).await;
    let expected =
        format!("orders.service runs as pid {}, the target's process is gone", second.pid);
    assert_eq!(result, OutcomeResult::Refused, "{said}");
    assert!(said.contains(&expected), "{said}");
    assert_eq!(second.pid.to_string(), manager.show("orders", "MainPID"));
}

#[tokio::test]
async fn what_failed_is_started_and_what_was_stopped_is_left_alone() {
    let flaky = "[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=2\n\
                 [Service]\nType=forking\nPIDFile=DIR/flaky.pid\n\
                 Restart=on-failure\nRestartSec=10ms\nExecStart=/bin/sh -ec \
                 'test ! -e DIR/broken; sleep 600 & echo $$! >DIR/flaky.pid'\n";
    let migrate = "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'exit 7'\n";
    let units = [ORDERS, ("flaky.service", flaky), ("migrate.service", migrate)];
    let Some(manager) = Manager::start("", &units).await else { return };
    let lab = manager.lab("orders.service", SECONDS);
    let mut server = lab.server().await;
    manager.ctl(&["start", "orders"]).unwrap();
    let first = server.running().await;
    kill_process(Pid::from_raw(first.pid as i32).unwrap(), Signal::KILL).unwrap();
    manager.shows("orders", "ActiveState", "failed").await;
    let gone = |last| Expectation::Gone(last);
    let (result, said) = order(&lab, &mut server, "a", Operation::Start, gone(first.clone())).await;
    assert_eq!(result, OutcomeResult::Done, "{said}");
    let second = lab.service().unwrap();
    let expected = format!("started orders.service as pid {}", second.pid);
    assert!(said.starts_with(&expected), "{said}");
    let (result, said) = order(&lab, &mut server, "b", Operation::Start, gone(first)).await;
    assert_eq!(
        (result, &*said),
        (OutcomeResult::Refused, &*format!("already running as pid {}", second.pid))
    );
    manager.ctl(&["stop", "orders"]).unwrap();
    for (id, operation) in [("c", Operation::Start), ("d", Operation::Restart)] {
        let (result, said) = order(&lab, &mut server, id, operation, gone(second.clone())).await;
        assert_eq!(result, OutcomeResult::Refused, "{said}");
        assert!(said.contains("it was stopped or ended by itself, and did not fail"), "{said}");
    }
    assert_eq!(manager.show("orders", "ActiveState"), "inactive");
    drop(server);

    let lab = manager.lab("flaky.service", SECONDS);
    let mut server = lab.server().await;
    std::fs::write(manager.dir.path().join("broken"), "").unwrap();
    assert_eq!(manager.ctl(&["start", "flaky"]), None);
    // The limit of starts is hit: no automatic start follows, and none by a person.
    manager.shows("flaky", "ActiveState", "failed").await;
    assert_eq!(manager.ctl(&["start", "flaky"]), None);
    let none = Expectation::NoProcess;
    let (result, said) = order(&lab, &mut server, "a", Operation::Start, none.clone()).await;
    assert_eq!(result, OutcomeResult::Failed, "{said}");
    assert!(said.contains("job of flaky.service ended as failed"), "{said}");
    manager.shows("flaky", "ActiveState", "failed").await;
    std::fs::remove_file(manager.dir.path().join("broken")).unwrap();
    let (result, said) = order(&lab, &mut server, "b", Operation::Start, none.clone()).await;
    assert_eq!(result, OutcomeResult::Done, "{said}");
    assert!(said.ends_with("after its failure and its count of starts were reset"), "{said}");
    drop(server);

    let mut lab = manager.lab("migrate.service", SECONDS);
    lab.target.process = None;
    let mut server = lab.server().await;
    assert_eq!(manager.ctl(&["start", "migrate"]), None);
    let (result, said) = order(&lab, &mut server, "a", Operation::Start, none).await;
    assert_eq!(result, OutcomeResult::Failed, "{said}");
    let expected = "job of migrate.service ended as failed; migrate.service is failed (failed): \
                    its process ended with status 7";
    assert!(said.ends_with(expected), "{said}");
}

#[tokio::test]
async fn nothing_is_done_in_place_of_another_job_and_what_lasts_too_long_is_said() {
    let slow = (
        "slow.service",
        "[Service]\nExecStart=/bin/sleep 600\nExecStop=/bin/sleep 600\nTimeoutStopSec=10\n",
    );
    let Some(manager) = Manager::start("", &[slow]).await else { return };
    let lab = manager.lab("slow.service", HumanDuration::from_millis(300));
    let mut server = lab.server().await;
    manager.ctl(&["start", "slow"]).unwrap();
    let process = server.running().await;
    let runs = || Expectation::Running(process.clone());
    let (result, said) = order(&lab, &mut server, "a", Operation::Restart, runs()).await;
    assert_eq!(result, OutcomeResult::Failed, "{said}");
    assert_eq!(
        said.split(';').next(),
        Some("systemd has not ended its job of slow.service within 300ms")
    );
    let (result, said) = order(&lab, &mut server, "b", Operation::Restart, runs()).await;
    assert_eq!(result, OutcomeResult::Refused, "{said}");
    assert!(said.contains("slow.service is deactivating (stop)"), "{said}");
}

#[tokio::test]
async fn without_a_bus_a_unit_or_leave_it_is_refused_with_the_reason() {
    let deny = r#"<deny send_interface="org.freedesktop.systemd1.Manager"
                    send_member="RestartUnit"/>"#;
    let Some(mut manager) = Manager::start(deny, &[ORDERS]).await else { return };
    manager.ctl(&["start", "orders"]).unwrap();
    let mut lab = manager.lab("orders.service", SECONDS);
    lab.target.process = None;
    let silent = manager.dir.path().join("silent");
    let _listener = UnixListener::bind(&silent).unwrap();
    let cases = [
        ("orders.service", manager.socket(), "RestartUnit"),
        ("missing.service", manager.socket(), "systemd says that missing.service is not-found"),
        ("orders.service", manager.dir.path().join("none"), "cannot connect: No such file"),
        ("orders.service", silent, "no answer within 5 s"),
    ];
    for (index, (unit, socket, expected)) in cases.into_iter().enumerate() {
        lab.target.systemd = Some(declared(unit, socket, SECONDS));
        let mut server = lab.server().await;
        let (id, none) = (format!("a-{index}"), Expectation::NoProcess);
        let (result, said) = order(&lab, &mut server, &id, Operation::Restart, none).await;
        assert_eq!(result, OutcomeResult::Refused, "{said}");
        assert!(said.contains(expected), "{said}");
    }
    // The manager ends, and with it the bus.
    kill_process(Pid::from_child(&manager.systemd), Signal::TERM).unwrap();
    wait_exit(&mut manager.systemd).await;
    lab.target.systemd = Some(declared("orders.service", manager.socket(), SECONDS));
    let mut server = lab.server().await;
    let none = Expectation::NoProcess;
    let (result, said) = order(&lab, &mut server, "z", Operation::Restart, none).await;
    assert_eq!(result, OutcomeResult::Refused, "{said}");
}
