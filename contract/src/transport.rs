//! The socket under a connection to RabbitMQ, kept in hand while the handshake lasts.
//!
//! lapin gives each connection a thread, which waits for its peer without a limit: a peer
//! that accepts and never speaks would keep thread and socket of every attempt, long after
//! nobody waits for it. So the socket is opened here, and a duplicate of it held. When an
//! attempt is given up, the socket is shut down: the thread reads the end, and ends.

use std::{
    io,
    net::{self, Shutdown},
    os::fd::AsFd,
    sync::{Mutex, PoisonError},
};

use async_compat::Compat;
use lapin::{
    AsyncTcpStream, Connection, ConnectionProperties,
    runtime::default_runtime,
    tcp::OwnedTLSConfig,
    uri::{AMQPScheme, AMQPUri},
};
use tokio::net::TcpStream;

fn gone() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

/// An attempt to connect. Dropped before it is [`kept`](Attempt::keep), it takes the socket
/// and lapin's thread with it.
#[derive(Default)]
pub(crate) struct Attempt(Option<net::TcpStream>);

impl Attempt {
    /// Opens a socket and shakes hands over it.
    pub(crate) async fn connect(
        &mut self,
        uri: AMQPUri,
        properties: ConnectionProperties,
    ) -> lapin::Result<Connection> {
        let socket = TcpStream::connect((uri.authority.host.as_str(), uri.authority.port)).await?;
        socket.set_nodelay(true)?;
        self.0 = Some(socket.as_fd().try_clone_to_owned()?.into());
        // There is one socket: lapin, which would ask for another to try again, gets none.
        let socket = Mutex::new(Some(socket));
        let open = async move |uri: AMQPUri, _| {
            let socket = socket.lock().unwrap_or_else(PoisonError::into_inner).take();
            let socket = Compat::new(socket.ok_or_else(gone)?);
            match uri.scheme {
                AMQPScheme::AMQP => Ok(AsyncTcpStream::Plain(socket)),
                AMQPScheme::AMQPS => {
                    let tls = OwnedTLSConfig::default();
                    Ok(AsyncTcpStream::Plain(socket).into_tls(&uri.authority.host, tls.as_ref()).await?)
                }
            }
        };
        Connection::connector(uri, default_runtime()?, open, properties).await
    }

    /// Lets go of the socket: from now on it is the connection's alone.
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(socket) = &self.0 {
            // It fails where the peer has closed it already.
            socket.shutdown(Shutdown::Both).ok();
        }
    }
}
