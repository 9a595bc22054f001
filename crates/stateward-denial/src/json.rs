//! Records in JSON that say more by their structure than by their words: events of `CloudTrail`, decoded messages, locks.
//!
//! They are found wherever they stand: alone, in lists, in other records, as strings in other JSON, wrapped by a terminal, without
//! their end.

mod object;
mod records;

use std::ops::Range;

use serde_json::Value;

use crate::problem::Problem;
use object::Object;

/// No record is longer: `CloudTrail`'s have at most 256 KB.
pub(crate) const RECORD_MAX: usize = 384 * 1024;
/// How often each byte of a text is looked at at most, whatever braces it is full of.
const PASSES_MAX: usize = 8;

/// The records of a text.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// Where each stands, in order, and what it tells.
    pub(crate) found: Vec<(Range<usize>, Vec<Problem>)>,
    /// Where one begins whose end is not there yet.
    pub(crate) open: Option<usize>,
}

/// Finds the records from a place on. `last`: no more text will come.
pub(crate) fn find(text: &str, from: usize, last: bool) -> Records {
    let mut records = Records::default();
    if !text.get(from..).is_some_and(records::may_have_some) {
        return records;
    }
    let mut budget = PASSES_MAX * (text.len() - from);
    let mut at = from;
    while let Some(brace) = text.as_bytes().get(at..).and_then(|rest| memchr::memchr(b'{', rest)) {
        let start = at + brace;
        at = start + 1;
        let Some(found) = Object::find(text, start, start + RECORD_MAX.min(budget)) else { continue };
        budget = budget.saturating_sub(found.range.len());
        if found.is_whole {
            if let Some(problems) = found.value().as_ref().and_then(records::read) {
                at = found.range.end;
                records.found.push((found.range, problems));
            } else if found.is_plain(text) && !found.may_have_records() {
                at = found.range.end;
            }
            continue;
        }
        if found.is_cut {
            if let Some(problems) = found.mended().as_ref().and_then(records::read) {
                at = found.range.end;
                records.found.push((found.range, problems));
            }
            continue;
        }
        // What is too long for a record holds records.
        if found.range.end < text.len() {
            continue;
        }
        if !last {
            records.open = Some(start);
            break;
        }
        if let Some(problems) = found.mended().as_ref().and_then(records::read) {
            records.found.push((start..text.len(), problems));
            break;
        }
    }
    records
}

/// What a record tells that was found already.
pub(crate) fn of_record(record: &Value) -> Option<Vec<Problem>> {
    records::read(record)
}

/// The value of a member, whatever the case of its name.
fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let members = value.as_object()?;
    let is_it = |key: &str| {
        key.eq_ignore_ascii_case(name) || key.contains('\n') && key.replace('\n', "").eq_ignore_ascii_case(name)
    };
    members.get(name).or_else(|| members.iter().find(|(key, _)| is_it(key)).map(|(_, value)| value))
}

/// A string, without what wrapping put into it; `None` for null, nothing, or what stands for them.
fn string(value: &Value, name: &str) -> Option<String> {
    let text = member(value, name)?.as_str()?;
    let text: String = text.chars().filter(|character| !matches!(character, '\n' | '\r')).collect();
    (!text.is_empty() && text != "null" && text != "-").then_some(text)
}
