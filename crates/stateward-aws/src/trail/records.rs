//! Records out of JSON of any shape that `CloudTrail` and those who pass it on write, one at a time.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use stateward_denial::Utf8;

/// No record is longer, in whatever it is wrapped: `CloudTrail`'s have at most 256 KB.
const RECORD_MAX: u64 = 4 << 20;
/// Lists of records: log files, `lookup-events`, `filter-log-events`, subscriptions of `CloudWatch`.
const LISTS: &[&str] = &["Records", "Events", "logEvents"];
/// Members that hold a record as a string.
const WRAPPERS: &[&str] = &["CloudTrailEvent", "message", "@message"];

/// The members of a record that refusals and those who are refused are told by, beside what tells a record from other JSON. A
/// record's answers and most of its parameters, which are most of its length, are passed over.
const KEPT: &[&str] = &[
    "eventVersion",
    "eventSource",
    "eventName",
    "eventTime",
    "eventID",
    "requestID",
    "errorCode",
    "errorMessage",
    "userIdentity",
    "resources",
    "awsRegion",
    "sourceIPAddress",
    "vpcEndpointId",
    "digestS3Bucket",
    "digestStartTime",
];

/// Of its parameters: what names were to be listed, and of which object.
const PARAMETERS: &str = "requestParameters";
const KEPT_PARAMETERS: &[&str] = &["prefix", "key"];

fn is_kept(name: &str) -> bool {
    KEPT.iter().any(|kept| kept.eq_ignore_ascii_case(name)) || WRAPPERS.contains(&name)
}

/// What a source held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Content {
    /// Records of calls, refused or not.
    pub records: u64,
    /// Digest files, which have no records.
    pub digests: u64,
    /// JSON that is no record.
    pub others: u64,
    /// Documents of JSON, whatever is in them.
    pub documents: u64,
}

/// Why a source was not read to its end. What came before counts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// It ends within a record, or within what compresses it.
    #[error("it is cut off: its end is missing")]
    CutOff,
    /// Not JSON.
    #[error("from line {line}, column {column} on it is no JSON of records")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// Something in it is longer than any record.
    #[error("something in it is longer than any record of CloudTrail")]
    TooLong,
    /// The system's or the network's error; also damage in what compresses it.
    #[error("{0}")]
    Io(io::Error),
}

impl Content {
    /// All of two sources.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            records: self.records + other.records,
            digests: self.digests + other.digests,
            others: self.others + other.others,
            documents: self.documents + other.documents,
        }
    }

    /// Whether there was nothing at all: not even a list without records.
    pub fn is_blank(self) -> bool {
        self.documents == 0
    }

    /// Whether there was something, and nothing of `CloudTrail`.
    pub fn is_foreign(self) -> bool {
        self.records == 0 && self.digests == 0 && self.others > 0
    }
}

/// Reads all records of a source, compressed or not: a log file, a list, one a line, or the answers of AWS that hold them.
/// Of each record there is what refusals are told by. Memory does not grow with the source.
pub fn read(from: impl Read, each: &mut dyn FnMut(&Value)) -> (Content, Result<(), Unreadable>) {
    let mut from = BufReader::with_capacity(64 << 10, from);
    let start = match from.fill_buf() {
        Ok(start) => start,
        Err(error) => return (Content::default(), Err(Unreadable::Io(error))),
    };
    if start.starts_with(&[0x1f, 0x8b]) {
        documents(BufReader::with_capacity(64 << 10, MultiGzDecoder::new(from)), each)
    } else {
        documents(from, each)
    }
}

fn documents(from: impl Read, each: &mut dyn FnMut(&Value)) -> (Content, Result<(), Unreadable>) {
    let left = Rc::new(Cell::new(RECORD_MAX));
    let mut sink = Sink { content: Content::default(), each, left: Rc::clone(&left) };
    // The deserializer asks for single bytes.
    let from = BufReader::new(Limited { from: Utf8::new(from), left });
    let mut deserializer = serde_json::Deserializer::from_reader(from);
    let mut outcome = Ok(());
    // At the end of the input there is no document any more.
    while outcome.is_ok() && !matches!(deserializer.end(), Ok(())) {
        outcome = Document(&mut sink).deserialize(&mut deserializer);
        sink.content.documents += u64::from(outcome.is_ok());
    }
    (sink.content, outcome.map_err(unreadable))
}

