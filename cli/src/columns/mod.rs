//! Points in Parquet files (parquet.apache.org): a row for each, with `id`, a list of numbers for
//! each vector (`vector`, or `vector.NAME` where it has a name) and `payload`, as JSON text.
//!
//! What is read may have more: any other column becomes a key of the payload, but for those that are left out. Both go row by row;
//! no more than a group of rows is in memory.

mod read;
mod time;
mod value;
mod write;

pub(crate) use read::{Point, Rows};
pub(crate) use write::Writer;

/// The column of ids.
const ID: &str = "id";
/// The column of the only vector; with a name behind a dot, of one of several.
const VECTOR: &str = "vector";
/// The column of payloads.
const PAYLOAD: &str = "payload";
/// The key of the file's metadata that says which model has made the only vector.
const MODEL: &str = "doppel.model";

#[cfg(test)]
mod kinds;

#[cfg(test)]
mod tests {
    use std::fs::File;

    use parquet::basic::{Compression, GzipLevel};
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("points.parquet");
        let names = ["".to_owned(), "text.en".to_owned()];
        let file = File::create_new(&path).unwrap();
        let mut writer = Writer::new(file, &names, Some("facenet-128")).unwrap();
        let points = [
            json!({"id": 7, "vector": {"": [1.5, -2.0], "text.en": [0.25]}, "payload": {"a": [1, "ü"]}}),
            json!({"id": "0f9a4b1c-2d3e-4f50-8a6b-7c8d9e0f1a2b", "vector": {"": [3.0, 4.0]}, "payload": {}}),
            json!({"id": u64::MAX, "vector": {}, "payload": null}),
        ];
        for point in &points {
            writer
                .put(&serde_json::from_value(point.clone()).unwrap())
                .unwrap();
        }
        writer.finish().unwrap();
        let rows = Rows::open(File::open(&path).unwrap(), &[]).unwrap();
        assert_eq!(rows.model(), Some("facenet-128"));
        let rows: Vec<_> = rows.map(|row| row.unwrap()).collect();
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0].id, json!("7"));
        assert_eq!(rows[0].vector, points[0]["vector"]);
        assert_eq!(json!(rows[0].payload), points[0]["payload"]);
        assert_eq!(
            (&rows[1].id, &rows[1].vector),
            (&points[1]["id"], &points[1]["vector"])
        );
        assert_eq!(
            (&rows[2].id, &rows[2].vector),
            (&json!(u64::MAX.to_string()), &json!({}))
        );
        assert_eq!(json!(rows[2].payload), json!({}));
    }

    #[test]
    fn more_rows_than_a_group_are_written_and_the_only_vector_goes_without_a_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("points.parquet");
        let file = File::create_new(&path).unwrap();
        let mut writer = Writer::new(file, &[String::new()], None).unwrap();
        let count = 2_500_u32;
        for id in 0..count {
            let point = json!({"id": id, "vector": [f64::from(id)], "payload": {"n": id}});
            writer.put(&serde_json::from_value(point).unwrap()).unwrap();
        }
        writer.finish().unwrap();
        let rows = Rows::open(File::open(&path).unwrap(), &[]).unwrap();
        assert_eq!(rows.model(), None);
        let mut seen = 0;
        for (row, id) in rows.zip(0_u32..) {
            let row = row.unwrap();
            assert_eq!(row.id, json!(id.to_string()));
            assert_eq!(row.vector, json!([f64::from(id)]));
            assert_eq!(row.payload["n"], Value::from(id));
            seen += 1;
        }
        assert_eq!(seen, count);
    }

    #[test]
    fn pages_are_unpacked_with_gzip_too_and_with_what_is_not_known_are_refused_by_name() {
        let gzip = Compression::GZIP(GzipLevel::default());
        for packed in [Compression::UNCOMPRESSED, gzip, Compression::SNAPPY] {
            assert!(read::check(packed).is_ok(), "{packed:?}");
        }
        let told = read::check(Compression::LZ4_RAW).unwrap_err().to_string();
        assert!(told.contains("LZ4_RAW") && told.contains("gzip"), "{told}");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("points.parquet");
        let file = File::create_new(&path).unwrap();
        let mut writer = Writer::packed(file, &[String::new()], None, gzip).unwrap();
        let point = json!({"id": 7, "vector": [1.5, -2.0], "payload": {"a": "b"}});
        writer
            .put(&serde_json::from_value(point.clone()).unwrap())
            .unwrap();
        writer.finish().unwrap();
        let mut rows = Rows::open(File::open(&path).unwrap(), &[]).unwrap();
        let row = rows.next().unwrap().unwrap();
        assert_eq!(
            (row.vector, json!(row.payload)),
            (point["vector"].clone(), point["payload"].clone())
        );
    }

    #[test]
    fn what_is_no_parquet_or_has_no_vectors_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.parquet");
        std::fs::write(&path, "PAR1 but no more").unwrap();
        assert!(Rows::open(File::open(&path).unwrap(), &[]).is_err());
        let file = File::create(&path).unwrap();
        Writer::new(file, &[], None).unwrap().finish().unwrap();
        let refused = Rows::open(File::open(&path).unwrap(), &[]).err().unwrap();
        assert!(refused.to_string().contains("`vector`"), "{refused}");
    }
}
