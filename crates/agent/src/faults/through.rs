//! A connection of the agent's own through what hurts connections, to somebody of the agent's own
//! who sends back what comes: what a fault does to connections is seen without a byte to anybody
//! else.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::toxics::{Expected, Sight};
use crate::clock;

/// All that one connection may take: the longest delay of a fault, both ways, and some more.
const EXCHANGE_WITHIN: Duration = Duration::from_secs(45);
/// Without an answer for so long a connection counts as one on which nothing passes.
const SILENT_FOR: Duration = Duration::from_millis(1_500);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// What became of what was sent.
struct Came {
    bytes: usize,
    after: Duration,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Everything was there.
    Whole,
    Closed,
    Reset,
    Silent,
}

/// Connects to the address, and listens there. What was seen in words; an error when it is not what
/// was expected.
pub fn try_once(at: SocketAddr, expected: &Expected) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot try a connection: {error}"))?;
    runtime.block_on(async {
        let listener = TcpListener::bind(at)
            .await
            .map_err(|error| format!("cannot listen on {at}: {error}"))?;
        let echo = tokio::spawn(echo(listener));
        let quiet = match expected.sight {
            Sight::Silence => SILENT_FOR,
            _ => EXCHANGE_WITHIN,
        };
        let came = exchange(at, expected.sent, quiet).await;
        echo.abort();
        judge(&came.map_err(|error| format!("cannot connect to {at}: {error}"))?, expected)
    })
}

/// Sends back what comes, to everybody.
async fn echo(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let (mut from, mut to) = stream.split();
            let _ = tokio::io::copy(&mut from, &mut to).await;
        });
    }
}

async fn exchange(to: SocketAddr, count: usize, quiet: Duration) -> io::Result<Came> {
    let mut stream = timeout(CONNECT_WITHIN, TcpStream::connect(to)).await??;
    let begun = clock::monotonic();
    let (mut from, mut into) = stream.split();
    let mut bytes = 0;
    let receive = async {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match timeout(quiet, from.read(&mut buffer)).await {
                Err(_) => return End::Silent,
                Ok(Ok(0)) => return End::Closed,
                Ok(Ok(read)) => bytes += read,
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return End::Reset;
                }
                Ok(Err(_)) => return End::Closed,
            }
            if bytes >= count {
                return End::Whole;
            }
        }
    };
    // What cannot be sent shows in what comes.
    let send = async {
        let chunk = vec![b'\n'; count.min(64 << 10)];
        let mut left = count;
        while left > 0 && into.write_all(&chunk[..chunk.len().min(left)]).await.is_ok() {
            left = left.saturating_sub(chunk.len());
        }
        std::future::pending::<End>().await
    };
    let end = tokio::select! {
        end = receive => end,
        end = send => end,
        () = sleep(EXCHANGE_WITHIN) => End::Silent,
    };
    let after = clock::monotonic().saturating_duration_since(begun);
    Ok(Came { bytes, after, end })
}

fn judge(came: &Came, expected: &Expected) -> Result<String, String> {
    let is_seen = match expected.sight {
        Sight::Reset => came.end == End::Reset,
        Sight::Silence => came.bytes == 0 && came.end != End::Whole,
        Sight::EndsAfter(bytes) => came.end != End::Whole && came.bytes <= bytes,
        Sight::Late(late) => came.end == End::Whole && came.after >= late,
    };
    let end = match came.end {
        End::Whole => "",
        End::Closed => ", then it was closed",
        End::Reset => ", then it was reset",
        End::Silent => ", then nothing more",
    };
    let Came { bytes, after, .. } = came;
    let seconds = after.as_secs_f64();
    let seen =
        format!("of {} bytes through it {bytes} came back in {seconds:.3} s{end}", expected.sent);
    if is_seen { Ok(seen) } else { Err(seen) }
}