fn unreadable(error: serde_json::Error) -> Unreadable {
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Eof => Unreadable::CutOff,
        serde_json::error::Category::Io => {
            let error = io::Error::from(error);
            match error.kind() {
                io::ErrorKind::UnexpectedEof => Unreadable::CutOff,
                io::ErrorKind::FileTooLarge => Unreadable::TooLong,
                _ => Unreadable::Io(error),
            }
        }
        _ => Unreadable::NotJson { line, column },
    }
}

/// Ends where something is longer than any record.
struct Limited<R> {
    from: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(buffer)?;
        let left = self.left.get().checked_sub(length as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        self.left.set(left);
        Ok(length)
    }
}

/// Takes the records as they come.
struct Sink<'a> {
    content: Content,
    each: &'a mut dyn FnMut(&Value),
    left: Rc<Cell<u64>>,
}

impl Sink<'_> {
    /// Something that is complete; it may be a record, or hold one as a string.
    fn take(&mut self, value: &Value) {
        self.left.set(RECORD_MAX);
        let wrapped = WRAPPERS.iter().find_map(|name| value.get(name)?.as_str()).or(value.as_str());
        if let Some(text) = wrapped.map(str::trim_start).filter(|text| text.starts_with('{')) {
            // Several stand one after the other where a command line has joined them.
            for record in serde_json::Deserializer::from_str(text).into_iter::<Record>() {
                match record {
                    Ok(Record(members)) => self.one(&Value::Object(members)),
                    Err(_) => self.content.others += 1,
                }
            }
        } else {
            self.one(value);
        }
    }

    fn one(&mut self, value: &Value) {
        let has = |name: &str| {
            value.as_object().is_some_and(|members| members.keys().any(|key| key.eq_ignore_ascii_case(name)))
        };
        if has("eventSource") && has("eventName") {
            self.content.records += 1;
            (self.each)(value);
        } else if has("digestS3Bucket") && has("digestStartTime") {
            self.content.digests += 1;
        } else {
            self.content.others += 1;
        }
    }
}

/// The next member, as far as it is kept.
fn kept<'de, A: MapAccess<'de>>(name: &str, map: &mut A) -> Result<Option<Value>, A::Error> {
    if name.eq_ignore_ascii_case(PARAMETERS) {
        return map.next_value::<Parameters>().map(|parameters| Some(Value::Object(parameters.0)));
    }
    if is_kept(name) {
        return map.next_value().map(Some);
    }
    map.next_value::<IgnoredAny>().map(|_| None)
}

