//! The proxy's bad days, seen by a client that talks to an echo.

use std::time::Duration;

use anyhow::{Result, ensure};
use harness::proxy::Proxy;
use harness::wait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Long enough for an echo that is going to come, on any machine this runs on.
const SHORTLY: Duration = Duration::from_millis(300);

async fn echo() -> Result<std::net::SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.into_split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    Ok(addr)
}

async fn say(stream: &mut TcpStream, word: &[u8; 4]) -> Result<[u8; 4]> {
    stream.write_all(word).await?;
    hear(stream).await
}

async fn hear(stream: &mut TcpStream) -> Result<[u8; 4]> {
    let mut heard = [0; 4];
    stream.read_exact(&mut heard).await?;
    Ok(heard)
}

#[tokio::test]
async fn cut_ends_the_open_connections_and_welcomes_new_ones() -> Result<()> {
    let proxy = Proxy::to(echo().await?).await?;
    let mut old = TcpStream::connect(proxy.addr()).await?;
    ensure!(say(&mut old, b"ping").await? == *b"ping");
    ensure!(proxy.open() == 1);
    proxy.cut().await;
    ensure!(hear(&mut old).await.is_err(), "a cut connection still delivers");
    ensure!(proxy.open() == 0);
    let mut new = TcpStream::connect(proxy.addr()).await?;
    ensure!(say(&mut new, b"pong").await? == *b"pong");
    Ok(())
}

#[tokio::test]
async fn stalled_bytes_arrive_when_the_flow_resumes() -> Result<()> {
    let proxy = Proxy::to(echo().await?).await?;
    let mut stream = TcpStream::connect(proxy.addr()).await?;
    ensure!(say(&mut stream, b"ping").await? == *b"ping");
    proxy.stall();
    stream.write_all(b"late").await?;
    ensure!(tokio::time::timeout(SHORTLY, hear(&mut stream)).await.is_err(), "a byte passed a stalled proxy");
    let mut new = TcpStream::connect(proxy.addr()).await?;
    ensure!(
        tokio::time::timeout(SHORTLY, say(&mut new, b"also")).await.is_err(),
        "a byte passed a stalled proxy"
    );
    proxy.resume();
    ensure!(hear(&mut stream).await? == *b"late");
    ensure!(hear(&mut new).await? == *b"also");
    Ok(())
}

#[tokio::test]
async fn refused_connections_do_not_open_and_open_ones_live_on() -> Result<()> {
    let proxy = Proxy::to(echo().await?).await?;
    let mut old = TcpStream::connect(proxy.addr()).await?;
    ensure!(say(&mut old, b"ping").await? == *b"ping");
    proxy.refuse().await;
    ensure!(TcpStream::connect(proxy.addr()).await.is_err(), "a refusing proxy accepted");
    ensure!(say(&mut old, b"pong").await? == *b"pong");
    proxy.accept().await?;
    let mut new = TcpStream::connect(proxy.addr()).await?;
    ensure!(say(&mut new, b"ping").await? == *b"ping");
    Ok(())
}

#[tokio::test]
async fn a_target_that_is_away_closes_the_connection() -> Result<()> {
    let away = harness::ports::loopback(harness::ports::free()?);
    let proxy = Proxy::to(away).await?;
    let mut stream = TcpStream::connect(proxy.addr()).await?;
    ensure!(say(&mut stream, b"ping").await.is_err());
    wait::until("the proxy to forget it", SHORTLY, async || proxy.open() == 0).await
}
