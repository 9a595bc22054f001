//! Changes to a body that keep every byte they need not touch.

mod list;
mod merge;
mod parts;
mod restore;
mod style;

use std::ops::Range;

pub use merge::{Merge, MergeError, Merged};
pub use restore::{EditError, Edited, restore_only};
#[cfg(feature = "generate")]
pub(crate) use style::restyle;

use crate::json::escape;
use crate::scan::Spans;

/// The bytes of `body` with the bytes in `range` replaced.
fn splice(body: &[u8], range: &Range<u64>, replacement: &str) -> Vec<u8> {
    let index = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(body.len());
    let (before, rest) = body.split_at(index(range.start));
    let after = rest.get(index(range.end).saturating_sub(before.len())..).unwrap_or_default();
    [before, replacement.as_bytes(), after].concat()
}

/// What to replace so that a body has another serial: the range in the body, and the text to put there.
pub fn serial_splice(spans: &Spans, serial: u64) -> (Range<u64>, String) {
    (spans.serial.clone(), serial.to_string())
}

/// What to replace so that a body has another lineage: the range in the body, and the text to put there.
pub fn lineage_splice(spans: &Spans, lineage: &str) -> (Range<u64>, String) {
    let mut literal = Vec::new();
    escape::push_literal(lineage, &mut literal);
    (spans.lineage.clone(), String::from_utf8_lossy(&literal).into_owned())
}

/// The body with another serial. `spans` must be those of this body. Of no use for opaque bodies: `OpenTofu` checks the
/// serial after decryption.
pub fn with_serial(body: &[u8], spans: &Spans, serial: u64) -> Vec<u8> {
    let (range, text) = serial_splice(spans, serial);
    splice(body, &range, &text)
}

/// The body with another lineage. `spans` must be those of this body. Of no use for opaque bodies, as above.
pub fn with_lineage(body: &[u8], spans: &Spans, lineage: &str) -> Vec<u8> {
    let (range, text) = lineage_splice(spans, lineage);
    splice(body, &range, &text)
}

/// A state of format 4 that holds nothing but root outputs, as `terraform_remote_state` reads it.
///
/// `outputs` is the raw value of `outputs`; an empty slice stands for none.
pub fn outputs_view(terraform_version: Option<&str>, serial: u64, lineage: &str, outputs: &[u8]) -> Vec<u8> {
    let mut body = b"{\"version\":4,".to_vec();
    if let Some(version) = terraform_version {
        body.extend_from_slice(b"\"terraform_version\":");
        escape::push_literal(version, &mut body);
        body.push(b',');
    }
    body.extend_from_slice(format!("\"serial\":{serial},\"lineage\":").as_bytes());
    escape::push_literal(lineage, &mut body);
    body.extend_from_slice(b",\"outputs\":");
    body.extend_from_slice(if outputs.is_empty() { b"{}" } else { outputs });
    body.extend_from_slice(b",\"resources\":[],\"check_results\":null}\n");
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::scan;

    const BODY: &[u8] = b"{ \"version\": 4, \"lineage\":\"a\", \"serial\" : 7,\"x\":1.0 }";

    #[test]
    fn only_the_serial_or_lineage_changes() {
        let spans = scan(BODY, [0; 32]).expect("valid").spans;
        let body = with_serial(BODY, &spans, u64::MAX);
        assert_eq!(body, b"{ \"version\": 4, \"lineage\":\"a\", \"serial\" : 18446744073709551615,\"x\":1.0 }");
        assert_eq!(scan(&body, [0; 32]).expect("valid").serial, u64::MAX);
        let body = with_lineage(BODY, &spans, "b\"\n");
        assert_eq!(scan(&body, [0; 32]).expect("valid").lineage, "b\"\n");
    }

    #[test]
    fn a_view_holds_outputs_only() {
        let outputs = br#"{"a":{"value":1.0,"type":"number"}}"#;
        let body = outputs_view(Some("1.15.5"), 9, "l", outputs);
        let text = String::from_utf8(body.clone()).expect("UTF-8");
        insta_like(&text);
        let summary = scan(&body, [0; 32]).expect("valid");
        assert_eq!((summary.serial, summary.outputs.len(), summary.instances.len()), (9, 1, 0));
        assert!(scan(&outputs_view(None, 0, "l", b""), [0; 32]).is_ok());
    }

    fn insta_like(text: &str) {
        assert_eq!(
            text,
            "{\"version\":4,\"terraform_version\":\"1.15.5\",\"serial\":9,\"lineage\":\"l\",\
             \"outputs\":{\"a\":{\"value\":1.0,\"type\":\"number\"}},\"resources\":[],\"check_results\":null}\n"
        );
    }
}
