//! Between the domain's types and those of the log and the tables.

use storage::{FaceRecord, FaceRow, PointRecord, decode_payload, encode_payload};

use crate::error::Error;
use crate::limits::MAX_PAYLOAD_BYTES;
use crate::point::{Face, NewFace, Payload, StoredFace};
use crate::spec::{CollectionSpec, EmbedderRef, Metric, Quantization};

/// A point whose vector has been prepared, as it goes into the log.
pub(crate) fn point_record(
    id: storage::PointId,
    vector: Vec<f32>,
    payload: &Payload,
    face: Option<NewFace>,
) -> Result<PointRecord, Error> {
    let payload = encode_payload(payload)?;
    if payload.len() > MAX_PAYLOAD_BYTES {
        let (got, limit) = (payload.len(), MAX_PAYLOAD_BYTES);
        return Err(Error::TooLarge(format!(
            "the payload of point {id} has {got} bytes, the limit is {limit}"
        )));
    }
    let face = face.map(|new| FaceRecord {
        bounding_box: new.face.bounding_box,
        landmarks: new.face.landmarks,
        confidence: new.face.confidence,
        crop: new.crop_jpeg,
        photo: new.photo,
    });
    Ok(PointRecord {
        id,
        vector,
        payload,
        face,
    })
}

pub(crate) fn payload(bytes: &[u8]) -> Result<Payload, Error> {
    Ok(decode_payload(bytes)?)
}

pub(crate) fn stored_face(row: FaceRow) -> StoredFace {
    StoredFace {
        face: Face {
            bounding_box: row.bounding_box,
            landmarks: row.landmarks,
            confidence: row.confidence,
        },
        has_crop: row.crop.is_some(),
        has_photo: row.photo.is_some(),
    }
}

pub(crate) fn config(
    name: &str,
    spec: &CollectionSpec,
) -> Result<storage::CollectionConfig, Error> {
    let number = |n: usize| {
        u32::try_from(n).map_err(|_| Error::BadRequest(format!("{n} is too large a setting")))
    };
    Ok(storage::CollectionConfig {
        name: name.to_owned(),
        dim: number(spec.dim)?,
        metric: match spec.metric {
            Metric::Cosine => storage::Metric::Cosine,
            Metric::Dot => storage::Metric::Dot,
            Metric::Euclid => storage::Metric::Euclid,
            Metric::Manhattan => storage::Metric::Manhattan,
        },
        quantization: match spec.quantization {
            Quantization::None => storage::Quantization::None,
            Quantization::Int8 => storage::Quantization::Int8,
            Quantization::Bits1 => storage::Quantization::Bits1,
            Quantization::Bits2 => storage::Quantization::Bits2,
            Quantization::Bits4 => storage::Quantization::Bits4,
        },
        m: number(spec.m)?,
        ef_construct: number(spec.ef_construct)?,
        on_disk: spec.on_disk,
        embedder: spec
            .embedder
            .as_ref()
            .map(|embedder| storage::EmbedderConfig {
                name: embedder.name.clone(),
                sha256: embedder.sha256.clone(),
            }),
    })
}

pub(crate) fn spec(config: &storage::CollectionConfig) -> CollectionSpec {
    CollectionSpec {
        dim: config.dim as usize,
        metric: match config.metric {
            storage::Metric::Cosine => Metric::Cosine,
            storage::Metric::Dot => Metric::Dot,
            storage::Metric::Euclid => Metric::Euclid,
            storage::Metric::Manhattan => Metric::Manhattan,
        },
        quantization: match config.quantization {
            storage::Quantization::None => Quantization::None,
            storage::Quantization::Int8 => Quantization::Int8,
            storage::Quantization::Bits1 => Quantization::Bits1,
            storage::Quantization::Bits2 => Quantization::Bits2,
            storage::Quantization::Bits4 => Quantization::Bits4,
        },
        m: config.m as usize,
        ef_construct: config.ef_construct as usize,
        on_disk: config.on_disk,
        embedder: config.embedder.as_ref().map(|embedder| EmbedderRef {
            name: embedder.name.clone(),
            sha256: embedder.sha256.clone(),
        }),
    }
}
