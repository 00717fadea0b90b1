//! The socket under a connection to RabbitMQ, kept in hand while the handshake lasts.
//!
//! lapin gives each connection a thread, which waits for its peer without a limit: a peer
//! that accepts and never speaks would keep thread and socket of every attempt, long after
//! nobody waits for it. So a duplicate of the socket is held here. When an attempt is given
//! up, the socket is shut down through it; the thread reads the end, and ends.

use std::{
    io,
    net::{Shutdown, TcpStream},
    os::fd::AsFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lapin::{
    AsyncTcpStream, Connection, ConnectionProperties,
    runtime::default_runtime,
    tcp::OwnedTLSConfig,
    uri::{AMQPScheme, AMQPUri},
};
use tokio::{net::lookup_host, time::timeout};

/// An attempt to connect; dropped before it is [`kept`](Attempt::keep), it takes the socket
/// and lapin's thread with it.
#[derive(Default)]
pub(crate) struct Attempt(Arc<Mutex<State>>);

#[derive(Default)]
enum State {
    /// There is no socket yet.
    #[default]
    Resolving,
    /// A duplicate of the socket.
    Open(TcpStream),
    /// Kept, or given up.
    Over,
}

impl Attempt {
    /// Opens the socket, within `deadline`, and shakes hands over it.
    pub(crate) async fn connect(
        &self,
        uri: AMQPUri,
        properties: ConnectionProperties,
        deadline: Duration,
    ) -> lapin::Result<Connection> {
        let attempt = Arc::clone(&self.0);
        // Written in place: only here is the type of the runtime, which has no name, known.
        Connection::connector(
            uri,
            default_runtime()?,
            async move |uri: AMQPUri, runtime| {
                let connect = async {
                    let authority = (uri.authority.host.as_str(), uri.authority.port);
                    let addresses: Vec<_> = lookup_host(authority).await?.collect();
                    let stream = AsyncTcpStream::connect(&runtime, addresses).await?;
                    if let AsyncTcpStream::Plain(plain) = &stream {
                        hold(&attempt, plain.get_ref())?;
                    }
                    match uri.scheme {
                        AMQPScheme::AMQP => Ok(stream),
                        AMQPScheme::AMQPS => {
                            let tls = OwnedTLSConfig::default();
                            stream.into_tls(&uri.authority.host, tls.as_ref()).await
                        }
                    }
                };
                let connected = timeout(deadline, connect).await;
                Ok(connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?)
            },
            properties,
        )
        .await
    }

    /// Lets the socket go: from now on it is the connection's alone.
    pub(crate) fn keep(self) {
        *lock(&self.0) = State::Over;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let State::Open(socket) = std::mem::replace(&mut *lock(&self.0), State::Over) {
            // It fails where the peer has closed it already.
            socket.shutdown(Shutdown::Both).ok();
        }
    }
}

fn hold(attempt: &Mutex<State>, socket: &impl AsFd) -> io::Result<()> {
    let mut state = lock(attempt);
    if matches!(*state, State::Over) {
        return Err(io::ErrorKind::TimedOut.into());
    }
    *state = State::Open(socket.as_fd().try_clone_to_owned()?.into());
    Ok(())
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
