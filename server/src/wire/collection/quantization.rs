//! `quantization_config`: what an index walks on. Scores are exact either way.

use engine::Quantization;
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::super::{exact, schema};
use super::vector::Memory;
use crate::refusal::Refusal;

/// The setting; `Disabled` walks on the `f32` vectors themselves.
#[derive(Debug, Clone, JsonSchema)]
#[serde(untagged)]
pub(super) enum QuantizationConfig {
    Disabled(DisabledWord),
    Scalar(#[expect(dead_code, reason = "being readable is all it says")] ScalarConfig),
    Binary(BinaryConfig),
    Packed(PackedConfig),
}

impl<'de> Deserialize<'de> for QuantizationConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = exact::value(deserializer)?;
        let kind = match &value {
            Value::String(word) => word.as_str(),
            Value::Object(map) => map.keys().next().map_or("nothing", String::as_str),
            _ => "no object",
        };
        let read = match kind {
            "Disabled" => DisabledWord::deserialize(&value).map(Self::Disabled),
            "scalar" => ScalarConfig::deserialize(&value).map(Self::Scalar),
            "binary" => BinaryConfig::deserialize(&value).map(Self::Binary),
            "packed" => PackedConfig::deserialize(&value).map(Self::Packed),
            _ => {
                return Err(D::Error::custom(format!(
                    "`quantization_config`: `{kind}` is not supported; there are {{\"scalar\": \
                     {{\"type\": \"int8\"}}}}, {{\"binary\": {{\"encoding\": \"one_bit\" or \
                     \"two_bits\"}}}}, {{\"packed\": {{\"bits\": 1, 2 or 4}}}} and \"Disabled\""
                )));
            }
        };
        read.map_err(|error| D::Error::custom(format!("`quantization_config.{kind}`: {error}")))
    }
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BinaryConfig {
    binary: Binary,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Binary {
    encoding: Option<Encoding>,
    #[serde(rename = "query_encoding")]
    #[schemars(transform = schema::no_effect)]
    _query_encoding: Option<String>,
    #[serde(rename = "always_ram")]
    #[schemars(transform = schema::no_effect)]
    _always_ram: Option<bool>,
    #[serde(rename = "memory")]
    #[schemars(transform = schema::no_effect)]
    _memory: Option<Memory>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    OneBit,
    TwoBits,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PackedConfig {
    packed: Packed,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Packed {
    #[schemars(extend("enum" = [1, 2, 4]))]
    bits: u8,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(super) enum DisabledWord {
    Disabled,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ScalarConfig {
    #[serde(rename = "scalar")]
    _scalar: Scalar,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Scalar {
    #[serde(rename = "type")]
    _kind: ScalarKind,
    #[serde(rename = "quantile")]
    #[schemars(transform = schema::no_effect)]
    _quantile: Option<f32>,
    #[serde(rename = "always_ram")]
    #[schemars(transform = schema::no_effect)]
    _always_ram: Option<bool>,
    #[serde(rename = "memory")]
    #[schemars(transform = schema::no_effect)]
    _memory: Option<Memory>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ScalarKind {
    Int8,
}

impl TryFrom<QuantizationConfig> for Quantization {
    type Error = Refusal;

    fn try_from(config: QuantizationConfig) -> Result<Self, Refusal> {
        match config {
            QuantizationConfig::Disabled(DisabledWord::Disabled) => Ok(Quantization::None),
            QuantizationConfig::Scalar(_) => Ok(Quantization::Int8),
            QuantizationConfig::Binary(BinaryConfig { binary }) => Ok(match binary.encoding {
                None | Some(Encoding::OneBit) => Quantization::Bits1,
                Some(Encoding::TwoBits) => Quantization::Bits2,
            }),
            QuantizationConfig::Packed(PackedConfig { packed }) => match packed.bits {
                1 => Ok(Quantization::Bits1),
                2 => Ok(Quantization::Bits2),
                4 => Ok(Quantization::Bits4),
                bits => Err(Refusal::wrong(format!(
                    "`quantization_config.packed.bits` can be 1, 2 or 4, not {bits}"
                ))),
            },
        }
    }
}

/// As it is told.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum QuantizationTold {
    Scalar(ScalarTold),
    Binary(BinaryTold),
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ScalarTold {
    #[serde(rename = "type")]
    kind: ScalarKind,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct BinaryTold {
    encoding: Encoding,
}

/// In the dialect's words; nothing where it has none.
pub(super) fn told(quantization: Quantization) -> Option<QuantizationTold> {
    let binary = |encoding| Some(QuantizationTold::Binary(BinaryTold { encoding }));
    match quantization {
        Quantization::None | Quantization::Bits4 => None,
        Quantization::Int8 => Some(QuantizationTold::Scalar(ScalarTold {
            kind: ScalarKind::Int8,
        })),
        Quantization::Bits1 => binary(Encoding::OneBit),
        Quantization::Bits2 => binary(Encoding::TwoBits),
    }
}

/// What an index is walked on, in words of ours: the dialect has none for `f32` or four bits.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum WalkedOn {
    F32,
    Int8,
    OneBit,
    TwoBits,
    FourBits,
}

impl From<Quantization> for WalkedOn {
    fn from(quantization: Quantization) -> Self {
        match quantization {
            Quantization::None => Self::F32,
            Quantization::Int8 => Self::Int8,
            Quantization::Bits1 => Self::OneBit,
            Quantization::Bits2 => Self::TwoBits,
            Quantization::Bits4 => Self::FourBits,
        }
    }
}
