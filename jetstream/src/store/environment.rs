//! What the environment says of how S3 is reached, and what is to be looked at there where it is not.

use std::fmt::Display;

use object_store::ClientConfigKey;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use ureq::http::Uri;

/// What the environment says of how S3 is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hint {
    Keys,
    NoKeys,
}

impl Display for Hint {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Keys => {
                "look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL in the environment, and \
                 whether those keys may list, read, write and delete there"
            }
            Self::NoKeys => {
                "the environment has no AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, so that this machine's own role is \
                 asked for: set them, or give it a role"
            }
        })
    }
}

/// Whether the environment says who this node is.
pub(super) fn hint(store: &AmazonS3Builder) -> Hint {
    use AmazonS3ConfigKey::{
        AccessKeyId, ContainerCredentialsFullUri, ContainerCredentialsRelativeUri, SecretAccessKey,
        SkipSignature, WebIdentityTokenFile,
    };
    let says = [
        AccessKeyId,
        SecretAccessKey,
        WebIdentityTokenFile,
        ContainerCredentialsRelativeUri,
        ContainerCredentialsFullUri,
    ];
    let is_set = |key: &AmazonS3ConfigKey| store.get_config_value(key).is_some();
    let is_open = store.get_config_value(&SkipSignature);
    match says.iter().any(is_set) || is_open.is_some_and(|it| it == "true") {
        true => Hint::Keys,
        false => Hint::NoKeys,
    }
}

/// Refuses an address of S3 that is none, with which the library would end the thread, and one that it would not ask.
pub(super) fn check_endpoint(store: &AmazonS3Builder) -> Result<(), String> {
    let plain = AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp);
    let plain = store.get_config_value(&plain);
    let plain = plain.is_some_and(|it| it.eq_ignore_ascii_case("true") || it == "1");
    for key in [AmazonS3ConfigKey::Endpoint, AmazonS3ConfigKey::S3Endpoint] {
        let Some(endpoint) = store.get_config_value(&key) else {
            continue;
        };
        let uri = endpoint.parse::<Uri>().ok();
        let uri = uri.filter(|it| it.host().is_some_and(|host| !host.is_empty()));
        match uri.as_ref().and_then(Uri::scheme_str) {
            Some("https") => {}
            Some("http") if plain => {}
            Some("http") => {
                return Err(format!(
                    "AWS_ENDPOINT_URL is {endpoint}, which is plain HTTP: set AWS_ALLOW_HTTP=true to use it"
                ));
            }
            _ => {
                return Err(format!(
                    "AWS_ENDPOINT_URL is {endpoint:?}, but must be an address such as https://10.0.0.1:9000"
                ));
            }
        }
    }
    Ok(())
}
