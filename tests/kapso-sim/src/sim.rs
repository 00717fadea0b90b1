//! A running simulator, as a test holds it.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use actix_web::{App, HttpServer, dev::ServerHandle, web::Data};
use anyhow::{Context as _, Result};
use bytes::Bytes;
use tokio::{runtime::Handle, task::JoinHandle, time::Instant};

use crate::{
    account::{MessageStatus, NumberState},
    act::{self, RawWebhook},
    api,
    call::{AcceptedMark, AcceptedSend, Call},
    config::SimConfig,
    delivery::{self, Delivery},
    dialect::Dialect,
    fault::Fault,
    http,
    story::{Event, InboundMessage, Line, MessageError, PersonsMessage, PhoneCall, SentIds, Status},
    world::World,
};

/// How long a connection may be idle, as common proxies have it.
const IDLE: Duration = Duration::from_secs(75);

/// How often [`Sim::idle`] looks.
const GLANCE: Duration = Duration::from_millis(5);

/// A running simulator; it stops when dropped.
pub struct Sim {
    addr: SocketAddr,
    world: Arc<World>,
    server: ServerHandle,
    task: Option<JoinHandle<std::io::Result<()>>>,
}

impl Sim {
    /// Starts one inside the current tokio runtime; it listens when this returns.
    ///
    /// # Errors
    /// When the address can't be bound, or no HTTP client can be built.
    pub async fn start(config: SimConfig) -> Result<Self> {
        let listener =
            TcpListener::bind(config.addr).with_context(|| format!("can't listen on {}", config.addr))?;
        let addr = listener.local_addr()?;
        let world = World::new(config, Handle::current())?;
        let shared = Data::from(Arc::clone(&world));
        let server = HttpServer::new(move || App::new().app_data(shared.clone()).configure(http::configure))
            .on_connect(http::remember_connection)
            .workers(1)
            // What stands before Kapso keeps idle connections longer than its clients do.
            .keep_alive(IDLE)
            .shutdown_timeout(2)
            .disable_signals()
            .listen(listener)?
            .run();
        let handle = server.handle();
        let task = tokio::spawn(server);
        Ok(Self { addr, world, server: handle, task: Some(task) })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base address of the conversation API.
    #[must_use]
    pub fn conversation_api_url(&self) -> String {
        format!("http://{}/api/v1", self.addr)
    }

    /// The base address of the Meta proxy.
    #[must_use]
    pub fn meta_proxy_url(&self) -> String {
        format!("http://{}/meta/whatsapp/v24.0", self.addr)
    }

    /// The base address of the platform API.
    #[must_use]
    pub fn platform_url(&self) -> String {
        format!("http://{}/platform/v1", self.addr)
    }

    /// The business number that it plays.
    #[must_use]
    pub fn line(&self) -> &Line {
        &self.world.config.line
    }

    /// Every call of the API so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.world.calls().calls.clone()
    }

    /// Every send that had its effect, whatever was answered.
    #[must_use]
    pub fn accepted_sends(&self) -> Vec<AcceptedSend> {
        self.world.calls().sends.clone()
    }

    /// Every mark-as-read that had its effect, whatever was answered.
    #[must_use]
    pub fn accepted_marks(&self) -> Vec<AcceptedMark> {
        self.world.calls().marks.clone()
    }

    /// Forgets the calls so far.
    pub fn clear_calls(&self) {
        self.world.calls().clear();
    }

