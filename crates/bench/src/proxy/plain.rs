//! A plain copy: what tokio does out of the box with 64 KiB buffers, as a process of its own like
//! the others.

use std::net::SocketAddr;

use anyhow::Result;
use clap::Args;
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};

use crate::figures::Outcome;

const BUFFER_BYTES: usize = 64 << 10;

#[derive(Args)]
pub struct PlainCopy {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    upstream: SocketAddr,
}

impl PlainCopy {
    /// Copies until the process is ended.
    pub async fn run(self) -> Result<Outcome> {
        let listener = TcpListener::bind(self.listen).await?;
        loop {
            let (mut client, _) = listener.accept().await?;
            let upstream = self.upstream;
            tokio::spawn(async move {
                let mut server = TcpStream::connect(upstream).await?;
                client.set_nodelay(true)?;
                server.set_nodelay(true)?;
                copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER_BYTES, BUFFER_BYTES)
                    .await
            });
        }
    }
}
