//! A connection: both directions of it, until both have ended.

use std::pin::pin;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::net::{Shutdown, shutdown};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::chain::Chain;
use crate::link::{Ended, Link, prepare};
use crate::proxy::Shared;
use crate::toxic::Stream;

/// Carries bytes both ways. The seed decides all that is random in this connection.
pub async fn carry(client: &TcpStream, server: &TcpStream, shared: &Shared, seed: u64) {
    // Without it only latency is lost.
    let _ = prepare(client).and_then(|()| prepare(server));
    let mut dice = StdRng::seed_from_u64(seed);
    let mut link = |stream, from, to| Link {
        from,
        to,
        stream,
        toxics: shared.toxics.subscribe(),
        seen: shared.links.register(),
        held: shared.memory.held(),
        traffic: shared.traffic.of(stream),
        chain: Chain::new(dice.random()),
        read_ended: false,
        began: Instant::now(),
    };
    let up = link(Stream::Upstream, client, server);
    let down = link(Stream::Downstream, server, client);
    let (mut up, mut down) = (pin!(up.run()), pin!(down.run()));
    let (mut up_goes, mut down_goes) = (true, true);
    while up_goes || down_goes {
        let (ended, to) = tokio::select! {
            ended = &mut up, if up_goes => {
                up_goes = false;
                (ended, server)
            }
            ended = &mut down, if down_goes => {
                down_goes = false;
                (ended, client)
            }
        };
        match ended {
            Ended::Eof => {}
            // Whoever reads there now reads an end; what was read before still arrives.
            Ended::Close => drop(shutdown(to, Shutdown::Both)),
            Ended::Reset => {
                // Where this fails the socket is closed in the usual way.
                let _ = client.set_zero_linger().and_then(|()| server.set_zero_linger());
                return;
            }
        }
    }
}
