//! `genba serve`.

use crate::clock::{Clock as _, SystemClock};
use crate::config::{Config, Metrics};
use crate::fault::{self, crash_point};
use crate::listen::{self, Bounds};
use crate::media::place;
use crate::random::{OsRandom, Random};
use crate::state::{AppState, Parts};
use crate::telemetry;
use anyhow::Context as _;
use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusBuilder;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use storage::{Options, StorageError, Store, TenantRow};
use sync_protocol::id::EpochId;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long a stop waits for calls and sockets to finish.
const FINISH_MAX: Duration = Duration::from_secs(30);

/// Flags of `genba serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    /// Where to listen; port 0 takes a free one.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Where to tell metrics.
    #[arg(long)]
    metrics: Option<SocketAddr>,
    /// Allows an address beyond loopback without TLS.
    #[arg(long)]
    insecure: bool,
    /// Where to write the port that was taken.
    #[arg(long)]
    port_file: Option<PathBuf>,
}

impl Serve {
    pub(super) async fn run(self, mut config: Config) -> anyhow::Result<()> {
        config.listen.addr = self.listen.unwrap_or(config.listen.addr);
        config.listen.insecure |= self.insecure;
        config.metrics = Metrics { addr: self.metrics.or(config.metrics.addr) };
        config.check()?;
        start_log()?;
        telemetry::hush_panics();
        fault::plant_from_environment();
        let tls = config.tls.as_ref().map(listen::acceptor).transpose()?;
        let store = open_store(&config, Missing::Create).await?;
        let objects = place::open(&config, &OsRandom).await?;
        let parts = Parts {
            store,
            clock: Arc::new(SystemClock),
            random: Arc::new(OsRandom),
            objects,
            config: Arc::new(config),
        };
        let state = AppState::open(parts).await?;
        crash_point("start.before_listening");
        let mut signals = Signals::new()?;
        let metrics = tell_metrics(&state).await?;
        let listener = TcpListener::bind(state.config.listen.addr)
            .await
            .with_context(|| format!("cannot listen on {}", state.config.listen.addr))?;
        let bound = listener.local_addr()?;
        crate::live::start(&state);
        crate::media::collect::start(&state);
        crate::media::render::start(&state);
        let bounds = Bounds {
            head: Duration::from_millis(state.config.listen.header_timeout_ms),
            ..Bounds::default()
        };
        let serving = tokio::spawn(listen::serve(
            listener,
            tls,
            crate::app(&state),
            bounds,
            state.stop.clone(),
            state.tasks.clone(),
        ));
        if let Some(path) = &self.port_file {
            write_whole(path, &bound.port().to_string())
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        tracing::info!(addr = %bound, metrics = metrics.map(tracing::field::display), "listening");
        signals.any().await;
        tokio::select! {
            () = stop(&state) => {}
            () = signals.any() => tracing::warn!("stopped at once"),
        }
        serving.abort();
        Ok(())
    }
}

/// Stops: no new work, then no new connections, then the last answers.
async fn stop(state: &AppState) {
    tracing::info!("stopping");
    state.retreat();
    crash_point("stop.not_ready");
    tokio::time::sleep(Duration::from_secs(state.config.listen.drain_delay_s)).await;
    state.stop.cancel();
    state.tasks.close();
    if tokio::time::timeout(FINISH_MAX, state.tasks.wait()).await.is_err() {
        tracing::warn!("some calls did not finish in time");
    }
    crash_point("stop.before_store_closes");
    state.store.close().await;
    crash_point("stop.store_closed");
    tracing::info!("stopped");
}

/// What becomes of a database that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// It is made.
    Create,
    /// The command ends, so that a forgotten setting leaves no stray file.
    Refuse,
}

/// Opens the database of a configuration, and makes the tenants that it names and that are missing.
pub(super) async fn open_store(config: &Config, missing: Missing) -> anyhow::Result<Store> {
    let mut options = Options::new(config.database.url.clone());
    options.read_connections = config.database.read_connections;
    options.create = missing == Missing::Create;
    crash_point("start.before_migration");
    let opened = Store::open(&options).await;
    let told = if matches!(opened, Err(StorageError::NoDatabase(_))) {
        "cannot open the database: set GENBA_DATABASE_URL or --database-url, or begin one with \
         `genba admin tenant-create` or `genba serve`"
    } else {
        "cannot open the database"
    };
    let store = opened.context(told)?;
    crash_point("start.after_migration");
    let (now, random) = (SystemClock.now(), &OsRandom as &dyn Random);
    let mut tx = store.write().await?;
    for tenant in &config.tenants {
        if tx.tenants().find(&tenant.id).await?.is_none() {
            let row = TenantRow {
                id: tenant.id.clone(),
                name_ja: tenant.name_ja.clone(),
                name_en: tenant.name_en.clone(),
                time_zone: tenant.time_zone.clone(),
                created_at: now,
            };
            tx.tenants().insert(&row, EpochId(random.uuid_v7(now))).await?;
        }
    }
    crash_point("start.tenants_made");
    tx.commit().await?;
    Ok(store)
}

fn start_log() -> anyhow::Result<()> {
    let level = std::env::var(telemetry::LEVEL_VARIABLE).unwrap_or_default();
    let subscriber = telemetry::subscriber(&level, std::io::stderr);
    tracing::subscriber::set_global_default(subscriber).context("the log is already started")
}

/// Tells metrics on a listener of their own.
async fn tell_metrics(state: &AppState) -> anyhow::Result<Option<SocketAddr>> {
    let Some(addr) = state.config.metrics.addr else { return Ok(None) };
    let handle = PrometheusBuilder::new().install_recorder()?;
    let listener =
        TcpListener::bind(addr).await.with_context(|| format!("cannot tell metrics on {addr}"))?;
    let bound = listener.local_addr()?;
    let app = Router::new().route("/metrics", get(move || async move { handle.render() }));
    let (stop, tasks) = (state.stop.clone(), state.tasks.clone());
    let bounds = Bounds { connections_max: 16, ..Bounds::default() };
    tokio::spawn(listen::serve(listener, None, app, bounds, stop, tasks));
    Ok(Some(bound))
}

/// Writes a file so that a reader sees all of it or nothing.
fn write_whole(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension("part");
    std::fs::write(&beside, text)?;
    std::fs::rename(beside, path)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
