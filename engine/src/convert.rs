//! Between the domain's types and those of the log and the tables.

use storage::{
    FaceRecord, FaceRow, NamedVectors, PointRecord, VectorConfig, VectorsConfig, decode_payload,
    encode_payload,
};

use crate::error::Error;
use crate::limits::MAX_PAYLOAD_BYTES;
use crate::payload::{index_config, index_of as index};
use crate::point::{Face, NewFace, Payload, StoredFace};
use crate::settings::{Settings, Vector, default_indexes};
use crate::spec::{EmbedderRef, Metric, Quantization, VectorSpec};

/// A point whose vectors have been prepared, as it goes into the log.
pub(crate) fn point_record(
    id: storage::PointId,
    vectors: NamedVectors,
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
        vectors,
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

/// Settings as the log keeps them.
pub(crate) fn config(name: &str, settings: &Settings) -> Result<storage::CollectionConfig, Error> {
    let list = settings.vectors.iter().map(vector_config);
    let metadata = match settings.metadata.is_empty() {
        true => Vec::new(),
        false => encode_payload(&settings.metadata)?,
    };
    Ok(storage::CollectionConfig {
        name: name.to_owned(),
        vectors: VectorsConfig {
            list: list.collect::<Result<_, _>>()?,
            next: settings.next,
        },
        metadata,
        indexes: Some(settings.indexes.iter().map(index_config).collect()),
    })
}

fn vector_config(vector: &Vector) -> Result<VectorConfig, Error> {
    let number = |n: usize| {
        u32::try_from(n).map_err(|_| Error::BadRequest(format!("{n} is too large a setting")))
    };
    let spec = &vector.spec;
    let embedder = spec.embedder.as_ref();
    Ok(VectorConfig {
        id: vector.id,
        name: vector.name.clone(),
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
        embedder: embedder.map(|embedder| storage::EmbedderConfig {
            name: embedder.name.clone(),
            sha256: embedder.sha256.clone(),
        }),
        rebuilds: vector.rebuilds,
        made_of: vector.made_of,
    })
}

/// The reverse of [`config`].
pub(crate) fn settings(config: &storage::CollectionConfig) -> Result<Settings, Error> {
    let vectors = vectors(&config.vectors);
    let indexes = match &config.indexes {
        Some(indexes) => indexes.iter().map(index).collect::<Result<_, _>>()?,
        None => default_indexes(vectors.iter().map(|vector| &vector.spec)),
    };
    Ok(Settings {
        vectors,
        indexes,
        next: config.vectors.next,
        metadata: metadata(&config.metadata)?,
    })
}

pub(crate) fn metadata(bytes: &[u8]) -> Result<Payload, Error> {
    match bytes {
        [] => Ok(Payload::new()),
        bytes => payload(bytes),
    }
}

pub(crate) fn vectors(config: &VectorsConfig) -> Vec<Vector> {
    let vector = |config: &VectorConfig| Vector {
        id: config.id,
        name: config.name.clone(),
        spec: vector_spec(config),
        rebuilds: config.rebuilds,
        made_of: config.made_of,
    };
    config.list.iter().map(vector).collect()
}

fn vector_spec(config: &VectorConfig) -> VectorSpec {
    VectorSpec {
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
