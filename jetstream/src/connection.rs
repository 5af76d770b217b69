//! The connection to the servers, as the settings say.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use storage::Error;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::limits::{AGAIN, ANSWER, OPEN_PATIENCE, TELL};
use crate::settings::Settings;

/// Is told for what is waited, as soon as something is.
#[derive(Clone, Copy)]
pub struct Waits<'a> {
    /// Something was asked, and nothing has come yet.
    pub asks: &'a dyn Fn(&Error),
    /// It has come to nothing, and is tried again.
    pub fails: &'a dyn Fn(&Error),
}

impl Waits<'_> {
    /// Nobody is told.
    pub(crate) const UNTOLD: Waits<'static> = Waits {
        asks: &|_| (),
        fails: &|_| (),
    };
}

/// What the servers have said last that answers nothing, such as that something is not permitted.
pub(crate) type Said = watch::Receiver<Option<String>>;

/// Connects to whichever server answers; they need not be there yet.
pub(crate) async fn connect(settings: &Settings) -> Result<Client, Error> {
    let (client, _) = connect_within(settings, OPEN_PATIENCE, Waits::UNTOLD).await?;
    Ok(client)
}

/// The same, if one answers within this time.
pub(crate) async fn connect_within(
    settings: &Settings,
    patience: Duration,
    waits: Waits<'_>,
) -> Result<(Client, Said), Error> {
    let (says, said) = watch::channel(None);
    let servers = addresses(settings)?;
    let all = settings.servers.join(", ");
    let silent = |why: &str| Error::Unreachable(format!("none of {all} answers: {why}"));
    let started = Instant::now();
    loop {
        let tried = options(settings, &says).await?.connect(&servers[..]);
        let tried = or_tell(tried, || (waits.asks)(&silent("nothing was said yet"))).await;
        let error = match tried {
            Ok(client) => return Ok((client, said)),
            Err(error) if is_refusal(error.kind()) => {
                return Err(Error::Shared(format!(
                    "the servers refuse this node: {error}; look at `nats.user` and `nats.password`, or \
                     `nats.credentials`"
                )));
            }
            Err(error) if is_of_tls(&error) => {
                return Err(Error::Shared(format!(
                    "TLS with the servers cannot be set up: {error}; look at `nats.ca`, `nats.cert` and \
                     `nats.key`, at the names in the servers' certificates, and whether they speak TLS at all"
                )));
            }
            Err(error) => silent(&error.to_string()),
        };
        if started.elapsed() > patience {
            return Err(error);
        }
        (waits.fails)(&error);
        sleep(AGAIN).await;
    }
}

/// What comes of something; where that does not come at once it is told that it is waited for.
pub(crate) async fn or_tell<T>(work: impl Future<Output = T>, tell: impl FnOnce()) -> T {
    tokio::pin!(work);
    match timeout(TELL, &mut work).await {
        Ok(done) => done,
        Err(_) => {
            tell();
            work.await
        }
    }
}

fn is_refusal(kind: ConnectErrorKind) -> bool {
    use ConnectErrorKind::{Authentication, AuthorizationViolation};
    matches!(kind, Authentication | AuthorizationViolation)
}

/// Whether what was said to each other was not understood or believed: that does not mend itself.
fn is_of_tls(error: &ConnectError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == ErrorKind::InvalidData) {
            return true;
        }
        cause = error.source();
    }
    error.kind() == ConnectErrorKind::Tls
}

fn addresses(settings: &Settings) -> Result<Vec<ServerAddr>, Error> {
    let parsed = settings.servers.iter().map(|server| {
        let parsed = server.parse::<ServerAddr>();
        parsed.map_err(|error| Error::Shared(format!("`{server}` is no address: {error}")))
    });
    parsed.collect()
}

async fn options(
    settings: &Settings,
    says: &watch::Sender<Option<String>>,
) -> Result<ConnectOptions, Error> {
    let says = says.clone();
    let access = &settings.access;
    let mut options = match (&access.credentials, &access.user) {
        (Some(file), _) => {
            let read = ConnectOptions::with_credentials_file(file).await;
            read.map_err(|error| {
                let file = file.display();
                Error::Shared(format!("`nats.credentials`: {file}: {error}"))
            })?
        }
        (None, Some((user, password))) => {
            ConnectOptions::with_user_and_password(user.clone(), password.clone())
        }
        (None, None) => ConnectOptions::new(),
    };
    if let Some(ca) = &access.ca {
        options = options.add_root_certificates(ca.clone());
    }
    if let Some((certificate, key)) = &access.certificate {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    let secret = access.ca.is_some() || settings.servers.iter().any(|it| it.starts_with("tls:"));
    Ok(options
        .name("doppel")
        .require_tls(secret)
        .connection_timeout(ANSWER)
        .request_timeout(Some(ANSWER))
        .ping_interval(ANSWER)
        .max_reconnects(None)
        .reconnect_delay_callback(|tries| {
            AGAIN * u32::try_from(tries).map_or(10, |n| n.clamp(1, 10))
        })
        .event_callback(move |event| {
            let says = says.clone();
            async move {
                if let Event::ServerError(error) = &event {
                    says.send_replace(Some(error.to_string()));
                }
                tell(&event);
            }
        }))
}

/// The same of which nothing has come, with what the servers have said meanwhile.
pub(crate) fn and_said(error: &Error, said: &Said) -> Option<Error> {
    match (error, &*said.borrow()) {
        (Error::Unreachable(why), Some(said)) => Some(Error::Unreachable(format!(
            "{why}; the servers have said: {said}"
        ))),
        _ => None,
    }
}

fn tell(event: &Event) {
    match event {
        Event::Connected => tracing::info!("connected to the servers of the log"),
        Event::Disconnected => tracing::warn!("disconnected from the servers of the log"),
        Event::SlowConsumer(_) | Event::ServerError(_) => {
            tracing::warn!(%event, "the connection to the servers of the log");
        }
        // Each try to connect again is one.
        other => tracing::debug!(event = %other, "the connection to the servers of the log"),
    }
}
