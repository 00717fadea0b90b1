//! How many effects a second workers perform, and how long one waits before it leaves.
//!
//! `cargo build --release -p worker && cargo build -p buzon-tests --bins`, and then
//! `BUZON_BIN_DIR=target/release target/debug/buzon-dev with-servers -- target/debug/buzon-dispatch --delay-ms 100`
#![expect(clippy::print_stdout, reason = "this program talks to a person")]

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Parser;
use harness::stage::{SECRET, Stage};
use kapso_sim::{Fault, InboundMessage, Outcome, Sim, SimConfig, Statuses, Times};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::time::{MissedTickBehavior, interval, sleep};

/// Has effects performed, and says how fast.
#[derive(Parser)]
#[command(name = "buzon-dispatch")]
struct Cli {
    /// How many effects, one in five of them a reply; with a rate, how many messages, one in five of them answered
    #[arg(long, default_value_t = 20_000)]
    effects: u32,
    /// How many messages are written each second; 0: all effects are owed when the workers start
    #[arg(long, default_value_t = 0)]
    rate: u32,
    /// How long Kapso takes to answer
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// How many workers
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// Effects that were settled before, with their attempts
    #[arg(long, default_value_t = 0)]
    settled: u32,
    /// Effects that wait all the while: due tomorrow
    #[arg(long, default_value_t = 0)]
    waiting: u32,
}

#[tokio::main]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    let sim = Sim::start(SimConfig {
        webhook_secret: Some(SECRET.to_owned()),
        lenient: true,
        statuses: Statuses::NONE,
        ..SimConfig::default()
    })
    .await?;
    if cli.delay_ms > 0 {
        let slow = Outcome::Delay(Duration::from_millis(cli.delay_ms));
        sim.fault(Fault::next_call(slow).times(Times::Chance(1.0)));
    }
    let stage = Stage::new().await?;
    sim.set_webhook_url(stage.webhook_url());
    let stage = stage
        .with("KAPSO_PHONE_NUMBER_ID", sim.line().phone_number_id.clone())
        .with("KAPSO_API_BASE_URL", sim.conversation_api_url())
        .with("KAPSO_API_TOKEN", "a-token")
        .with("BUZON_API_CALLS_A_MINUTE", "1000000");
    let pool = stage.pool();
    history(pool, cli.settled, cli.waiting).await?;
    let mut owed = cli.effects;
    if cli.rate == 0 {
        owe(pool, cli.effects).await?;
    }
    let mut workers = Vec::new();
    for _ in 0..cli.workers {
        workers.push(stage.worker().await?);
    }
    let start = Instant::now();
    if cli.rate > 0 {
        let _ingest = stage.ingest().await?;
        owed = write_at_rate(&sim, cli.effects, cli.rate).await;
        ensure!(sim.idle(Duration::from_secs(60)).await, "not all webhooks were taken");
    }
    while done(pool).await? < i64::from(owed) {
        ensure!(start.elapsed() < Duration::from_secs(600), "{} of {owed} are done", done(pool).await?);
        sleep(Duration::from_millis(200)).await;
    }
    let calls = sim.calls().len();
    ensure!(calls == usize::try_from(owed)?, "{calls} calls for {owed} effects");
    let (a_second, p50, p99): (f64, f64, f64) = sqlx::query_as(
        "SELECT (count(*) / EXTRACT(epoch FROM max(finished_at) - min(started_at)))::float8,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY EXTRACT(epoch FROM started_at - created_at))::float8 * 1000,
            percentile_cont(0.99) WITHIN GROUP (ORDER BY EXTRACT(epoch FROM started_at - created_at))::float8 * 1000
         FROM effect_attempts JOIN effects ON id = effect_id WHERE lane NOT LIKE 'old/%'",
    )
    .fetch_one(pool)
    .await?;
    println!(
        "{} effects, rate {}, answers after {} ms, {} worker(s), {} settled, {} waiting: {a_second:.0}/s, owed to leased p50 {p50:.1} ms, p99 {p99:.1} ms",
        cli.effects, cli.rate, cli.delay_ms, cli.workers, cli.settled, cli.waiting
    );
    Ok(())
}

/// What the tables hold before.
async fn history(pool: &PgPool, settled: u32, waiting: u32) -> Result<()> {
    for statement in [
        format!(
            "INSERT INTO effects (kind, state, outcome, settled_at, message_id, conversation_id, lane, attempts, created_at, next_at, expires_at)
             SELECT CASE WHEN n % 5 = 0 THEN 'send_text' ELSE 'mark_read' END, 'done', 'done', at, 'old-' || n, 'c' || n % 20000,
                'old/' || n % 20000, 1, at, at, at + interval '1 day'
             FROM generate_series(1, {settled}) n, LATERAL (SELECT now() - interval '30 days' * n / {settled} AS at) AS times"
        ),
        "INSERT INTO effect_attempts (effect_id, attempt, started_at, finished_at, http_status, outcome)
         SELECT id, 1, settled_at, settled_at, 200, 'done' FROM effects"
            .to_owned(),
        format!(
            "INSERT INTO effects (kind, message_id, conversation_id, lane, next_at, expires_at)
             SELECT CASE WHEN n % 5 = 0 THEN 'send_text' ELSE 'mark_read' END, 'wait-' || n, 'w' || n % 20000,
                'wait/' || n % 20000, now() + interval '1 day', now() + interval '2 days'
             FROM generate_series(1, {waiting}) n"
        ),
        "INSERT INTO lanes (id) SELECT DISTINCT lane FROM effects".to_owned(),
        "VACUUM ANALYZE effects, effect_attempts, lanes".to_owned(),
    ] {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(pool).await?;
    }
    Ok(())
}

/// Owes effects, as the projection does; none are performed before.
async fn owe(pool: &PgPool, count: u32) -> Result<()> {
    let mut tx = pool.begin().await?;
    sqlx::query(
        "INSERT INTO lanes (id) SELECT DISTINCT 'bench/' || n / 5 % 5000 FROM generate_series(0, $1::bigint - 1) n
         ON CONFLICT DO NOTHING",
    )
    .bind(i64::from(count))
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "INSERT INTO effects (kind, message_id, kapso_message_id, conversation_id, recipient, lane, body, expires_at)
         SELECT CASE WHEN n % 5 = 0 THEN 'send_text' ELSE 'mark_read' END, 'bench-' || n, 'bench-' || n,
            'c' || n / 5 % 5000, '5695' || n / 5 % 5000, 'bench/' || n / 5 % 5000, CASE WHEN n % 5 = 0 THEN 'text' END,
            now() + interval '1 hour'
         FROM generate_series(0, $1::bigint - 1) n",
    )
    .bind(i64::from(count))
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Contacts write at a rate, and all of it goes the real road. How many effects that owes.
async fn write_at_rate(sim: &Sim, messages: u32, rate: u32) -> u32 {
    let mut ticks = interval(Duration::from_secs(1) / rate);
    // What a busy machine misses is made up for.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for nth in 0..messages {
        ticks.tick().await;
        let text = if nth % 5 == 0 { "Necesito ayuda" } else { "Buenos días" };
        let _ids = sim.inbound(InboundMessage::text(format!("+569{:08}", nth % 20_000), text));
    }
    messages + messages.div_ceil(5)
}

async fn done(pool: &PgPool) -> Result<i64> {
    let done = "SELECT count(*) FROM effects WHERE lane NOT LIKE 'old/%' AND state = 'done'";
    Ok(sqlx::query_scalar(done).fetch_one(pool).await?)
}
