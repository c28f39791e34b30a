//! The two ends between which proxies stand: an upstream that swallows or sends back, and clients
//! that measure. Threads of their own with blocking sockets, so that nothing waits for a runtime.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::Instant;

use crate::figures::quantile;

/// The first byte of a connection says what is wanted.
const SWALLOW: u8 = b's';
const SEND_BACK: u8 = b'e';
const BUFFER_BYTES: usize = 256 << 10;
const MESSAGE_BYTES: usize = 64;
/// No answer for so long: something hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where connections end; it lives as long as this program.
pub struct Upstream {
    pub address: SocketAddr,
}

impl Upstream {
    pub fn start() -> Result<Upstream> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    // A connection that breaks is noticed by who measures it.
                    let _ = serve(stream);
                });
            }
        });
        Ok(Upstream { address })
    }
}

fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut wanted = [0];
    stream.read_exact(&mut wanted)?;
    if wanted[0] == SEND_BACK {
        let mut message = [0; MESSAGE_BYTES];
        loop {
            stream.read_exact(&mut message)?;
            stream.write_all(&message)?;
        }
    }
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut bytes, mut began) = (0_u64, None);
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        began.get_or_insert_with(Instant::now);
        bytes += read as u64;
    }
    let nanoseconds = began.map_or(0, |began: Instant| began.elapsed().as_nanos() as u64);
    stream.write_all(&bytes.to_le_bytes())?;
    stream.write_all(&nanoseconds.to_le_bytes())
}

/// Throughput towards the upstream in MB (10⁶ bytes) a second, from its first byte to its last.
pub async fn mb_per_s(address: SocketAddr, lasts: Duration) -> Result<f64> {
    tokio::task::spawn_blocking(move || {
        let mut stream = connect(address, SWALLOW)?;
        let buffer = vec![0x5A; BUFFER_BYTES];
        let began = Instant::now();
        let mut sent = 0_u64;
        while began.elapsed() < lasts {
            stream.write_all(&buffer)?;
            sent += buffer.len() as u64;
        }
        stream.shutdown(std::net::Shutdown::Write)?;
        let (mut bytes, mut nanoseconds) = ([0; 8], [0; 8]);
        stream.read_exact(&mut bytes).context("no count from the upstream")?;
        stream.read_exact(&mut nanoseconds)?;
        let arrived = u64::from_le_bytes(bytes);
        ensure!(arrived == sent, "{arrived} of {sent} bytes arrived");
        Ok(arrived as f64 * 1_000.0 / u64::from_le_bytes(nanoseconds).max(1) as f64)
    })
    .await?
}

/// Median time of a small message there and back, in microseconds.
pub async fn round_trip_us(address: SocketAddr, messages: u32) -> Result<f64> {
    tokio::task::spawn_blocking(move || {
        let mut stream = connect(address, SEND_BACK)?;
        let mut message = [7; MESSAGE_BYTES];
        let mut took_us = Vec::new();
        // The first tenth warms up.
        for number in 0..messages + messages / 10 {
            let began = Instant::now();
            stream.write_all(&message)?;
            stream.read_exact(&mut message)?;
            if number >= messages / 10 {
                took_us.push(began.elapsed().as_nanos() as f64 / 1_000.0);
            }
        }
        quantile(&took_us, 0.5).context("no messages")
    })
    .await?
}

fn connect(address: SocketAddr, wanted: u8) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).context("cannot connect")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&[wanted])?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn both_ends_agree_on_what_was_sent() {
        let upstream = Upstream::start().unwrap();
        assert!(mb_per_s(upstream.address, Duration::from_millis(50)).await.unwrap() > 1.0);
        assert!(round_trip_us(upstream.address, 100).await.unwrap() > 0.0);
    }
}
