//! How far an experiment reaches beyond its target, and whether its blast radius allows that.
//!
//! A process fault hits one process. A fault of the host hits everybody who runs on it, a network
//! fault everybody who speaks to that port. What is told here is told before anything is done; the
//! agent has refusals of its own, about what its host can do.

use core::net::IpAddr;
use std::collections::BTreeSet;

use model::experiment::{Experiment, Fault};

/// A configured target, as far as a reach is concerned. All run on the one host of the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inhabitant {
    pub name: String,
    pub service: String,
    pub environment: String,
    /// The TCP port on which it listens, where it is known by that.
    pub port: Option<u16>,
    pub runs: bool,
}

/// All that speaks against the experiment, one line each; empty when it may run. `own_ports` are
/// Immune's own: who cuts them blinds it, and it would look as if nobody were hurt.
pub fn refusals(
    experiment: &Experiment,
    inhabitants: &[Inhabitant],
    own_ports: &[u16],
) -> Vec<String> {
    let Some(target) = inhabitants.iter().find(|target| target.name == experiment.target) else {
        let known: Vec<&str> = inhabitants.iter().map(|target| target.name.as_str()).collect();
        return vec![format!(
            "there is no target `{}`; configured are: {}",
            experiment.target,
            known.join(", ")
        )];
    };
    let mut refusals = Vec::new();
    let radius = &experiment.blast_radius;
    if target.environment != radius.environment {
        refusals.push(format!(
            "target `{}` is in environment `{}`, the blast radius allows `{}`",
            target.name, target.environment, radius.environment
        ));
    }
    if !radius.services.contains(&target.service) {
        refusals.push(format!(
            "target `{}` is part of `{}`, which the blast radius does not list",
            target.name, target.service
        ));
    }
    let Some(fault) = &experiment.fault else { return refusals };
    let port = match fault {
        Fault::Partition(cut) => cut.port,
        Fault::PacketLoss(loss) => loss.port,
        Fault::Tcp(tcp) => Some(tcp.port),
        Fault::Http(http) => Some(http.port),
        _ => None,
    };
    if let Some(port) = port.filter(|port| own_ports.contains(port)) {
        refusals.push(format!("port {port} is Immune's own: it would see nothing any more"));
    }
    let hit = hit(fault, target, inhabitants);
    let mut told = BTreeSet::from([target.service.as_str()]);
    for other in &hit {
        if !radius.services.contains(&other.service) && told.insert(&other.service) {
            refusals.push(format!(
                "{} on `{}` would also hurt `{}`, which the blast radius does not list",
                fault.as_str(),
                target.name,
                other.service
            ));
        }
        if other.environment != radius.environment && other.environment != target.environment {
            refusals.push(format!(
                "{} on `{}` would also hurt `{}` of environment `{}`",
                fault.as_str(),
                target.name,
                other.name,
                other.environment
            ));
        }
    }
    refusals.extend(too_large_a_share(experiment, target, &hit, inhabitants));
    refusals
}

/// Who is hit by the fault itself, the target among them.
fn hit<'a>(
    fault: &Fault,
    target: &'a Inhabitant,
    inhabitants: &'a [Inhabitant],
) -> Vec<&'a Inhabitant> {
    let is_hit = |other: &&Inhabitant| {
        other.name == target.name
            || match fault {
                // Whoever asks for these names.
                Fault::Cpu(_) | Fault::Memory(_) | Fault::Dns(_) => true,
                // With a peer the packets of others stay untouched, or it is theirs as well.
                Fault::Partition(cut) => cut.peer.is_none() && is_port(other, cut.port),
                Fault::PacketLoss(loss) => loss.peer.is_none() && is_port(other, loss.port),
                // Whoever connects there, to whatever address of this host.
                Fault::Tcp(tcp) => is_led(other, tcp.port, tcp.peer),
                Fault::Http(http) => is_led(other, http.port, http.peer),
                Fault::KillProcess
                | Fault::PauseProcess
                | Fault::Toxiproxy(_)
                | Fault::Container(_)
                | Fault::Clock(_)
                | Fault::FileDescriptors(_)
                | Fault::DiskFill(_)
                | Fault::Command(_) => false,
            }
    };
    inhabitants.iter().filter(is_hit).collect()
}

fn is_led(other: &Inhabitant, port: u16, peer: Option<IpAddr>) -> bool {
    peer.is_none_or(|peer| peer.is_loopback()) && is_port(other, Some(port))
}

fn is_port(inhabitant: &Inhabitant, port: Option<u16>) -> bool {
    port.is_some() && inhabitant.port == port
}

