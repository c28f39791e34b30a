//! Stub.
#[derive(clap::Args)]
pub struct Polyglot {}
impl Polyglot { pub async fn run(self) -> anyhow::Result<serde_json::Value> { anyhow::bail!("x") } }
