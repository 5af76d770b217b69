//! Records come back as they were, and no bytes make the decoders panic.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;
use storage::{
    CollectionConfig, CollectionId, EmbedderConfig, FaceRecord, IndexConfig, Metric, NamedVectors,
    PayloadChange, PointId, PointRecord, Quantization, Record, TextConfig, VectorConfig, VectorId,
    VectorsConfig, decode_payload, encode_payload, read_rows,
};

fn id() -> impl Strategy<Value = PointId> {
    prop_oneof![
        any::<u64>().prop_map(PointId::Num),
        any::<u128>().prop_map(PointId::Uuid)
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..40)
}

prop_compose! {
    fn face()(
        bounding_box in prop::array::uniform4(-1e4f32..1e4),
        confidence in 0f32..1.0,
        crop in prop::option::of(bytes()),
        photo in prop::option::of(bytes()),
    ) -> FaceRecord {
        FaceRecord { bounding_box, landmarks: [[confidence; 2]; 5], confidence, crop, photo }
    }
}

fn vectors() -> impl Strategy<Value = NamedVectors> {
    let vector = prop::collection::vec(-1e9f32..1e9, 0..9);
    prop::collection::vec((any::<u32>().prop_map(VectorId), vector), 0..4)
}

prop_compose! {
    fn point()(
        id in id(),
        vectors in vectors(),
        payload in bytes(),
        face in prop::option::of(face()),
    ) -> PointRecord {
        PointRecord { id, vectors, payload, face }
    }
}

prop_compose! {
    fn vector_config()(
        (id, dim, m, ef_construct) in any::<(u32, u32, u32, u32)>(),
        name in "\\PC{0,20}",
        metric in 0u8..4,
        quantization in 0u8..5,
        on_disk in any::<bool>(),
        embedder in prop::option::of(("\\PC{0,9}", "[0-9a-f]{64}")),
        (rebuilds, made_of) in any::<(Option<u32>, Option<u32>)>(),
    ) -> VectorConfig {
        VectorConfig {
            id: VectorId(id), name, dim, m, ef_construct, on_disk,
            metric: Metric::try_from(metric).unwrap(),
            quantization: Quantization::try_from(quantization).unwrap(),
            embedder: embedder.map(|(name, sha256)| EmbedderConfig { name, sha256 }),
            rebuilds: rebuilds.map(VectorId),
            made_of: made_of.map(VectorId),
        }
    }
}

fn vectors_config() -> impl Strategy<Value = VectorsConfig> {
    (prop::collection::vec(vector_config(), 0..4), 1u32..)
        .prop_map(|(list, next)| VectorsConfig { list, next })
}

fn config() -> impl Strategy<Value = CollectionConfig> {
    let indexes = prop::option::of(prop::collection::vec(index(), 0..4));
    ("\\PC{0,20}", vectors_config(), bytes(), indexes).prop_map(
        |(name, vectors, metadata, indexes)| CollectionConfig {
            name,
            vectors,
            metadata,
            indexes,
        },
    )
}

prop_compose! {
    fn text_config()(
        tokenizer in any::<u8>(),
        lowercase in any::<bool>(),
        min_len in any::<Option<u32>>(),
        max_len in any::<Option<u32>>(),
    ) -> TextConfig {
        TextConfig { tokenizer, lowercase, min_len, max_len }
    }
}

prop_compose! {
    fn index()(
        key in "\\PC{0,20}",
        kind in any::<u8>(),
        text in prop::option::of(text_config()),
    ) -> IndexConfig {
        IndexConfig { key, kind, text }
    }
}

