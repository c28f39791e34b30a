//! The `immune` program.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // Before anything can want TLS: there is exactly one provider in this program.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("immune: a TLS provider is installed already; this is a bug");
        return std::process::ExitCode::FAILURE;
    }
    server::cli::main()
}
