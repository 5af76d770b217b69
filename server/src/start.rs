//! Starting and stopping. The address is taken first and answers probes at once; the engine
//! recovers on a thread of its own, then the models are loaded. A folder that cannot be opened
//! ends the server; models that cannot be loaded do not.

use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use actix_http::{Extensions, HttpService};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, Server, ServerHandle};
use actix_web::middleware::{Compress, from_fn};
use actix_web::{App as Site, web};
use config::Config;
use engine::Engine;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::access::Ring;
use crate::app::App;
use crate::audit::Audit;
use crate::connection::Connection;
use crate::connections::Connections;
use crate::error::Error;
use crate::folder::recover_in_time;
use crate::interrupted::Interrupted;
use crate::metrics::Metrics;
use crate::models_task::{self, Embedding};
use crate::remote::Remote;
use crate::shards::{Served, Shards};
use crate::signals::{Signals, Told};
use crate::tls::{self, Certificate};
use crate::{
    comparison, compreface, limits, makers, middleware, purged, routes, shards, shared_log,
};

/// How long the end of a connection is waited for.
const CLOSING: Duration = Duration::from_secs(1);

/// How far a server is.
#[derive(Clone)]
enum Phase {
    Starting,
    Ready,
    Failed(Error),
}

/// A server at work, in threads of this process.
pub struct Running {
    addr: SocketAddr,
    handle: ServerHandle,
    serving: JoinHandle<Result<(), Error>>,
    /// Of the server, and of each shard.
    opening: Vec<(Arc<App>, JoinHandle<()>)>,
    certificate: Option<Arc<Certificate>>,
    phase: watch::Receiver<Phase>,
    runtime: Runtime,
}

/// Serves until the process is told to stop (SIGTERM or SIGINT).
///
/// # Errors
/// The address cannot be listened on, or the data folder cannot be opened or closed.
pub fn run(config: Config) -> Result<(), Error> {
    let signals = Signals::catch()?;
    start(config)?.wait(signals)
}

/// Starts a server with the models of its settings. Returns as soon as it listens.
///
/// # Errors
/// The address cannot be listened on.
pub fn start(config: Config) -> Result<Running, Error> {
    start_with(config, Embedding::Models)
}

/// Starts a server with another source of embedders, for tests.
///
/// # Errors
/// The address cannot be listened on.
pub fn start_with(config: Config, embedding: Embedding) -> Result<Running, Error> {
    start_for(config, embedding, Purpose::Serving)
}

/// Starts a server for one who asks it alone. A node's folder is opened also where the log that it follows is not
/// given or cannot be reached: as far as its last checkpoint goes, and to be read only.
///
/// # Errors
/// The address cannot be listened on.
pub fn start_alone(config: Config) -> Result<Running, Error> {
    start_for(config, Embedding::Models, Purpose::OneCommand)
}

/// What a server is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Serving,
    OneCommand,
}

fn start_for(config: Config, embedding: Embedding, purpose: Purpose) -> Result<Running, Error> {
    let config = match purpose {
        Purpose::Serving => config,
        Purpose::OneCommand => by_itself(config),
    };
    let listen = |error: std::io::Error| Error::Listen {
        addr: config.listen,
        reason: error.to_string(),
    };
    let kernels = engine::kernels()?;
    tracing::info!(kernels, "vectors are compared");
    let root = config.api_key.as_ref().map(config::ApiKey::as_str);
    let keys = Ring::open(root, &config.data_dir).map_err(Error::Keys)?;
    let listener = TcpListener::bind(config.listen).map_err(listen)?;
    rustix::net::listen(&listener, limits::CONNECTING).map_err(|error| listen(error.into()))?;
    let addr = listener.local_addr().map_err(listen)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::system("start a runtime"))?;
    let audit = Audit::open(&config.audit)?;
    let certificate = config.tls.as_ref().map(Certificate::open).transpose()?;
    let remote = config.embedding.remote.as_ref().map(Remote::new);
    let remote = remote.transpose()?;
    if let Some(nats) = &config.nats {
        tls::check_nats(nats)?;
        if purpose == Purpose::Serving {
            shared_log::check_store_of(&config.data_dir, nats)?;
        }
    }
    let mut app = App::new(config, Metrics::new(), keys, audit, remote);
    app.without_log = purpose == Purpose::OneCommand;
    let app = Arc::new(app);
    let served = shards::serve(&app)?;
    let nats = app.config.nats.as_ref();
    if let Some(settings) = nats.and_then(|nats| nats.shards.as_ref()) {
        let url = url(addr, certificate.is_some());
        app.has_shards(Shards::new(settings, &app, served.clone(), url)?);
    }
    let (handle, serving) = serve(listener, Arc::clone(&app), &served, certificate.clone())?;
    let (progress, phase) = watch::channel(Phase::Starting);
    let progress = Arc::new(progress);
    let mut opening = Vec::new();
    let shards = served.into_values().map(|shard| (shard, None));
    for (app, embedding) in [(Arc::clone(&app), Some(embedding))]
        .into_iter()
        .chain(shards)
    {
        let (opened, progress) = (Arc::clone(&app), Arc::clone(&progress));
        let thread = thread::Builder::new()
            .name("opening".to_owned())
            .spawn(move || open(&opened, embedding, &progress))
            .map_err(Error::system("start a thread"))?;
        opening.push((app, thread));
    }
    Ok(Running {
        addr,
        handle,
        serving,
        opening,
        certificate,
        phase,
        runtime,
    })
}

