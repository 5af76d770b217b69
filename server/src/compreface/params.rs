//! What stands behind the question mark, as CompreFace's clients write it: with a leading `&`, with
//! `True` for true, and with a second question mark where `&` belongs.

use std::ops::RangeInclusive;
use std::str::FromStr;

use actix_web::{HttpRequest, web};
use schemars::JsonSchema;

use super::fault::{ECHO, Fault};
use crate::limits;

/// Parameters by name; an empty one says nothing, and what nobody asks for is passed over.
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Those of a request. A question mark in a value travels in escapes, so one that does not is what
    /// the JavaScript client puts between two parameters.
    pub(super) fn of(request: &HttpRequest) -> Result<Self, Fault> {
        let query = request.query_string().replace('?', "&");
        let pairs = web::Query::<Vec<(String, String)>>::from_query(&query);
        let pairs = pairs.map_err(|error| Fault::argument(format!("in the URL: {error}")))?;
        Ok(Self(pairs.into_inner()))
    }

    /// The first of a name, as it came.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, text)| text.as_str())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.raw(name)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    }

    /// A number within bounds.
    pub(super) fn number<T: FromStr + PartialOrd>(
        &self,
        name: &str,
        range: RangeInclusive<T>,
        expected: &str,
    ) -> Result<Option<T>, Fault> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let number = text.parse().ok().filter(|number| range.contains(number));
        let wrong = || Fault::constraint(format!("{name} must be {expected}"));
        number.map(Some).ok_or_else(wrong)
    }

    fn flag(&self, name: &str, default: bool) -> Result<bool, Fault> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        match text.to_ascii_lowercase().as_str() {
            "true" | "on" | "yes" | "1" => Ok(true),
            "false" | "off" | "no" | "0" => Ok(false),
            _ => Err(Fault::argument(format!("{name} must be true or false"))),
        }
    }
}

/// What may be asked of every photo.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct LookParams {
    /// Faces at most, the largest first; 0 is all.
    limit: Option<u32>,
    /// The least confidence of a face, 0 to 1; the detector's own by default.
    det_prob_threshold: Option<f32>,
    /// Separated by commas: `landmarks`, `calculator`, `pose`. CompreFace's others are named in
    /// `unsupported_plugins` and nothing is made up for them; what is none of its plugins is refused.
    face_plugins: Option<String>,
    /// Adds `execution_time` and `plugins_versions`.
    status: Option<bool>,
}

/// The same where examples are looked for.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct RecognizeParams {
    #[serde(flatten)]
    look: LookParams,
    /// Examples for each face; 1 by default.
    prediction_count: Option<u32>,
    /// Only `true`.
    detect_faces: Option<bool>,
}

/// How a photo is to be looked at, and what is told of its faces.
pub(super) struct Ask {
    /// Faces at most; 0 is all.
    pub(super) limit: usize,
    pub(super) least_confidence: f32,
    pub(super) landmarks: bool,
    pub(super) embedding: bool,
    pub(super) pose: bool,
    /// Those that are not there.
    pub(super) unsupported: Vec<&'static str>,
    pub(super) status: bool,
}

/// CompreFace's plugins that there are no models for.
const UNSUPPORTED: [&str; 4] = ["age", "gender", "mask", "landmarks2d106"];

impl Ask {
    pub(super) fn of(params: &Params) -> Result<Self, Fault> {
        let mut ask = Self {
            limit: params
                .number("limit", 0..=usize::MAX, "0 or more")?
                .unwrap_or_default(),
            least_confidence: least_confidence(params)?,
            landmarks: false,
            embedding: false,
            pose: false,
            unsupported: Vec::new(),
            status: params.flag("status", false)?,
        };
        if !params.flag("detect_faces", true)? {
            return Err(Fault::argument(
                "detect_faces=false is not supported: a face is cut out by its landmarks, so it has \
                 to be found",
            ));
        }
        let plugins = params.text("face_plugins").unwrap_or_default();
        for plugin in plugins
            .split(',')
            .map(str::trim)
            .filter(|it| !it.is_empty())
        {
            match plugin {
                "landmarks" => ask.landmarks = true,
                "calculator" => ask.embedding = true,
                "pose" => ask.pose = true,
                other => match UNSUPPORTED.into_iter().find(|known| *known == other) {
                    Some(known) if ask.unsupported.contains(&known) => {}
                    Some(known) => ask.unsupported.push(known),
                    None => return Err(unknown_plugin(other)),
                },
            }
        }
        Ok(ask)
    }
}

fn unknown_plugin(name: &str) -> Fault {
    let name: String = name.chars().take(ECHO).collect();
    let others = UNSUPPORTED.join(", ");
    Fault::argument(format!(
        "face_plugins: there is no plugin `{name}`, but landmarks, calculator, pose ({others} are passed over)"
    ))
}

/// `det_prob_threshold`; what the detector itself leaves out is never told.
pub(super) fn least_confidence(params: &Params) -> Result<f32, Fault> {
    let least = params.number("det_prob_threshold", 0.0..=1.0, "0 to 1")?;
    Ok(least.unwrap_or_default())
}

/// How many examples are told for each face.
pub(super) fn prediction_count(params: &Params) -> Result<usize, Fault> {
    let most = limits::HITS;
    let expected = format!("1 to {most}");
    let count = params.number("prediction_count", 1..=most, &expected)?;
    Ok(count.unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn params(query: &str) -> Params {
        let uri = format!("/x?{query}");
        Params::of(&TestRequest::with_uri(&uri).to_http_request()).unwrap()
    }

    #[test]
    fn what_the_clients_send_is_read_as_they_mean_it() {
        let python = "&limit=2&det_prob_threshold=0.8&prediction_count=3&\
            face_plugins=age,calculator,%20pose,age&status=True";
        let ask = Ask::of(&params(python)).unwrap();
        assert_eq!((ask.limit, ask.least_confidence), (2, 0.8));
        assert!(ask.embedding && ask.pose && ask.status && !ask.landmarks);
        assert_eq!(ask.unsupported, ["age"]);
        assert_eq!(prediction_count(&params(python)).unwrap(), 3);
        let script = params("subject=Ana%3F&x=1?det_prob_threshold=0.8?status=true");
        assert_eq!(script.raw("subject"), Some("Ana?"));
        assert_eq!(least_confidence(&script).unwrap(), 0.8);
        assert!(Ask::of(&script).unwrap().status);
    }

    #[test]
    fn what_may_not_be_is_refused_by_name() {
        for (query, name) in [
            ("limit=-1", "limit"),
            ("limit=x", "limit"),
            ("det_prob_threshold=1.5", "det_prob_threshold"),
            ("det_prob_threshold=NaN", "det_prob_threshold"),
            ("status=maybe", "status"),
            ("detect_faces=false", "detect_faces"),
            ("face_plugins=age,smile", "face_plugins"),
        ] {
            let fault = Ask::of(&params(query)).err().unwrap().to_string();
            assert!(fault.starts_with(name), "{query}: {fault}");
        }
        for count in ["0", "-1", "10001"] {
            let query = format!("prediction_count={count}");
            assert!(prediction_count(&params(&query)).is_err(), "{count}");
        }
    }
}
