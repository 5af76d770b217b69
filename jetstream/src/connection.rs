//! The connection to the servers, as the settings say.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use storage::Error;
use tokio::time::sleep;

use crate::limits::{AGAIN, ANSWER, OPEN_PATIENCE};
use crate::settings::Settings;

/// Connects to whichever server answers; they need not be there yet.
pub(crate) async fn connect(settings: &Settings) -> Result<Client, Error> {
    connect_within(settings, OPEN_PATIENCE).await
}

/// The same, if one answers within this time.
pub(crate) async fn connect_within(
    settings: &Settings,
    patience: Duration,
) -> Result<Client, Error> {
    let servers = addresses(settings)?;
    let started = Instant::now();
    loop {
        let error = match options(settings).await?.connect(&servers[..]).await {
            Ok(client) => return Ok(client),
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
            Err(error) => error,
        };
        if started.elapsed() > patience {
            let all = settings.servers.join(", ");
            return Err(Error::Unreachable(format!(
                "none of {all} answers: {error}"
            )));
        }
        sleep(AGAIN).await;
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

async fn options(settings: &Settings) -> Result<ConnectOptions, Error> {
    let access = &settings.access;
    let mut options = match (&access.credentials, &access.user) {
        (Some(file), _) => {
            let read = ConnectOptions::with_credentials_file(file).await;
            read.map_err(|error| Error::Shared(format!("{}: {error}", file.display())))?
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
        .event_callback(|event| async move { tell(&event) }))
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