    /// Every webhook so far, with its attempts.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.world.log().deliveries().to_vec()
    }

    /// Forgets the webhooks that are settled.
    pub fn clear_deliveries(&self) {
        self.world.log().clear();
    }

    /// A contact writes; the webhook is on its way when this returns.
    #[must_use = "the ids are how the message is found again"]
    pub fn inbound(&self, message: InboundMessage) -> SentIds {
        act::inbound(&self.world, message)
    }

    /// A person of the business writes; the webhook is on its way when this returns.
    pub fn person_writes(&self, message: PersonsMessage) -> SentIds {
        act::person_writes(&self.world, message)
    }

    /// A workflow hands this conversation over to a person; gives the number of the delivery.
    pub fn hand_off(&self, conversation_id: &str) -> u64 {
        act::hand_off(&self.world, conversation_id, "Pidió hablar con una persona")
    }

    /// Meta tells of a call, in its own body whatever the dialect; gives the number of the delivery.
    pub fn tell_call(&self, call: &PhoneCall) -> u64 {
        act::tell_call(&self.world, call)
    }

    /// Tells of any event in the current dialect. What it tells of is not written down: see [`Sim::inbound`].
    pub fn tell(&self, event: &Event) {
        delivery::tell(&self.world, self.world.dialect(), event, 0);
    }

    /// A message that the simulator knows changes its status now; false if it knows none of this name.
    pub fn change_status(&self, message: &str, status: Status, error: Option<MessageError>) -> bool {
        api::change_status(&self.world, message, status, error)
    }

    /// A conversation is closed; false if there is none of this id.
    pub fn end_conversation(&self, id: &str) -> bool {
        act::end_conversation(&self.world, id).is_some()
    }

    /// Signs and sends `body` as it is; gives the number of the delivery.
    pub fn send_webhook(&self, kind: &str, body: impl Into<Bytes>) -> u64 {
        self.send_raw(RawWebhook::new(kind, body))
    }

    /// Sends a webhook with headers or a signature of its own; gives the number of the delivery.
    pub fn send_raw(&self, webhook: RawWebhook) -> u64 {
        act::send_raw(&self.world, webhook)
    }

    /// Delivers a webhook once more under its key; none if there is no delivery of this number.
    pub fn repeat(&self, delivery: u64) -> Option<u64> {
        act::repeat(&self.world, delivery)
    }

    /// Sends webhooks elsewhere from now on; pending retries too.
    pub fn set_webhook_url(&self, url: impl Into<String>) {
        self.world.set_webhook_url(Some(url.into()));
    }

    /// Sends webhooks nowhere from now on.
    pub fn clear_webhook_url(&self) {
        self.world.set_webhook_url(None);
    }

    /// Tells events in this dialect from now on.
    pub fn set_dialect(&self, dialect: Dialect) {
        self.world.set_dialect(dialect);
    }

    /// Plans a fault.
    pub fn fault(&self, fault: Fault) {
        self.world.plan().add(fault);
    }

    /// Forgets the faults that have not struck.
    pub fn clear_faults(&self) {
        self.world.plan().clear();
    }

    /// Gives the account credits or takes them away: without, every send and every mark is refused with 402.
    pub fn set_credits(&self, credits: bool) {
        self.world.account().credits = credits;
    }

    /// Sets what the proxy's answers to sends say of the message from now on.
    pub fn set_message_status(&self, status: MessageStatus) {
        self.world.account().message_status = status;
    }

    /// The number as the platform API shows it.
    #[must_use]
    pub fn number(&self) -> NumberState {
        self.world.account().number.clone()
    }

    /// Sets how the platform API shows the number from now on.
    pub fn set_number(&self, number: NumberState) {
        self.world.account().number = number;
    }

    /// From now on sent messages show up in listings only so long after they were accepted (not scaled).
    pub fn list_late(&self, late: Duration) {
        self.world.set_list_late(late);
    }

    /// Whether the webhook is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.world.breaker().is_open()
    }

    /// Pauses the webhook or resumes it.
    pub fn set_paused(&self, paused: bool) {
        self.world.breaker().set(paused);
    }

    /// Waits until nothing is on its way any more: no webhook, no retry, no status to come. False if that takes longer.
    pub async fn idle(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while !self.world.tasks.is_empty() {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(GLANCE).await;
        }
        true
    }

    /// Stops: webhooks on their way are given up, connections are closed.
    ///
    /// # Errors
    /// When the server had failed.
    pub async fn stop(mut self) -> Result<()> {
        self.world.stopping.cancel();
        self.world.tasks.close();
        self.world.tasks.wait().await;
        self.server.stop(false).await;
        match self.task.take() {
            Some(task) => task.await?.context("the server failed"),
            None => Ok(()),
        }
    }

    /// Waits until the server ends by itself, which it does only when it fails.
    ///
    /// # Errors
    /// When the server failed.
    pub async fn failed(&mut self) -> Result<()> {
        match self.task.as_mut() {
            Some(task) => task.await?.context("the server failed"),
            None => Ok(()),
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.world.stopping.cancel();
        // The command is sent by the call; only its confirmation is awaited, and a drop can't wait.
        drop(self.server.stop(false));
    }
}