/// One command looks at one folder: it serves no shards, tells no node that it is there, and puts nothing where nodes
/// look.
fn by_itself(mut config: Config) -> Config {
    if let Some(nats) = &mut config.nats {
        nats.shards = None;
        nats.checkpoint_interval_s = 0;
        nats.compare_interval_s = 0;
    }
    config
}

/// Runs actix on a thread of its own, which has its own runtime.
fn serve(
    listener: TcpListener,
    app: Arc<App>,
    served: &Served,
    certificate: Option<Arc<Certificate>>,
) -> Result<(ServerHandle, JoinHandle<Result<(), Error>>), Error> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let served = served.clone();
    let serving = thread::Builder::new()
        .name("http".to_owned())
        .spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = http_server(listener, app, served, certificate)
                    .map_err(Error::system("start the server"))?;
                // Nobody waits for a handle that nobody wants any more.
                drop(sender.send(server.handle()));
                server.await.map_err(Error::system("go on serving"))
            })
        });
    let serving = serving.map_err(Error::system("start a thread"))?;
    match receiver.recv() {
        Ok(handle) => Ok((handle, serving)),
        Err(_) => Err(joined(serving).err().unwrap_or(Error::Ended)),
    }
}

/// What `HttpServer` would set up, but for connections with a clock.
fn http_server(
    listener: TcpListener,
    app: Arc<App>,
    served: Served,
    certificate: Option<Arc<Certificate>>,
) -> std::io::Result<Server> {
    let settings = app.config.server.clone();
    let speaks_compreface = app.config.compreface.is_some();
    let data = web::Data::from(app);
    // On any number of cores, all that is let in has a thread, and so has who asks how it is.
    let at_work = settings.concurrent_searches + settings.concurrent_writes + limits::LOOKS_AT_WORK;
    let of_shards = at_work * served.len();
    let at_work = at_work + of_shards;
    let all = Connections::new(settings.max_connections);
    // As many nodes' connections as there are places in shards.
    let connections = settings.max_connections + limits::CONNECTIONS_BEYOND + of_shards;
    let builder = Server::build()
        .workers(settings.workers)
        .worker_max_blocking_threads(at_work + 2 * limits::OPERATORS_AT_WORK)
        .max_concurrent_connections(connections.div_ceil(settings.workers))
        .shutdown_timeout(settings.shutdown_s)
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let addr = listener.local_addr()?;
    let service = move || {
        let site = Site::new()
            .app_data(data.clone())
            .wrap(from_fn(shards::route))
            .wrap(from_fn(middleware::guard))
            .wrap(Compress::default())
            .wrap(from_fn(middleware::observe))
            .configure(|site| shards::mount(&served, site))
            .configure(|site| routes::configure(site, speaks_compreface));
        let site = site
            .into_factory()
            .map_err(|error: actix_web::Error| error.error_response());
        let stopping = stopping.clone();
        let http = HttpService::build()
            .client_request_timeout(limits::HEAD_TIMEOUT)
            .client_disconnect_timeout(CLOSING)
            .local_addr(addr)
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .on_connect_ext(|connection: &Connection, data: &mut Extensions| {
                data.insert(connection.at_work());
                data.insert(connection.admitted());
            })
            .finish(map_config(site, |()| AppConfig::default()));
        let (certificate, all) = (certificate.clone(), all.clone());
        fn_service(move |io| {
            let tls = certificate.as_ref().map(|it| it.acceptor());
            let admitted = all.enter();
            async { Ok(Connection::accept(io, tls, admitted).await?) }
        })
        .and_then(http)
    };
    Ok(builder.listen("doppel", listener, service)?.run())
}

