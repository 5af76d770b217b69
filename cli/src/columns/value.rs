//! What a cell of a Parquet file is in a payload. Dates and moments become text as RFC 3339 has them; what JSON
//! has no like of is refused.

use anyhow::{Context, Result, bail, ensure};
use parquet::basic::{LogicalType, TimeUnit};
use parquet::data_type::Decimal;
use parquet::record::Field;
use parquet::schema::types::Type;
use serde_json::Value;
use uuid::Uuid;

use super::time::{clock, day, moment};

/// Digits that a number of 64 bits holds whatever they are.
const DIGITS_OF_A_NUMBER: i32 = 15;

/// A cell of a column; the column says of some what they mean.
pub(super) fn value(field: Field, of: Option<&Type>) -> Result<Value> {
    Ok(match field {
        Field::Null => Value::Null,
        Field::Bool(it) => it.into(),
        Field::Byte(it) => it.into(),
        Field::Short(it) => it.into(),
        Field::Int(it) => it.into(),
        Field::Long(it) => match of.and_then(logical) {
            Some(LogicalType::Timestamp(of)) if of.unit == TimeUnit::NANOS => moment(it, 9)?.into(),
            Some(LogicalType::Time(of)) if of.unit == TimeUnit::NANOS => clock(it, 9)?.into(),
            _ => it.into(),
        },
        Field::UByte(it) => it.into(),
        Field::UShort(it) => it.into(),
        Field::UInt(it) => it.into(),
        Field::ULong(it) => it.into(),
        Field::Float16(it) => it.to_f32().into(),
        Field::Float(it) => it.into(),
        Field::Double(it) => it.into(),
        Field::Decimal(it) => decimal(&it)?,
        Field::Str(it) => it.into(),
        Field::Bytes(it) => match of.and_then(logical) {
            Some(LogicalType::Uuid) => Uuid::from_slice(it.data())?.to_string().into(),
            _ => it.as_utf8().context("its bytes are no text")?.into(),
        },
        Field::Date(it) => day(it.into())?.into(),
        Field::TimeMillis(it) => clock(it.into(), 3)?.into(),
        Field::TimeMicros(it) => clock(it, 6)?.into(),
        Field::TimestampMillis(it) => moment(it, 3)?.into(),
        Field::TimestampMicros(it) => moment(it, 6)?.into(),
        Field::Group(row) => {
            let keys = row.into_columns().into_iter().map(|(key, field)| {
                let of = of.and_then(|of| below(of).find(|it| it.name() == key));
                Ok((key, value(field, of)?))
            });
            Value::Object(keys.collect::<Result<_>>()?)
        }
        Field::ListInternal(list) => {
            let of = of.and_then(element);
            let elements = list.elements().iter().cloned();
            let elements = elements.map(|it| value(it, of));
            Value::Array(elements.collect::<Result<_>>()?)
        }
        Field::MapInternal(_) => bail!("it is a map, which payloads do not have"),
    })
}

fn logical(of: &Type) -> Option<&LogicalType> {
    of.get_basic_info().logical_type_ref()
}

fn below(of: &Type) -> impl Iterator<Item = &Type> {
    let fields = match of.is_group() {
        true => of.get_fields(),
        false => &[],
    };
    fields.iter().map(AsRef::as_ref)
}

/// What a list is of: it is within a repeated group of nothing else, or is what is repeated.
fn element(list: &Type) -> Option<&Type> {
    let Some(repeated) = below(list).next() else {
        return Some(list);
    };
    let mut within = below(repeated);
    match (within.next(), within.next()) {
        (Some(only), None) => Some(only),
        _ => Some(repeated),
    }
}

/// A number where that holds each digit that the column may have, else a text.
fn decimal(decimal: &Decimal) -> Result<Value> {
    let text = digits(decimal.data(), decimal.scale())?;
    if decimal.precision() > DIGITS_OF_A_NUMBER {
        return Ok(text.into());
    }
    Ok(match decimal.scale() {
        0 => text.parse::<i64>()?.into(),
        _ => text.parse::<f64>()?.into(),
    })
}

/// A whole number of two's complement, the highest byte first, with so many of its digits behind the point.
fn digits(bytes: &[u8], scale: i32) -> Result<String> {
    let (scale, is_negative) = (usize::try_from(scale)?, bytes.first() >= Some(&0x80));
    let filler = if is_negative { 0xff } else { 0 };
    let spare = bytes.len().saturating_sub(16);
    ensure!(
        bytes.iter().take(spare).all(|byte| *byte == filler),
        "a number of more than 38 digits"
    );
    let mut whole = [filler; 16];
    let places = whole.iter_mut().rev();
    places
        .zip(bytes.iter().rev())
        .for_each(|(place, byte)| *place = *byte);
    let whole = i128::from_be_bytes(whole);
    ensure!(
        (whole < 0) == is_negative,
        "a number of more than 38 digits"
    );
    let sign = if is_negative { "-" } else { "" };
    let digits = format!("{:0width$}", whole.unsigned_abs(), width = scale + 1);
    let (before, behind) = digits.split_at(digits.len() - scale);
    Ok(match behind {
        "" => format!("{sign}{before}"),
        behind => format!("{sign}{before}.{behind}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_numbers_up_to_fifteen_digits_and_texts_above() {
        let of = |value: i64, precision: i32, scale: i32| {
            decimal(&Decimal::from_i64(value, precision, scale)).unwrap()
        };
        assert_eq!(of(1_250, 9, 2), Value::from(12.5));
        assert_eq!(of(-5, 3, 3), Value::from(-0.005));
        assert_eq!(of(-42, 15, 0), Value::from(-42));
        assert_eq!(of(-1_250, 18, 2), Value::from("-12.50"));
        let wide = |bytes: &[u8]| decimal(&Decimal::from_bytes(bytes.to_vec().into(), 38, 1));
        assert_eq!(wide(&[]).unwrap(), Value::from("0.0"));
        assert_eq!(wide(&[0xff; 17]).unwrap(), Value::from("-0.1"));
        let most = [&[0x7f][..], &[0xff; 15]].concat();
        assert_eq!(
            wide(&most).unwrap(),
            Value::from("17014118346046923173168730371588410572.7")
        );
        for bytes in [
            [1; 17],
            [[0; 1].as_slice(), &[0xff; 16]]
                .concat()
                .try_into()
                .unwrap(),
        ] {
            assert!(wide(&bytes).is_err());
        }
    }
}
