use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use kapso_sim::{Fault, InboundMessage, Outcome, Reply, Sim, SimConfig, Statuses, Times};
use serde_json::{Value, json};

use super::{
    PATIENCE,
    api::{call, send_url, text_in_conversation},
    client, config,
    receiver::Receiver,
    start,
};

async fn scene() -> (Receiver, Sim, String) {
    let receiver = Receiver::start();
    let sim = start(SimConfig { statuses: Statuses::NONE, ..config(&receiver) }).await;
    let ids = sim.inbound(InboundMessage::text("+56912345678", "Hola"));
    let url = send_url(&sim, &ids.conversation_id);
    (receiver, sim, url)
}

/// What comes back on a bare socket until it closes.
async fn bytes_back(sim: &Sim, url: &str) -> std::io::Result<Vec<u8>> {
    let addr = sim.addr();
    let path = url.split_once(&addr.to_string()).unwrap().1.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(addr)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let body = text_in_conversation("Hola").unwrap().to_string();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: sim\r\nX-API-Key: key\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut back = Vec::new();
        stream.read_to_end(&mut back)?;
        Ok(back)
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn accepted_and_then_cut() {
    let (_receiver, sim, url) = scene().await;
    sim.fault(Fault::next_send(Outcome::AcceptThenCut));
    assert_eq!(bytes_back(&sim, &url).await.unwrap(), b"");
    assert_eq!(sim.accepted_sends().len(), 1);
    let record = sim.calls().remove(0);
    assert!(record.accepted);
    assert_eq!((record.status, record.fault), (None, Some("accept_then_cut")));
    // The fault struck once; an ordinary client sees an error of the connection, then success.
    sim.fault(Fault::next_send(Outcome::AcceptThenCut));
    let body = text_in_conversation("Hola");
    let cut = client().post(&url).header("X-API-Key", "key").json(&body).send().await;
    assert!(cut.unwrap_err().is_request());
    assert_eq!(call("POST", &url, body).await.0, 201);
    assert_eq!(sim.accepted_sends().len(), 3);
}

#[tokio::test]
async fn refused_and_cut() {
    let (_receiver, sim, url) = scene().await;
    sim.fault(Fault::next_send(Outcome::Cut));
    assert_eq!(bytes_back(&sim, &url).await.unwrap(), b"");
    assert!(sim.accepted_sends().is_empty());
    assert!(!sim.calls()[0].accepted);
}

#[tokio::test]
async fn accepted_and_then_silence() {
    let (_receiver, sim, url) = scene().await;
    sim.fault(Fault::next_send(Outcome::AcceptThenHang(Duration::from_secs(60))));
    let body = text_in_conversation("Hola");
    let hung = client()
        .post(&url)
        .header("X-API-Key", "key")
        .timeout(Duration::from_millis(300))
        .json(&body)
        .send()
        .await;
    assert!(hung.unwrap_err().is_timeout());
    assert_eq!(sim.accepted_sends().len(), 1);
    // Others are served meanwhile, and stopping does not wait for the hour to pass.
    assert_eq!(call("POST", &url, body).await.0, 201);
    let before = Instant::now();
    sim.stop().await.unwrap();
    assert!(before.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn silence_ends_in_a_cut() {
    let (_receiver, sim, url) = scene().await;
    sim.fault(Fault::next_send(Outcome::Hang(Duration::from_millis(100))));
    assert_eq!(bytes_back(&sim, &url).await.unwrap(), b"");
    assert!(sim.accepted_sends().is_empty());
}

#[tokio::test]
async fn a_late_answer_is_the_right_one() {
    let (_receiver, sim, url) = scene().await;
    sim.fault(Fault::next_send(Outcome::Delay(Duration::from_millis(200))));
    let before = Instant::now();
    assert_eq!(call("POST", &url, text_in_conversation("Hola")).await.0, 201);
    assert!(before.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn answers_in_place_of_the_effect() {
    let (_receiver, sim, url) = scene().await;
    for (reply, status, error) in [
        (Reply::rate_limited(7), 429, "Rate limit exceeded"),
        (
            Reply::in_flight(),
            409,
            "Another message is already in-flight for this conversation. Please retry shortly.",
        ),
        (Reply::window_closed(), 422, "Cannot send non-template messages outside the 24-hour window."),
        (Reply::wrong_token(), 401, "Invalid or missing API key"),
        (Reply::server_error(500), 500, "Internal server error"),
    ] {
        sim.fault(Fault::next_send(Outcome::Answer(reply)));
        let (got, body) = call("POST", &url, text_in_conversation("Hola")).await;
        assert_eq!((got.as_u16(), &body["error"]), (status, &json!(error)));
    }
    sim.fault(Fault::next_send(Outcome::Answer(Reply::rate_limited(7))));
    let body = text_in_conversation("Hola");
    let limited = client().post(&url).header("X-API-Key", "key").json(&body).send().await.unwrap();
    assert_eq!(limited.headers()["Retry-After"], "7");
    assert!(sim.accepted_sends().is_empty());
}

#[tokio::test]
async fn a_gateway_speaks_html_and_may_have_sent() {
    let (_receiver, sim, url) = scene().await;
    let send = || client().post(&url).header("X-API-Key", "key").json(&text_in_conversation("Hola")).send();
    sim.fault(Fault::next_send(Outcome::Answer(Reply::cloudflare(502))));
    let answer = send().await.unwrap();
    assert_eq!(answer.status(), 502);
    assert!(answer.headers()["Content-Type"].to_str().unwrap().starts_with("text/html"));
    assert!(answer.text().await.unwrap().contains("Bad gateway"));
    assert!(sim.accepted_sends().is_empty());
    sim.fault(Fault::next_send(Outcome::AcceptThenAnswer(Reply::cloudflare(504))));
    assert_eq!(send().await.unwrap().status(), 504);
    assert_eq!(sim.accepted_sends().len(), 1);
}

#[tokio::test]
async fn a_message_may_fail_late() {
    let receiver = Receiver::start();
    let sim = start(config(&receiver)).await;
    let ids = sim.inbound(InboundMessage::text("+56912345678", "Hola"));
    sim.fault(Fault::next_send(Outcome::fail_late()));
    let (status, _) = call("POST", &send_url(&sim, &ids.conversation_id), text_in_conversation("Hola")).await;
    assert_eq!(status, 201);
    assert!(sim.idle(PATIENCE).await);
    let told: Vec<Value> =
        receiver.got().iter().skip(1).map(|got| got.json()["event_type"].clone()).collect();
    assert_eq!(told, ["message.sent", "message.failed"]);
    assert_eq!(receiver.got()[2].json()["payload"]["error"]["code"], 131_047);
}

#[tokio::test]
async fn a_fault_keeps_to_its_calls() {
    let (_receiver, sim, url) = scene().await;
    sim.fault(Fault::next_mark(Outcome::Cut));
    sim.fault(Fault::next_send(Outcome::Cut).about("somebody else").times(Times::Next(9)));
    assert_eq!(call("POST", &url, text_in_conversation("Hola")).await.0, 201);
    // A number of the conversation names it as well as its id.
    sim.fault(Fault::next_send(Outcome::Answer(Reply::in_flight())).about("56912345678"));
    assert_eq!(call("POST", &url, text_in_conversation("Hola")).await.0, 409);
    sim.clear_faults();
}
