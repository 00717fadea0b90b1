//! Everything that the simulator's parts share: what Kapso knows, what was asked, what is on its way.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rand::{SeedableRng as _, rngs::StdRng};
use tokio::{runtime::Handle, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    account::Account,
    call::Calls,
    clock::Scale,
    config::SimConfig,
    delivery::{Breaker, Buffers, Lanes, Log},
    dialect::{Dialect, Secrets},
    fault::Plan,
    limit::Limiter,
    store::Store,
    subscription::Subscription,
};

/// The shared state. Each lock guards one thing and is never held over an await.
pub(crate) struct World {
    pub(crate) config: SimConfig,
    pub(crate) scale: Scale,
    pub(crate) client: reqwest::Client,
    pub(crate) slots: Semaphore,
    pub(crate) stopping: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// Webhooks outlive the request that caused them, so they run where the simulator was started.
    runtime: Handle,
    subscription: Mutex<Subscription>,
    /// The number's webhooks beside the first.
    others: Mutex<Vec<Subscription>>,
    store: Mutex<Store>,
    account: Mutex<Account>,
    calls: Mutex<Calls>,
    plan: Mutex<Plan>,
    limiter: Mutex<Limiter>,
    lanes: Mutex<Lanes>,
    buffers: Mutex<Buffers>,
    log: Mutex<Log>,
    breaker: Mutex<Breaker>,
    rng: Mutex<StdRng>,
    list_late: Mutex<Duration>,
}

impl World {
    /// A world that nothing has happened in.
    pub(crate) fn new(config: SimConfig, runtime: Handle) -> anyhow::Result<Arc<Self>> {
        let scale = Scale::new(config.time_scale);
        let client = reqwest::Client::builder()
            // The receiver is a machine that was named; a proxy or a redirect would hide what it really answers.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Arc::new(Self {
            slots: Semaphore::new(config.max_in_flight.max(1)),
            subscription: Mutex::new(Subscription::of(&config)),
            limiter: Mutex::new(Limiter::new(scale)),
            breaker: Mutex::new(Breaker::new(config.auto_pause, scale)),
            rng: Mutex::new(StdRng::seed_from_u64(config.seed)),
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
            others: Mutex::default(),
            store: Mutex::default(),
            account: Mutex::default(),
            calls: Mutex::default(),
            plan: Mutex::default(),
            lanes: Mutex::default(),
            buffers: Mutex::default(),
            log: Mutex::default(),
            list_late: Mutex::default(),
            runtime,
            client,
            scale,
            config,
        }))
    }

    /// Runs `task` until it ends or the simulator stops.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping.clone();
        let task = async move {
            stopping.run_until_cancelled(task).await;
        };
        self.tasks.spawn_on(task, &self.runtime);
    }

    pub(crate) fn webhook_url(&self) -> Option<String> {
        self.subscription().url.clone()
    }

    pub(crate) fn set_webhook_url(&self, url: Option<String>) {
        self.subscription().url = url;
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.subscription().dialect
    }

    pub(crate) fn set_dialect(&self, dialect: Dialect) {
        self.subscription().dialect = dialect;
    }

    /// How long a sent message is missing from listings.
    pub(crate) fn list_late(&self) -> Duration {
        *held(&self.list_late)
    }

    pub(crate) fn set_list_late(&self, late: Duration) {
        *held(&self.list_late) = late;
    }

    pub(crate) fn secrets(&self) -> Secrets {
        Secrets { webhook: self.subscription().secret.clone(), meta_app: self.config.meta_app_secret.clone() }
    }

    pub(crate) fn subscription(&self) -> MutexGuard<'_, Subscription> {
        held(&self.subscription)
    }

    pub(crate) fn others(&self) -> MutexGuard<'_, Vec<Subscription>> {
        held(&self.others)
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        held(&self.store)
    }

    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        held(&self.account)
    }

    pub(crate) fn calls(&self) -> MutexGuard<'_, Calls> {
        held(&self.calls)
    }

    pub(crate) fn plan(&self) -> MutexGuard<'_, Plan> {
        held(&self.plan)
    }

    pub(crate) fn limiter(&self) -> MutexGuard<'_, Limiter> {
        held(&self.limiter)
    }

    pub(crate) fn lanes(&self) -> MutexGuard<'_, Lanes> {
        held(&self.lanes)
    }

    pub(crate) fn buffers(&self) -> MutexGuard<'_, Buffers> {
        held(&self.buffers)
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        held(&self.log)
    }

    pub(crate) fn breaker(&self) -> MutexGuard<'_, Breaker> {
        held(&self.breaker)
    }

    pub(crate) fn rng(&self) -> MutexGuard<'_, StdRng> {
        held(&self.rng)
    }
}

/// A thread that panicked while it held a lock leaves records that are still worth reading.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