fn too_large_a_share(
    experiment: &Experiment,
    target: &Inhabitant,
    hit: &[&Inhabitant],
    inhabitants: &[Inhabitant],
) -> Option<String> {
    let most = experiment.blast_radius.share_max?;
    let of_service = |other: &&Inhabitant| {
        other.service == target.service && other.environment == target.environment && other.runs
    };
    let running = inhabitants.iter().filter(of_service).count();
    let struck = hit.iter().copied().filter(of_service).count().max(1);
    let share = struck as f64 / running.max(struck) as f64;
    (share > most).then(|| {
        format!(
            "it would hit {struck} of {} running instances of `{}`, the blast radius allows a \
             share of {most}",
            running.max(struck),
            target.service
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inhabitant(name: &str, service: &str, port: u16) -> Inhabitant {
        Inhabitant {
            name: name.into(),
            service: service.into(),
            environment: "production".into(),
            port: Some(port),
            runs: true,
        }
    }

    fn host() -> Vec<Inhabitant> {
        let mut staging = inhabitant("billing-staging", "billing", 7000);
        staging.environment = "staging".into();
        vec![
            inhabitant("orders-1", "orders", 5001),
            inhabitant("orders-2", "orders", 5002),
            inhabitant("payment", "payment", 6000),
            staging,
        ]
    }

    fn judged(fault: &str, radius: &str) -> Vec<String> {
        let file = format!(
            "{{title: t, steady_state: {{slos: [orders]}}, target: orders-1, fault: {fault}, \
             blast_radius: {radius}, deadline: 1m, observe: 1m, \
             expect: {{decision: escalate}}}}"
        );
        refusals(&crate::parse(&file).unwrap(), &host(), &[7700])
    }

    const OWN: &str = "{environment: production, services: [orders]}";

    #[test]
    fn a_process_fault_reaches_its_process_alone() {
        for fault in ["kill_process", "pause_process", "{file_descriptors: {}}"] {
            assert_eq!(judged(fault, OWN), Vec::<String>::new(), "{fault}");
        }
    }

    #[test]
    fn a_fault_of_the_host_hurts_everybody_on_it() {
        let refusals = judged("{cpu: {cores: 1}}", OWN);
        assert_eq!(refusals.len(), 3, "{refusals:?}");
        assert!(refusals[0].contains("would also hurt `payment`"), "{refusals:?}");
        assert!(refusals[2].contains("of environment `staging`"), "{refusals:?}");
    }

    #[test]
    fn a_network_fault_hurts_who_listens_there() {
        assert_eq!(judged("{partition: {port: 5001}}", OWN), Vec::<String>::new());
        let refusals = judged("{partition: {port: 6000}}", OWN);
        assert!(refusals[0].contains("would also hurt `payment`"), "{refusals:?}");
    }

    #[test]
    fn connections_and_requests_that_are_led_hurt_who_listens_there() {
        for fault in ["tcp: {port: 6000, latency: 1s", "http: {port: 6000, abort: 503"] {
            let refusals = judged(&format!("{{{fault}}}}}"), OWN);
            assert!(refusals[0].contains("would also hurt `payment`"), "{refusals:?}");
            // Those of another host are somebody else's.
            let elsewhere = judged(&format!("{{{fault}, peer: 10.0.0.7}}}}"), OWN);
            assert_eq!(elsewhere, Vec::<String>::new());
        }
        assert_eq!(judged("{tcp: {port: 5001, down: true}}", OWN), Vec::<String>::new());
    }

    #[test]
    fn names_are_asked_by_everybody_on_the_host() {
        let refusals = judged("{dns: {names: [a.b], answer: nxdomain}}", OWN);
        assert!(refusals[0].contains("would also hurt `payment`"), "{refusals:?}");
    }

    #[test]
    fn a_container_a_clock_and_a_proxy_hurt_the_target_alone() {
        for fault in [
            "{container: disconnect}",
            "{clock: {offset: 1h}}",
            "{toxiproxy: {api: '127.0.0.1:8474', proxy: orders, down: true}}",
        ] {
            assert_eq!(judged(fault, OWN), Vec::<String>::new(), "{fault}");
        }
    }

    #[test]
    fn immune_is_not_cut_off_from_what_it_watches() {
        let refusals = judged("{packet_loss: {port: 7700, share: 0.1}}", OWN);
        assert!(refusals[0].contains("Immune's own"), "{refusals:?}");
        for fault in ["{tcp: {port: 7700, down: true}}", "{http: {port: 7700, abort: 503}}"] {
            assert!(judged(fault, OWN)[0].contains("Immune's own"), "{fault}");
        }
    }

    #[test]
    fn too_large_a_share_of_a_service_is_refused() {
        let radius = "{environment: production, services: [orders], share_max: 0.5}";
        assert_eq!(judged("kill_process", radius), Vec::<String>::new());
        let radius = "{environment: production, services: [orders], share_max: 0.4}";
        let refusals = judged("kill_process", radius);
        assert!(refusals[0].contains("1 of 2 running instances of `orders`"), "{refusals:?}");
    }

    #[test]
    fn another_environment_and_an_unlisted_service_are_refused() {
        let refusals = judged("kill_process", "{environment: staging, services: [payment]}");
        assert_eq!(refusals.len(), 2, "{refusals:?}");
        assert!(refusals[0].contains("is in environment `production`"), "{refusals:?}");
        assert!(refusals[1].contains("does not list"), "{refusals:?}");
    }
}