/// Opens the data folder of the server; or, without embedders, of a shard.
fn open(app: &Arc<App>, embedding: Option<Embedding>, progress: &watch::Sender<Phase>) {
    // Nobody would be told of a thread that has ended.
    let recovered = catch_unwind(AssertUnwindSafe(|| recover_in_time(app)));
    match recovered.unwrap_or(Err(Error::Ended)) {
        // It was told to stop before.
        Ok(None) => {}
        Ok(Some(engine)) => {
            let status = engine.status();
            let (seconds, records) = (status.recovery_seconds, status.replayed_records);
            let recalled = status.recalled_batches;
            tracing::info!(seconds, records, recalled, "recovered");
            if let Some(why) = status.tables_rebuilt {
                tracing::warn!(why, "the tables were built anew");
            }
            // Before anybody can ask: whoever begins what was interrupted goes on with the same job.
            let mut interrupted = Interrupted::of(&app.jobs, &engine);
            let engine = app.opened(engine);
            interrupted.go_on(app, &engine);
            thread::scope(|scope| {
                // Other nodes and shards do not wait for models.
                watch(scope, app, &engine);
                if let Some(embedding) = embedding {
                    models_task::load(app, embedding);
                    survives(app, || makers::tell_missing(app, &engine));
                    survives(app, || interrupted.go_on(app, &engine));
                    survives(app, || compreface::prepare(app, &engine));
                    tracing::info!("ready");
                    progress.send_if_modified(|phase| {
                        let starting = matches!(phase, Phase::Starting);
                        if starting {
                            *phase = Phase::Ready;
                        }
                        starting
                    });
                } else {
                    // There are none to wait for.
                    app.faces.ready();
                }
                let waiting = thread::Builder::new().name("interrupted".to_owned());
                let go_on = || interrupted.wait(app, &engine);
                if let Err(error) = waiting.spawn_scoped(scope, go_on) {
                    tracing::error!(%error, "nothing more goes on: no thread can be started for it");
                }
                // This thread only waits for the others any more.
                let recall = thread::Builder::new().name("recall".to_owned());
                let measures = || app.recall.watch(&engine, &app.metrics);
                if let Err(error) = recall.spawn_scoped(scope, measures) {
                    tracing::error!(%error, "recall is not measured: no thread can be started for it");
                }
            });
        }
        Err(error) => {
            let folder = app.config.data_dir.display();
            tracing::error!(%error, %folder, "the data folder cannot be opened");
            match embedding {
                Some(_) => {
                    progress.send_replace(Phase::Failed(error));
                }
                // A shard's trouble is none of the others'.
                None => app.recovery().has_failed(error.to_string()),
            }
        }
    }
}

/// Does a part of the start, which may break down without the others: this thread would wait for them with its
/// panic until the server stops.
fn survives(app: &App, work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        app.metrics.panicked();
        tracing::error!("a part of the start broke down");
    }
}

