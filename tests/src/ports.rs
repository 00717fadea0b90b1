//! Free ports on the loopback.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::wait;

/// Below the range from which Linux takes the ports of outgoing connections (32768 and up): a port that is given out
/// here and bound a moment later can't have become someone's client port in between.
const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// Within this time a started program has become itself, on a busy machine too.
const LET_GO: Duration = Duration::from_secs(10);

/// Each process walks the range from a place of its own, and never gives the same port out twice: a server that is
/// stopped and started again finds its port free.
static TAKEN: AtomicU32 = AtomicU32::new(0);

/// A port nobody listens on.
///
/// # Errors
///
/// When every port of the range is in use.
pub fn free() -> Result<u16> {
    // Neighbouring process ids land far apart.
    let start = std::process::id().wrapping_mul(97);
    (0..COUNT)
        .map(|_| FIRST + start.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % COUNT)
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| is_free(loopback(*port)))
        .context("no free port between 20000 and 31999")
}

/// The given port if it is still free, else another: what was printed yesterday often still holds today.
///
/// # Errors
///
/// When every port of the range is in use.
pub fn again(previous: Option<u16>) -> Result<u16> {
    match previous {
        Some(port) if is_free(loopback(port)) => Ok(port),
        _ => free(),
    }
}

/// Can this address be listened on?
#[must_use]
pub fn is_free(addr: SocketAddr) -> bool {
    TcpListener::bind(addr).is_ok()
}

/// Listens on a port that was free a moment ago. A program that is just being started holds a copy of every socket of
/// this process until it has become itself: a port that was let go may be taken for that long.
///
/// # Errors
///
/// When it stays taken.
pub async fn listen(addr: SocketAddr) -> Result<tokio::net::TcpListener> {
    wait::until(&format!("{addr} to be free"), LET_GO, async || -> Result<Option<_>> {
        Ok(Some(tokio::net::TcpListener::bind(addr).await?))
    })
    .await
}

/// `127.0.0.1:port`.
#[must_use]
pub fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
