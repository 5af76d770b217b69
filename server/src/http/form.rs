//! Multipart forms: files in parts of certain names, everything else as short text fields. The whole
//! form is bounded by the limit of a body, its parts by their number, each text field by its own
//! limit.

use std::collections::BTreeMap;
use std::str::FromStr;

use actix_multipart::{Field, Multipart};
use actix_web::error::PayloadError;
use actix_web::http::header::HeaderMap;
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::{StreamExt, stream};

use super::body::body_too_large;
use super::room::Reading;
use crate::limits;
use crate::refusal::Refusal;

/// The names of parts that are files.
pub(super) type Files = &'static [&'static str];

/// A form that has been read.
#[derive(Debug, Default)]
pub(crate) struct Form {
    pub(crate) images: Vec<Upload>,
    pub(crate) fields: Fields,
}

/// A photo, the name of its part, and the file name it came with.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) field: &'static str,
    pub(crate) name: Option<String>,
    pub(crate) bytes: Bytes,
}

/// The text fields of a form, taken one by one; what is left at the end is unknown.
#[derive(Debug, Default)]
pub(crate) struct Fields(BTreeMap<String, String>);

impl Fields {
    /// A field as it came; an empty one is as good as none, as browsers send them.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).filter(|text| !text.is_empty())
    }

    /// A field that must be of a certain kind.
    pub(crate) fn parsed<T: FromStr>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, Refusal> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let parsed = text.trim().parse();
        let parsed = parsed.map_err(|_| {
            let given: String = text.chars().take(80).collect();
            Refusal::wrong(format!("`{name}` is `{given}`, but must be {expected}"))
        })?;
        Ok(Some(parsed))
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, Refusal> {
        self.parsed(name, "true or false")
    }

    /// An unsigned integer.
    pub(crate) fn number(&mut self, name: &str) -> Result<Option<usize>, Refusal> {
        self.parsed(name, "an unsigned integer")
    }

    /// Refuses fields that nobody has asked for, whether they say something or not.
    pub(crate) fn finish(self) -> Result<(), Refusal> {
        match self.0.keys().next().map(String::as_str) {
            None => Ok(()),
            Some("filter") => Err(Refusal::wrong("`filter` is not supported yet")),
            Some(name) => Err(Refusal::wrong(format!("unknown field `{name}`"))),
        }
    }
}

impl Form {
    /// A photo and no field.
    pub(super) fn of_one(image: Upload) -> Self {
        Self {
            images: vec![image],
            fields: Fields::default(),
        }
    }
}

pub(super) async fn read(
    headers: &HeaderMap,
    payload: Payload,
    max_bytes: usize,
    files: Files,
) -> Result<Form, Refusal> {
    read_parts(Multipart::new(headers, payload), max_bytes, files).await
}

/// The same for a form that is in memory.
pub(super) async fn read_bytes(
    headers: &HeaderMap,
    bytes: Bytes,
    max_bytes: usize,
    files: Files,
) -> Result<Form, Refusal> {
    let whole = stream::iter([Ok::<_, PayloadError>(bytes)]);
    read_parts(Multipart::new(headers, whole), max_bytes, files).await
}

async fn read_parts(mut parts: Multipart, max_bytes: usize, files: Files) -> Result<Form, Refusal> {
    let mut form = Form::default();
    let mut reading = Reading::new();
    let mut left = max_bytes;
    let mut count = 0_usize;
    while let Some(part) = parts.next().await {
        let part = part.map_err(|error| broken(&error))?;
        count += 1;
        if count > limits::MULTIPART_PARTS {
            let most = limits::MULTIPART_PARTS;
            return Err(Refusal::too_large(format!(
                "a form has at most {most} parts"
            )));
        }
        left -= take(part, &mut form, (left, max_bytes), files, &mut reading).await?;
    }
    reading.hold();
    Ok(form)
}

/// Puts one part into the form; returns its bytes.
async fn take(
    mut part: Field,
    form: &mut Form,
    (left, max_bytes): (usize, usize),
    files: Files,
    reading: &mut Reading,
) -> Result<usize, Refusal> {
    let name = part.name().unwrap_or_default().to_owned();
    let file = files.iter().find(|file| **file == name);
    let most = if file.is_some() {
        left
    } else {
        left.min(limits::FIELD_BYTES)
    };
    let mut bytes = BytesMut::new();
    while let Some(chunk) = part.next().await {
        let chunk = chunk.map_err(|error| broken(&error))?;
        if bytes.len() + chunk.len() > most {
            return Err(if most == left {
                body_too_large(max_bytes)
            } else {
                Refusal::too_large(format!("field `{name}` is larger than {most} bytes"))
            });
        }
        reading.takes(chunk.len())?;
        bytes.extend_from_slice(&chunk);
    }
    let length = bytes.len();
    if let Some(field) = file {
        let disposition = part.content_disposition();
        let name = disposition
            .and_then(|it| it.get_filename())
            .map(str::to_owned);
        form.images.push(Upload {
            field,
            name,
            bytes: bytes.freeze(),
        });
        return Ok(length);
    }
    let text = String::from_utf8(bytes.to_vec())
        .map_err(|_| Refusal::wrong(format!("field `{name}` is not UTF-8")))?;
    if form.fields.0.insert(name.clone(), text).is_some() {
        return Err(Refusal::wrong(format!("field `{name}` is given twice")));
    }
    Ok(length)
}

fn broken(error: &actix_multipart::MultipartError) -> Refusal {
    Refusal::wrong(format!("the multipart body is wrong: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        let pairs = pairs
            .iter()
            .map(|(name, text)| ((*name).into(), (*text).into()));
        Fields(pairs.collect())
    }

    #[test]
    fn fields_are_taken_and_what_is_left_is_refused_by_name() {
        let mut form = fields(&[("limit", " 3 "), ("exact", "true"), ("person", "")]);
        assert_eq!(form.number("limit").unwrap(), Some(3));
        assert_eq!(form.flag("exact").unwrap(), Some(true));
        assert_eq!(form.text("person"), None);
        form.finish().unwrap();
        let unknown = fields(&[("colour", "red")]).finish().unwrap_err();
        assert!(unknown.message().contains("colour"));
        let filter = fields(&[("filter", "{}")]).finish().unwrap_err();
        assert!(filter.message().contains("not supported yet"));
    }

    #[test]
    fn a_field_of_the_wrong_kind_says_what_it_must_be() {
        for text in ["-1", "x", "1.5"] {
            let error = fields(&[("limit", text)]).number("limit").unwrap_err();
            assert!(error.message().contains("unsigned"), "{text}");
        }
        assert!(fields(&[("exact", "yes")]).flag("exact").is_err());
    }
}
