//! Tests: what columns of each kind become, in files as other programs write them.

use std::fs::File;
use std::io::{Seek, Write};
use std::sync::Arc;

use parquet::column::writer::ColumnWriter;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::SchemaDescriptor;
use serde_json::{Value, json};

use super::Rows;

/// What the only row has in a column; of a list all of them.
enum Cells {
    Ints(&'static [i32]),
    Longs(&'static [i64]),
    Floats(&'static [f32]),
    Bytes(&'static [u8]),
    Fixed(&'static [u8]),
}

/// A file of one row, which lacks nothing.
fn file_with(columns: &str, cells: &[Cells]) -> File {
    let list = "required group vector (LIST) { repeated group list { required float element; } }";
    let schema = parse_message_type(&format!("message rows {{ {list} {columns} }}")).unwrap();
    let schema = Arc::new(schema);
    let levels = SchemaDescriptor::new(Arc::clone(&schema));
    let mut file = tempfile::tempfile().unwrap();
    let out = file.try_clone().unwrap();
    let mut writer = SerializedFileWriter::new(out, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let vector = [Cells::Floats(&[1.0, 2.0])];
    for (at, cells) in vector.iter().chain(cells).enumerate() {
        let of = levels.column(at);
        let count = match cells {
            Cells::Ints(all) => all.len(),
            Cells::Longs(all) => all.len(),
            Cells::Floats(all) => all.len(),
            Cells::Bytes(_) | Cells::Fixed(_) => 1,
        };
        let defined = vec![of.max_def_level(); count];
        let mut repeated = vec![of.max_rep_level(); count];
        repeated[0] = 0;
        let (defined, repeated) = (Some(&*defined), Some(&*repeated));
        let mut column = group.next_column().unwrap().unwrap();
        let wrote = match (column.untyped(), cells) {
            (ColumnWriter::Int32ColumnWriter(to), Cells::Ints(all)) => {
                to.write_batch(all, defined, repeated)
            }
            (ColumnWriter::Int64ColumnWriter(to), Cells::Longs(all)) => {
                to.write_batch(all, defined, repeated)
            }
            (ColumnWriter::FloatColumnWriter(to), Cells::Floats(all)) => {
                to.write_batch(all, defined, repeated)
            }
            (ColumnWriter::ByteArrayColumnWriter(to), Cells::Bytes(one)) => {
                to.write_batch(&[one.to_vec().into()], defined, repeated)
            }
            (ColumnWriter::FixedLenByteArrayColumnWriter(to), Cells::Fixed(one)) => {
                to.write_batch(&[one.to_vec().into()], defined, repeated)
            }
            _ => panic!("column {at} has cells of another kind"),
        };
        assert_eq!(wrote.unwrap(), count);
        column.close().unwrap();
    }
    assert!(group.next_column().unwrap().is_none());
    group.close().unwrap();
    writer.close().unwrap();
    file.flush().unwrap();
    file.rewind().unwrap();
    file
}

fn payload(columns: &str, cells: &[Cells], without: &[&str]) -> anyhow::Result<Value> {
    let without: Vec<_> = without.iter().map(|name| (*name).to_owned()).collect();
    let mut rows = Rows::open(file_with(columns, cells), &without)?;
    let row = rows.next().unwrap()?;
    assert_eq!(row.vector, json!([1.0, 2.0]));
    Ok(Value::Object(row.payload))
}

#[test]
fn dates_and_moments_become_text_that_indexes_of_dates_take() {
    const MORNING_S: i64 = 1_714_557_600;
    let columns = "required int32 day (DATE);
        required int64 ms (TIMESTAMP(MILLIS,true));
        required int64 us (TIMESTAMP(MICROS,true));
        required int64 ns (TIMESTAMP(NANOS,true));
        required int64 local (TIMESTAMP(MICROS,false));
        required int64 local_ns (TIMESTAMP(NANOS,false));
        required int32 clock (TIME(MILLIS,true));
        required int64 clock_ns (TIME(NANOS,false));
        required int64 number;";
    let cells = [
        Cells::Ints(&[19_844]),
        Cells::Longs(&[MORNING_S * 1_000]),
        Cells::Longs(&[MORNING_S * 1_000_000 + 250_000]),
        Cells::Longs(&[MORNING_S * 1_000_000_000 + 1]),
        Cells::Longs(&[-1_000_000]),
        Cells::Longs(&[0]),
        Cells::Ints(&[36_000_000]),
        Cells::Longs(&[1]),
        Cells::Longs(&[5]),
    ];
    let due = json!({
        "day": "2024-05-01",
        "ms": "2024-05-01T10:00:00Z",
        "us": "2024-05-01T10:00:00.25Z",
        "ns": "2024-05-01T10:00:00.000000001Z",
        "local": "1969-12-31T23:59:59Z",
        "local_ns": "1970-01-01T00:00:00Z",
        "clock": "10:00:00",
        "clock_ns": "00:00:00.000000001",
        "number": 5,
    });
    assert_eq!(payload(columns, &cells, &[]).unwrap(), due);
}

#[test]
fn dates_in_lists_and_groups_are_dates_too() {
    let columns =
        "required group days (LIST) { repeated group list { required int32 element (DATE); } }
        repeated int64 at (TIMESTAMP(NANOS,true));
        required group about { required int64 at (TIMESTAMP(NANOS,true)); }";
    let cells = [
        Cells::Ints(&[0, 1]),
        Cells::Longs(&[0, 1_000_000_000]),
        Cells::Longs(&[500_000_000]),
    ];
    let due = json!({
        "days": ["1970-01-01", "1970-01-02"],
        "at": ["1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z"],
        "about": {"at": "1970-01-01T00:00:00.5Z"},
    });
    assert_eq!(payload(columns, &cells, &[]).unwrap(), due);
}

#[test]
fn decimals_and_uuids_are_read() {
    let columns = "required int32 price (DECIMAL(9,2));
        required fixed_len_byte_array(16) sum (DECIMAL(38,2));
        required fixed_len_byte_array(16) key (UUID);";
    let cells = [
        Cells::Ints(&[1_999]),
        Cells::Fixed(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]),
        Cells::Fixed(b"0123456789abcdef"),
    ];
    let due = json!({"price": 19.99, "sum": "2.56", "key": "30313233-3435-3637-3839-616263646566"});
    assert_eq!(payload(columns, &cells, &[]).unwrap(), due);
}

#[test]
fn what_payloads_have_no_like_of_is_refused_by_its_column_which_can_be_left_out() {
    let year = "required int32 x (DATE); required int32 y;";
    let map = "required group x (MAP) { repeated group key_value { required binary key (UTF8); required int32 value; } }
        required int32 y;";
    let interval = "required fixed_len_byte_array(12) x (INTERVAL); required int32 y;";
    let bytes = "required binary x; required int32 y;";
    let y = Cells::Ints(&[1]);
    for (columns, cells, words) in [
        (year, vec![Cells::Ints(&[i32::MAX]), y], "of the year"),
        (
            map,
            vec![Cells::Bytes(b"a"), Cells::Ints(&[2]), Cells::Ints(&[1])],
            "a map",
        ),
        (
            interval,
            vec![Cells::Fixed(&[0; 12]), Cells::Ints(&[1])],
            "intervals",
        ),
        (
            bytes,
            vec![Cells::Bytes(&[0xff]), Cells::Ints(&[1])],
            "no text",
        ),
    ] {
        let told = format!("{:#}", payload(columns, &cells, &[]).unwrap_err());
        assert!(told.contains("`x`") && told.contains(words), "{told}");
        let kept = payload(columns, &cells, &["x"]).unwrap();
        assert_eq!(kept, json!({"y": 1}));
        let told = payload(columns, &cells, &["x", "z"]).unwrap_err();
        assert!(told.to_string().contains("no column `z`"), "{told}");
    }
    let cells = [Cells::Ints(&[1])];
    let told = payload("required int32 y;", &cells, &["vector"]).unwrap_err();
    assert!(told.to_string().contains("`vector`"), "{told}");
}