fn change() -> impl Strategy<Value = PayloadChange> {
    let put = || (bytes(), prop::option::of("\\PC{0,9}"));
    prop_oneof![
        put().prop_map(|(payload, key)| PayloadChange::Set { payload, key }),
        put().prop_map(|(payload, key)| PayloadChange::Overwrite { payload, key }),
        prop::collection::vec("\\PC{0,9}", 0..4).prop_map(|keys| PayloadChange::Delete { keys }),
        Just(PayloadChange::Clear),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    let collection = any::<u64>().prop_map(CollectionId);
    prop_oneof![
        (collection.clone(), config())
            .prop_map(|(id, config)| Record::CreateCollection { id, config }),
        collection
            .clone()
            .prop_map(|id| Record::DropCollection { id }),
        (collection.clone(), prop::collection::vec(point(), 0..5))
            .prop_map(|(collection, points)| Record::Upsert { collection, points }),
        (collection.clone(), prop::collection::vec(id(), 0..9))
            .prop_map(|(collection, ids)| Record::Delete { collection, ids }),
        (
            collection.clone(),
            prop::collection::vec(id(), 0..9),
            change()
        )
            .prop_map(|(collection, ids, change)| Record::ChangePayload {
                collection,
                ids,
                change
            }),
        (collection.clone(), index())
            .prop_map(|(collection, index)| Record::PutIndex { collection, index }),
        (collection.clone(), "\\PC{0,20}")
            .prop_map(|(collection, key)| Record::DropIndex { collection, key }),
        (
            collection.clone(),
            prop::collection::vec((id(), vectors()), 0..5)
        )
            .prop_map(|(collection, points)| Record::UpdateVectors { collection, points }),
        (
            collection.clone(),
            prop::collection::vec(id(), 0..9),
            prop::collection::vec(any::<u32>().prop_map(VectorId), 0..4),
        )
            .prop_map(|(collection, ids, vectors)| Record::DeleteVectors {
                collection,
                ids,
                vectors
            }),
        (
            collection.clone(),
            any::<u32>(),
            prop::collection::vec(id(), 0..9)
        )
            .prop_map(|(collection, into, ids)| Record::CopyVectors {
                collection,
                into: VectorId(into),
                ids
            }),
        (collection.clone(), any::<u32>()).prop_map(|(collection, from)| Record::SwapVector {
            collection,
            from: VectorId(from)
        }),
        prop::collection::vec(("\\PC{0,9}", prop::option::of(collection.clone())), 0..5)
            .prop_map(|changes| Record::ChangeAliases { changes }),
        (
            collection,
            prop::option::of(vectors_config()),
            prop::option::of(bytes()),
        )
            .prop_map(|(collection, vectors, metadata)| Record::Configure {
                collection,
                vectors,
                metadata
            }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_record_comes_back_as_it_was(record in record()) {
        let encoded = record.encode().unwrap();
        prop_assert_eq!(Record::decode(&encoded).unwrap(), record);
    }

    #[test]
    fn a_cut_record_is_refused(record in record(), cut in any::<prop::sample::Index>()) {
        let encoded = record.encode().unwrap();
        prop_assert!(Record::decode(&encoded[..cut.index(encoded.len())]).is_err());
    }

    #[test]
    fn damaged_records_never_panic(
        record in record(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut encoded = record.encode().unwrap();
        for (at, byte) in damage {
            let at = at.index(encoded.len());
            encoded[at] = byte;
        }
        let _ = Record::decode(&encoded);
    }

    #[test]
    fn any_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut framed = vec![
            1 + bytes.last().copied().unwrap_or(0) % 2,
            bytes.first().copied().unwrap_or(0) % 16,
        ];
        framed.extend_from_slice(&bytes);
        let _ = Record::decode(&framed);
        let _ = decode_payload::<serde_json::Value>(&bytes);
        let _ = read_rows(bytes.as_slice()).count();
    }
}

#[test]
fn a_payload_comes_back_as_it_was() {
    let payload = serde_json::json!({"a": [1, -2, 2.5, null, true, {"ä": "ö"}], "n": u64::MAX});
    let encoded = encode_payload(&payload).unwrap();
    assert_eq!(
        decode_payload::<serde_json::Value>(&encoded).unwrap(),
        payload
    );
}

#[test]
fn nesting_without_end_is_refused() {
    // A million arrays of one element.
    let deep = vec![0x91; 1_000_000];
    assert!(decode_payload::<serde_json::Value>(&deep).is_err());
}