/// What is kept of a request's parameters, which some write as a string.
#[derive(Default)]
struct Parameters(Map<String, Value>);

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Parameters;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("parameters of a request")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parameters, A::Error> {
                let mut members = Map::new();
                while let Some(name) = map.next_key::<String>()? {
                    if KEPT_PARAMETERS.iter().any(|kept| kept.eq_ignore_ascii_case(&name)) {
                        members.insert(name, map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Parameters(members))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Parameters, E> {
                Ok(serde_json::from_str(text).unwrap_or_default())
            }

            fn visit_unit<E>(self) -> Result<Parameters, E> {
                Ok(Parameters::default())
            }

            fn visit_bool<E>(self, _: bool) -> Result<Parameters, E> {
                Ok(Parameters::default())
            }

            fn visit_u64<E>(self, _: u64) -> Result<Parameters, E> {
                Ok(Parameters::default())
            }

            fn visit_i64<E>(self, _: i64) -> Result<Parameters, E> {
                Ok(Parameters::default())
            }

            fn visit_f64<E>(self, _: f64) -> Result<Parameters, E> {
                Ok(Parameters::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Parameters, A::Error> {
                while elements.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Parameters::default())
            }
        }
        deserializer.deserialize_any(Members)
    }
}

/// What is kept of a record.
struct Record(Map<String, Value>);

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Record;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a record of CloudTrail")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
                let mut members = Map::new();
                while let Some(name) = map.next_key::<String>()? {
                    if let Some(value) = kept(&name, &mut map)? {
                        members.insert(name, value);
                    }
                }
                Ok(Record(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A document, or an element of a list of records.
struct Document<'s, 'a>(&'s mut Sink<'a>);

impl<'de> DeserializeSeed<'de> for Document<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Document<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("records of CloudTrail")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut members = Map::new();
        let mut has_list = false;
        while let Some(name) = map.next_key::<String>()? {
            let is_list = LISTS.iter().any(|list| list.eq_ignore_ascii_case(&name));
            if is_list && !members.contains_key("eventVersion") {
                map.next_value_seed(Document(&mut *self.0))?;
                has_list = true;
            } else if has_list {
                // What stands beside a list says nothing about calls.
                map.next_value::<IgnoredAny>()?;
            } else if let Some(value) = kept(&name, &mut map)? {
                members.insert(name, value);
            }
        }
        if !has_list {
            self.0.take(&Value::Object(members));
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element_seed(Document(&mut *self.0))?.is_some() {}
        self.0.left.set(RECORD_MAX);
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.0.take(&Value::from(text));
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.take(&Value::from(value));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.take(&Value::Null);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const EVENT: &str = r#"{"eventSource":"s3.amazonaws.com","eventName":"GetObject","eventID":"1","n":1.50}"#;

    fn ids(source: &[u8]) -> (usize, Content, Result<(), Unreadable>) {
        let mut count = 0;
        let (content, outcome) = read(source, &mut |record| {
            assert_eq!(record["eventID"], "1");
            count += 1;
        });
        assert_eq!(content.records, count as u64);
        (count, content, outcome)
    }

    #[track_caller]
    fn check(source: &str, records: usize, others: u64) {
        let (count, content, outcome) = ids(source.as_bytes());
        assert_eq!((count, content.others, outcome.is_ok()), (records, others, true), "{outcome:?}");
    }

    #[test]
    fn every_shape() {
        let escaped = serde_json::to_string(EVENT).unwrap();
        check(&format!(r#"{{"Records":[{EVENT},{EVENT}]}}"#), 2, 0);
        check(EVENT, 1, 0);
        check(&format!("{EVENT}\n{EVENT}\n"), 2, 0);
        check(&format!("{EVENT}\t{EVENT}"), 2, 0);
        check(&format!("[{EVENT},[{EVENT}]]"), 2, 0);
        check(&format!("[{escaped},{escaped}]"), 2, 0);
        check(
            &format!(
                r#"{{"Events":[{{"EventName":"x","EventSource":"s3","CloudTrailEvent":{escaped}}}],"NextToken":"n"}}"#
            ),
            1,
            0,
        );
        check(&format!(r#"{{"owner":"1","logEvents":[{{"timestamp":1,"message":{escaped}}}],"n":2}}"#), 1, 0);
        check(&format!(r#"{{"events":[{{"message":"no JSON"}},{{"message":{escaped}}}]}}"#), 1, 1);
        check(r#"{"eventsource":"s3.amazonaws.com","eventname":"GetObject","eventID":"1"}"#, 1, 0);
        check(r#"{"Records":[]}"#, 0, 0);
        check("", 0, 0);
        check(" \n", 0, 0);
        for (source, is_blank) in [("", true), (" \n", true), (r#"{"Records":[]}"#, false), ("[]", false)] {
            assert_eq!(ids(source.as_bytes()).1.is_blank(), is_blank, "{source:?}");
        }
        check(r#"{"version":4,"resources":[{"a":[1,2.5,null,true]}]} null "x" true"#, 0, 4);
    }

    #[test]
    fn digests_have_no_records() {
        let (_, content, outcome) =
            ids(br#"{"digestStartTime":"2026-01-01T00:00:00Z","digestS3Bucket":"b","logFiles":[]}"#);
        assert!(outcome.is_ok() && !content.is_foreign());
        assert_eq!(content, Content { digests: 1, documents: 1, ..Content::default() });
    }

    #[test]
    fn what_came_before_the_end_counts() {
        let text = format!(r#"{{"Records":[{EVENT},{EVENT},{{"eventSource":"#);
        let (count, _, outcome) = ids(text.as_bytes());
        assert!(count == 2 && matches!(outcome, Err(Unreadable::CutOff)), "{outcome:?}");

        let mut writer = GzEncoder::new(Vec::new(), Compression::default());
        writer.write_all(format!(r#"{{"Records":[{}]}}"#, vec![EVENT; 5000].join(",")).as_bytes()).unwrap();
        let whole = writer.finish().unwrap();
        assert_eq!(ids(&whole).0, 5000);
        let (count, _, outcome) = ids(&whole[..whole.len() - 20]);
        assert!(count > 0 && matches!(outcome, Err(Unreadable::CutOff)), "{count} {outcome:?}");
        let (_, _, outcome) = ids(&[&whole[..20], b"damage"].concat());
        assert!(matches!(outcome, Err(Unreadable::Io(_) | Unreadable::CutOff)), "{outcome:?}");
    }

    #[test]
    fn what_powershell_and_editors_save_is_read() {
        let text = format!("\u{feff}{{\"Records\":[{EVENT},{EVENT}]}}\r\n");
        let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for source in [text.into_bytes(), utf_16] {
            let (count, content, outcome) = ids(&source);
            assert!(count == 2 && content.records == 2 && outcome.is_ok(), "{outcome:?}");
        }
    }

    #[test]
    fn a_record_is_told_by_what_refusals_are_told_by() {
        let whole =
            |parameters: &str| format!(r#"{{"requestParameters":{parameters},"responseElements":"x",{}"#, &EVENT[1..]);
        let wrap = |record: String| serde_json::json!({"CloudTrailEvent": record}).to_string();
        let listed = serde_json::json!({"prefix": "net/"});
        let nothing = serde_json::json!({});
        let as_text = serde_json::to_string(r#"{"prefix":"net/","bucketName":"b"}"#).unwrap();
        for (parameters, kept) in [
            (r#"{"a":[1,{}],"prefix":"net/","bucketName":"b"}"#, &listed),
            (as_text.as_str(), &listed),
            ("null", &nothing),
            (r#""no JSON""#, &nothing),
            ("[{}]", &nothing),
            ("-1.5", &nothing),
        ] {
            for source in [whole(parameters), wrap(whole(parameters))] {
                let (content, outcome) = read(source.as_bytes(), &mut |record| {
                    let names: Vec<&String> = record.as_object().unwrap().keys().collect();
                    assert_eq!(names, ["requestParameters", "eventSource", "eventName", "eventID"], "{source}");
                    assert_eq!(&record["requestParameters"], kept, "{source}");
                });
                outcome.unwrap();
                assert_eq!(content.records, 1, "{source}");
            }
        }
    }

    #[test]
    fn what_is_no_json_is_named_by_its_place() {
        let (count, _, outcome) = ids(format!("{EVENT}\n2026-01-01 started\n{EVENT}").as_bytes());
        assert!(count == 1 && matches!(outcome, Err(Unreadable::NotJson { line: 2, .. })), "{outcome:?}");
    }

    #[test]
    fn nothing_longer_than_a_record_is_kept() {
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(5 << 20));
        assert!(matches!(ids(long.as_bytes()).2, Err(Unreadable::TooLong)));
        // A long log of short records is fine.
        let many = format!(r#"{{"Records":[{}]}}"#, vec![EVENT; (5 << 20) / EVENT.len()].join(","));
        let (count, _, outcome) = ids(many.as_bytes());
        assert!(count > 50_000 && outcome.is_ok(), "{outcome:?}");
    }
}
