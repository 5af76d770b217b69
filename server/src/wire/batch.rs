//! Several writes in one request, each an object with the operation as its only key.

use engine::{Chosen, Point, PointId, Vectors};
use schemars::JsonSchema;
use serde::Deserialize;

use super::choose::ChosenBody;
use super::list;
use super::payload::{self, Change, DeletePayload, SetPayload};
use super::point::{DeleteVectors, UpdateMode, UpdateVectors, Upsert};
use crate::limits::BATCH_OPERATIONS;
use crate::refusal::Refusal;

/// The body of `POST /collections/{c}/points/batch`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Writes")]
pub(crate) struct BatchBody {
    #[serde(deserialize_with = "list::numbered")]
    #[schemars(length(max = BATCH_OPERATIONS))]
    operations: Vec<WireOperation>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Write")]
#[serde(rename_all = "snake_case")]
enum WireOperation {
    Upsert(Upsert),
    Delete(ChosenBody),
    SetPayload(SetPayload),
    OverwritePayload(SetPayload),
    DeletePayload(DeletePayload),
    ClearPayload(ChosenBody),
    UpdateVectors(UpdateVectors),
    DeleteVectors(DeleteVectors),
}

/// A write, ready for the engine.
#[derive(Debug)]
pub(crate) enum Operation {
    Upsert(Vec<Point>, UpdateMode),
    Delete(Chosen),
    /// A change of payloads and what it is called.
    Payload(Change, &'static str),
    UpdateVectors(Vec<(PointId, Vectors)>),
    DeleteVectors(Chosen, Vec<String>),
}

impl TryFrom<BatchBody> for Vec<Operation> {
    type Error = Refusal;

    fn try_from(body: BatchBody) -> Result<Self, Refusal> {
        if body.operations.len() > BATCH_OPERATIONS {
            return Err(Refusal::too_large(format!(
                "at most {BATCH_OPERATIONS} operations a request"
            )));
        }
        let operations = body.operations.into_iter().enumerate();
        operations
            .map(|(n, operation)| {
                Operation::try_from(operation).map_err(|refusal| refusal.at(&operation_at(n)))
            })
            .collect()
    }
}

/// How an operation is called in messages.
pub(crate) fn operation_at(n: usize) -> String {
    format!("operation {n}")
}

impl TryFrom<WireOperation> for Operation {
    type Error = Refusal;

    fn try_from(wire: WireOperation) -> Result<Self, Refusal> {
        Ok(match wire {
            WireOperation::Upsert(body) => {
                let mode = body.mode();
                Self::Upsert(body.try_into()?, mode)
            }
            WireOperation::Delete(body) => Self::Delete(body.try_into()?),
            WireOperation::SetPayload(body) => Self::Payload(body.set()?, "set_payload"),
            WireOperation::OverwritePayload(body) => {
                Self::Payload(body.overwrite()?, "overwrite_payload")
            }
            WireOperation::DeletePayload(body) => Self::Payload(body.delete()?, "delete_payload"),
            WireOperation::ClearPayload(body) => {
                Self::Payload(payload::clear(body)?, "clear_payload")
            }
            WireOperation::UpdateVectors(body) => Self::UpdateVectors(body.try_into()?),
            WireOperation::DeleteVectors(body) => {
                let (chosen, names) = body.parts()?;
                Self::DeleteVectors(chosen, names)
            }
        })
    }
}
