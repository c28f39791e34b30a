//! PostgreSQL: how it is asked, what a look at it tells, and ending the session that blocks others.
//!
//! Invariant: nothing that the server says becomes part of a statement: all values are parameters.

mod blocker;

mod look;

use std::fmt;

use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

pub use blocker::end_blocker;
pub use look::{Sight, look};

use crate::config::Postgres;
use crate::lifecycle;

/// Why there is no connection.
#[derive(Debug)]
enum NoConnection {
    Socket(String),
    Server(tokio_postgres::Error),
}

impl fmt::Display for NoConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoConnection::Socket(why) => f.write_str(why),
            NoConnection::Server(error) => f.write_str(&chain(error)),
        }
    }
}

/// `statement_timeout` as the server reads it: `5s`.
async fn connect(
    postgres: &Postgres,
    statement_timeout: &str,
) -> Result<(Client, JoinHandle<()>), NoConnection> {
    let mut config = tokio_postgres::Config::new();
    config
        .user(&postgres.user)
        .dbname(&postgres.database)
        .application_name("immune agent")
        .options(format!("-c statement_timeout={statement_timeout} -c lock_timeout=1s"));
    if let Some(password) = &postgres.password {
        config.password(password);
    }
    let refused = |place: String| {
        move |error| NoConnection::Socket(format!("cannot connect to {place}: {error}"))
    };
    match (&postgres.socket_folder, &postgres.address) {
        (Some(folder), _) => {
            let path = folder.join(format!(".s.PGSQL.{}", postgres.port));
            let stream = UnixStream::connect(&path);
            let stream = stream.await.map_err(refused(path.display().to_string()))?;
            let connected = config.connect_raw(stream, NoTls).await;
            connected.map(|(client, driver)| (client, drive(driver)))
        }
        (None, Some(address)) => {
            let stream = TcpStream::connect(address);
            let stream = stream.await.map_err(refused(address.to_string()))?;
            let connected = config.connect_raw(stream, NoTls).await;
            connected.map(|(client, driver)| (client, drive(driver)))
        }
        (None, None) => return Err(NoConnection::Socket("no database is declared".to_owned())),
    }
    .map_err(NoConnection::Server)
}

/// The connection's other half; an error in it ends the client's question with one too.
fn drive<T: Send + 'static, E: Send + 'static>(
    driver: impl Future<Output = Result<T, E>> + Send + 'static,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let _ = driver.await;
    })
}

/// The error with its cause, as the server words it, on one line.
fn chain(error: &tokio_postgres::Error) -> String {
    let mut text = format!("PostgreSQL: {error}");
    if let Some(cause) = std::error::Error::source(error) {
        text.push_str(&format!(": {cause}"));
    }
    lifecycle::quote(text.replace(['\n', '\r'], " ").as_bytes()).unwrap_or_default()
}
