//! The part of a URL behind the question mark.

use engine::Ack;
use schemars::JsonSchema;
use serde::Deserialize;

/// Parameters of a write.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WriteParams {
    wait: Option<bool>,
    /// One node applies every write in the order of the log: each of the dialect's orderings holds.
    #[serde(rename = "ordering")]
    _ordering: Option<Ordering>,
    #[serde(rename = "timeout")]
    _timeout: Option<u64>,
}

/// Orderings of writes that the dialect knows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Ordering {
    Weak,
    Medium,
    Strong,
}

impl WriteParams {
    /// A write is answered when searches see it, unless the client says `wait=false`.
    pub(crate) fn ack(&self) -> Ack {
        match self.wait {
            Some(false) => Ack::Durable,
            _ => Ack::Applied,
        }
    }
}

/// Parameters of a read. One node satisfies every consistency; its own limits bound the time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadParams {
    #[serde(rename = "consistency")]
    _consistency: Option<String>,
    #[serde(rename = "timeout")]
    _timeout: Option<u64>,
}

/// Parameters of the telemetry; there is one level of detail, without names.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TelemetryParams {
    #[serde(rename = "anonymize")]
    _anonymize: Option<bool>,
    #[serde(rename = "details_level")]
    _details_level: Option<u64>,
    #[serde(rename = "timeout")]
    _timeout: Option<u64>,
}

/// Parameters of a face's image.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImageParams {
    #[serde(default)]
    pub(crate) kind: ImageKind,
}

/// Which image of a face.
#[derive(Debug, Default, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ImageKind {
    /// The cut-out face.
    #[default]
    Crop,
    /// The photo it was found in.
    Photo,
}
