//! What is generated and committed under `docs/reference` is fresh. `BLESS=1` writes it anew.

use std::path::Path;

use crate::lab::immune;

fn fresh(name: &str, arguments: &[&str]) {
    let output = immune().args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let now = String::from_utf8(output.stdout).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &now).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == now,
        "docs/reference/{name} is stale; run BLESS=1 cargo test -p server --test it reference"
    );
}

#[test]
fn the_configuration_schema_is_fresh() {
    fresh("config.schema.json", &["schema", "config"]);
}

#[test]
fn the_experiment_schema_is_fresh() {
    fresh("experiment.schema.json", &["schema", "experiment"]);
}

#[test]
fn the_schema_of_described_systems_is_fresh() {
    fresh("system.schema.json", &["schema", "system"]);
}

#[test]
fn the_page_of_every_field_of_the_configuration_is_fresh() {
    fresh("configuration.md", &["reference", "configuration"]);
}

#[test]
fn the_page_of_every_command_is_fresh() {
    fresh("commands.md", &["reference", "commands"]);
}

#[test]
fn the_page_of_the_api_is_fresh() {
    fresh("api.md", &["reference", "api"]);
}

#[test]
fn the_description_of_the_api_is_fresh() {
    fresh("openapi.json", &["schema", "api"]);
}

#[test]
fn the_default_configuration_is_fresh_and_means_what_an_empty_file_means() {
    fresh("immune.default.yaml", &["print-config"]);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    let printed = server::config::load(Some(&folder.join("immune.default.yaml"))).unwrap();
    assert_eq!(printed, server::config::Config::default());
}

#[test]
fn every_kind_of_fault_has_an_example_and_is_documented() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let page = std::fs::read_to_string(docs.join("drills.md")).unwrap();
    for spec in agent::faults::ALL {
        let path = docs.join("experiments").join(format!("{}.yaml", spec.id));
        let experiment = chaos::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(experiment.fault.unwrap().as_str(), spec.id);
        let row = [format!("| `{}` |", spec.id), format!("| `{}: ", spec.id)];
        assert!(row.iter().any(|row| page.contains(row)), "{} is not in drills.md", spec.id);
        let example: model::fault::Fault =
            serde_saphyr::from_str::<serde_json::Value>(spec.example)
                .ok()
                .and_then(|example| serde_json::from_value(example["fault"].clone()).ok())
                .unwrap();
        assert_eq!(example.as_str(), spec.id);
    }
}
