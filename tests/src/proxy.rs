//! A TCP proxy that can misbehave: put between the product and a server, it is the network's bad day.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::ports;

/// Tasks that end when the set is dropped.
type Tasks = Mutex<JoinSet<()>>;

/// Connections to [`Self::addr`] are forwarded to the target until told otherwise. Dropping it ends them all.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    target: SocketAddr,
    flowing: watch::Sender<bool>,
    listener: Tasks,
    connections: Arc<Tasks>,
}

impl Proxy {
    /// Listens on a free port of the loopback.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn to(target: SocketAddr) -> Result<Self> {
        let proxy = Self {
            addr: ports::loopback(ports::free()?),
            target,
            flowing: watch::Sender::new(true),
            listener: Tasks::default(),
            connections: Arc::default(),
        };
        proxy.accept().await?;
        Ok(proxy)
    }

    /// Where to connect to instead of the target.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> usize {
        let mut connections = lock(&self.connections);
        while connections.try_join_next().is_some() {}
        connections.len()
    }

    /// Closes every connection, on both sides, with whatever was under way. New ones are welcome.
    pub async fn cut(&self) {
        let mut connections = std::mem::take(&mut *lock(&self.connections));
        connections.shutdown().await;
    }

    /// Connections stay open and new ones are accepted, but no byte passes any more.
    pub fn stall(&self) {
        self.flowing.send_replace(false);
    }

    /// Lets bytes pass again, those that waited first.
    pub fn resume(&self) {
        self.flowing.send_replace(true);
    }

    /// Connections are refused from now on, as by a machine on which nothing listens. Existing ones stay.
    pub async fn refuse(&self) {
        let mut listener = std::mem::take(&mut *lock(&self.listener));
        listener.shutdown().await;
    }

    /// Ends what [`Self::refuse`] began.
    ///
    /// # Errors
    ///
    /// When somebody has taken the port.
    pub async fn accept(&self) -> Result<()> {
        self.refuse().await;
        let listener = ports::listen(self.addr).await?;
        let (target, flowing, connections) =
            (self.target, self.flowing.subscribe(), Arc::clone(&self.connections));
        lock(&self.listener).spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                lock(&connections).spawn(carry(client, target, flowing.clone()));
            }
        });
        Ok(())
    }
}

fn lock(tasks: &Tasks) -> MutexGuard<'_, JoinSet<()>> {
    tasks.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Carries one connection until both directions have ended.
async fn carry(client: TcpStream, target: SocketAddr, flowing: watch::Receiver<bool>) {
    // A target that is away closes the client's connection too, as it would without a proxy.
    let Ok(server) = TcpStream::connect(target).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::join!(pump(from_client, to_server, flowing.clone()), pump(from_server, to_client, flowing));
}

/// One direction. What was read while bytes were flowing still waits here if they stall before it is written.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut flowing: watch::Receiver<bool>) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        if flowing.wait_for(|flows| *flows).await.is_err() {
            return;
        }
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        if to.write_all(bytes).await.is_err() {
            break;
        }
    }
    // The other side hears of the end, and may still answer. It fails when that side is gone already.
    to.shutdown().await.ok();
}
