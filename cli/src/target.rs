//! What a command works on: a server that runs, how to reach it and what it wants to see; or a data
//! folder, by a server that is there for the command alone.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use config::Flag;

use crate::client::Client;

const DEFAULT_URL: &str = "http://127.0.0.1:6333";

/// Where the server is, and what it wants to see.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerArgs {
    /// Where the server answers [env: DOPPEL_URL] [default: http://127.0.0.1:6333]
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The server's API key
    #[arg(
        long,
        value_name = "KEY",
        env = "DOPPEL_API_KEY",
        hide_env_values = true
    )]
    pub(crate) api_key: Option<String>,
    /// Authorities in PEM to trust, instead of the well-known ones, where the URL is https
    #[arg(long, value_name = "FILE", env = "DOPPEL_CA")]
    ca: Option<PathBuf>,
    /// A certificate in PEM to show to a server that asks for one (`tls.client_ca`)
    #[arg(
        long,
        value_name = "FILE",
        env = "DOPPEL_CLIENT_CERT",
        requires = "client_key"
    )]
    client_cert: Option<PathBuf>,
    /// The certificate's private key in PEM
    #[arg(
        long,
        value_name = "FILE",
        env = "DOPPEL_CLIENT_KEY",
        requires = "client_cert"
    )]
    client_key: Option<PathBuf>,
}

impl ServerArgs {
    /// The way to it.
    pub(crate) fn client(&self) -> Result<Client> {
        let named = self.url.clone();
        let url = named.or_else(|| std::env::var("DOPPEL_URL").ok());
        let url = url.as_deref().unwrap_or(DEFAULT_URL);
        let certificate = self.client_cert.as_deref().zip(self.client_key.as_deref());
        let tls = server::tls_of_client(self.ca.as_deref(), certificate)?;
        Ok(Client::new(url, self.api_key.as_deref(), tls)?)
    }
}

/// A server that runs, or a data folder that none is using.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerOrFolderArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Use this data folder itself, which no server may be using
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    pub(crate) data_dir: Option<String>,
}

impl ServerOrFolderArgs {
    /// The flags of a server that is for this command alone, as settings.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let texts = [
            ("--data-dir", "data_dir", self.data_dir.as_ref()),
            ("--api-key", "api_key", self.server.api_key.as_ref()),
        ];
        let texts = texts.into_iter();
        let texts = texts.filter_map(|(flag, key, text)| Some(Flag::new(flag, key, text?)));
        let own_port = Flag::new("--data-dir", "listen", "127.0.0.1:0");
        let no_models = Flag::new("--data-dir", "models.install_on_start", "false");
        texts.chain([own_port, no_models]).collect()
    }
}
