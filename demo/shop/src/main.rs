//! `shop`: a small real shop whose parts run as separate processes, and the users that visit it.
//!
//! It exists to be observed, broken and healed: every part keeps real state in SQLite, speaks HTTP
//! to the next and reports through the stock OpenTelemetry SDK. Nothing in it knows Immune.
//!
//! Reading order: `gateway` → `checkout` → `cart`, `catalog`, `inventory` and `payment` is the path
//! of an order; `serve`, `store`, `balancer`, `transport`, `problem` and `telemetry` are what they
//! stand on; `switches`, `switch` and `release` are for operators; `users` is the load generator,
//! which stands on `transport` alone, and `rate` sets how much it does.

mod cart;
mod catalog;
mod checkout;
mod gateway;
mod inventory;
mod payment;
mod provider;

mod balancer;
mod card;
mod clock;
mod lines;
mod problem;
mod serve;
mod store;
mod switches;
mod telemetry;
mod transport;

mod rate;
mod release;
mod switch;
mod users;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

/// Worker threads per process: the parts are small and a demo runs all of them on one machine.
const WORKER_THREADS: usize = 2;

#[derive(Parser)]
#[command(name = "shop", version, about = "A demo shop in separate processes, and its users")]
struct CommandLine {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Serve the storefront, proxy its API and balance payments over their instances
    Gateway(gateway::GatewayArgs),
    /// Keep what each session means to buy
    Cart(cart::CartArgs),
    /// Keep the products and their prices
    Catalog(catalog::CatalogArgs),
    /// Keep the stock and what is reserved of it
    Inventory(inventory::InventoryArgs),
    /// Take orders: ask the price, reserve the stock, charge the card
    Checkout(checkout::CheckoutArgs),
    /// Charge cards
    Payment(payment::PaymentArgs),
    /// Be the card network, somebody else's service
    Provider(provider::ProviderArgs),
    /// Deploy a version of a part, or go back to the one before
    Release(release::ReleaseArgs),
    /// Make a running part slow or leak, or see whether it is
    Switch(switch::SwitchArgs),
    /// Visit a site the way users do and log every request
    Users(users::UsersArgs),
    /// Change how many users come, or see whether they do
    Rate(rate::RateArgs),
}

fn main() -> anyhow::Result<()> {
    let part = CommandLine::parse().part;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build()
        .context("start the async runtime")?;
    // The exporters need the runtime to connect, and must flush while it still runs.
    let telemetry = runtime.block_on(async { part.service().map(telemetry::Telemetry::install) });
    let outcome = runtime.block_on(part.run());
    if let Some(telemetry) = telemetry {
        telemetry.shutdown();
    }
    runtime.shutdown_background();
    outcome
}

impl Part {
    /// Who this process is in telemetry; users and the card network send none.
    fn service(&self) -> Option<telemetry::Service> {
        let (name, instance) = match self {
            Part::Gateway(args) => ("gateway", &args.serve.instance),
            Part::Cart(args) => ("cart", &args.serve.instance),
            Part::Catalog(args) => ("catalog", &args.serve.instance),
            Part::Inventory(args) => ("inventory", &args.serve.instance),
            Part::Checkout(args) => ("checkout", &args.serve.instance),
            Part::Payment(args) => ("payment", &args.serve.instance),
            Part::Provider(_)
            | Part::Release(_)
            | Part::Switch(_)
            | Part::Users(_)
            | Part::Rate(_) => return None,
        };
        let version = match self {
            Part::Catalog(args) => args.version(),
            _ => None,
        };
        let version = version.unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned());
        let instance = instance.clone().unwrap_or_else(|| format!("{name}-1"));
        Some(telemetry::Service { name, instance, version })
    }

    async fn run(self) -> anyhow::Result<()> {
        match self {
            Part::Gateway(args) => gateway::run(args).await,
            Part::Cart(args) => cart::run(args).await,
            Part::Catalog(args) => catalog::run(args).await,
            Part::Inventory(args) => inventory::run(args).await,
            Part::Checkout(args) => checkout::run(args).await,
            Part::Payment(args) => payment::run(args).await,
            Part::Provider(args) => provider::run(args).await,
            Part::Release(args) => release::run(args).await,
            Part::Switch(args) => switch::run(args).await,
            Part::Users(args) => users::run(args).await,
            Part::Rate(args) => rate::run(&args),
        }
    }
}