/// Looks after what goes on beside requests, from as soon as the folder is open until the server stops.
fn watch<'scope, 'env>(
    scope: &'scope thread::Scope<'scope, 'env>,
    app: &'env Arc<App>,
    engine: &'env Arc<Engine>,
) {
    let named = |name: &str| thread::Builder::new().name(name.to_owned());
    let sweeps = move || app.retention.watch(engine, &app.metrics, &app.audit);
    if let Err(error) = named("retention").spawn_scoped(scope, sweeps) {
        tracing::error!(%error, "nothing expires: no thread can be started for it");
    }
    if let Some(nats) = &app.config.nats {
        let put = move || shared_log::watch(app, engine, nats);
        if let Err(error) = named("checkpoints").spawn_scoped(scope, put) {
            tracing::error!(%error, "no checkpoints are put into the store");
        }
        let moved = move || app.elsewhere.watch(app, engine, nats);
        if let Err(error) = named("moves").spawn_scoped(scope, moved) {
            tracing::error!(%error, "other nodes do not see which collections are moved here");
        }
        let purges = move || purged::watch(app, engine, nats);
        if let Err(error) = named("purges").spawn_scoped(scope, purges) {
            tracing::error!(%error, "nobody looks whether the log was purged");
        }
        let compare = move || comparison::watch(app, engine, nats);
        if let Err(error) = named("comparison").spawn_scoped(scope, compare) {
            tracing::error!(%error, "nodes are not compared");
        }
    }
    if let Some(shards) = app.shards() {
        let seen = named("nodes").spawn_scoped(scope, move || shards.watch_nodes(app));
        let made = named("parts").spawn_scoped(scope, move || shards.watch_parts(app));
        if let (Err(error), _) | (_, Err(error)) = (seen, made) {
            tracing::error!(%error, "shards are not looked after");
        }
    }
}

impl Running {
    /// Where it listens; the port is the one that the system chose if the settings say 0.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it answers, as a client is told.
    pub fn url(&self) -> String {
        format!("{}/", url(self.addr, self.certificate.is_some()))
    }

    /// Reads again what can change without a restart: the files of TLS.
    ///
    /// # Errors
    /// They do not fit; those in use stay so.
    pub fn reload(&self) -> Result<(), Error> {
        match &self.certificate {
            Some(certificate) => {
                certificate.reload()?;
                tracing::info!("the files of TLS were read again");
            }
            None => tracing::info!(
                "there is nothing to read again: the settings name no files of TLS, and a change of any \
                 other takes a restart"
            ),
        }
        Ok(())
    }

    /// Blocks until everything is recovered and the models, if there are any, are loaded.
    ///
    /// # Errors
    /// The data folder cannot be opened. The server still has to be stopped.
    pub fn wait_ready(&self) -> Result<(), Error> {
        let mut phase = self.phase.clone();
        let phase = self.runtime.block_on(async {
            let settled = phase.wait_for(|phase| !matches!(phase, Phase::Starting));
            settled.await.map(|phase| phase.clone())
        });
        match phase {
            Ok(Phase::Failed(error)) => Err(error),
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Ended),
        }
    }

    /// Blocks until the process gets SIGTERM or SIGINT, or the data folder turns out not to open;
    /// then stops.
    ///
    /// # Errors
    /// The data folder cannot be opened or closed.
    pub fn wait(self, mut signals: Signals) -> Result<(), Error> {
        let (mut phase, runtime) = (self.phase.clone(), Arc::clone(&signals.runtime));
        let failed = runtime.block_on(async {
            loop {
                tokio::select! {
                    told = signals.next() => match told {
                        Told::Stop => return None,
                        Told::Reload => {
                            if let Err(error) = self.reload() {
                                tracing::error!(%error, "what was in use stays in use");
                            }
                        }
                    },
                    Ok(phase) = phase.wait_for(|phase| matches!(phase, Phase::Failed(_))) => {
                        return Some(phase.clone());
                    }
                }
            }
        });
        let stopped = self.stop();
        match failed {
            Some(Phase::Failed(error)) => Err(error),
            _ => stopped,
        }
    }

    /// Stops: takes no more requests, answers those at work, takes a last checkpoint.
    ///
    /// # Errors
    /// The data folder cannot be closed. What was acknowledged is safe nevertheless.
    pub fn stop(self) -> Result<(), Error> {
        // What they are at ends while requests are answered.
        self.opening.iter().for_each(|(app, _)| app.jobs.stop());
        self.runtime.block_on(self.handle.stop(true));
        let served = joined(self.serving);
        for (app, _) in &self.opening {
            app.stopping.close();
            app.recall.close();
            app.retention.close();
        }
        for (app, opening) in self.opening {
            opening.join().map_err(|_| Error::Ended)?;
            app.jobs.close();
            app.faces.close();
            if let Some(engine) = app.engine() {
                engine.shutdown()?;
            }
        }
        served
    }
}

fn url(addr: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    format!("{scheme}://{addr}")
}

fn joined(thread: JoinHandle<Result<(), Error>>) -> Result<(), Error> {
    thread.join().unwrap_or(Err(Error::Ended))
}
