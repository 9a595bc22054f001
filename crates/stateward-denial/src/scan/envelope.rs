//! The envelopes that clients put messages of AWS in.

use std::ops::Range;

use super::{Frame, MESSAGE_NEAR, SUFFIX_NEAR, Scanner};
use crate::codes;
use crate::problem::{Kind, Reason};
use crate::services;
use crate::squeeze::{Gap, Squeezed};

/// `error occurred (CODE) [on request (…) on table (…)] when calling the OP operation [(reached max retries: 4)]:`
pub(super) fn client(text: &Squeezed<'_>, range: Range<usize>) -> Option<Frame> {
    const HEADER_MAX: usize = 300;
    let (code, end) = until(text, range.end, b')', 80).filter(|(code, _)| is_code(code))?;
    let start = range.start.saturating_sub(2);
    let start = if text.behind(start, "An") == Some(range.start) { start } else { range.start };
    let mut frame = Frame { code: Some(code), ..Frame::at(start..end + 1) };
    if let Some(calling) = text.find(end..end + HEADER_MAX, "when calling the") {
        frame.message_at = calling.end;
        if let Some(operation) = text.find(calling.end..calling.end + 80, "operation") {
            frame.operation = identifier(&text.word(calling.end..operation.start));
            frame.message_at = operation.end;
            if let Some(retries) = text.behind(operation.end, "(reached max retries:") {
                frame.message_at = until(text, retries, b')', 8).map_or(retries, |(_, end)| end + 1);
            }
        }
    }
    frame.message_at = text.behind(frame.message_at, ":").unwrap_or(frame.message_at);
    frame.meaning = of_sign_in(&frame);
    Some(frame)
}

/// Who asks IAM Identity Center for a role's credentials is nobody to an account yet, so that no policy refuses.
fn of_sign_in(frame: &Frame) -> Option<(Kind, Option<Reason>)> {
    let refused = frame.code.as_deref().is_some_and(|code| codes::meaning(Some(code), None).0 == Kind::AccessDenied);
    (refused && frame.operation.as_deref() == Some("GetRoleCredentials"))
        .then_some((Kind::Authentication, Some(Reason::SsoAssignment)))
}

/// `operation error SERVICE: OP[, exceeded …], https response error StatusCode: N, RequestID: R[, HostID: H], [api error ]CODE:`
fn operation(text: &Squeezed<'_>, range: Range<usize>) -> Option<Frame> {
    let (service, colon) = until(text, range.end, b':', 60)?;
    // Operations begin with a capital: what does not is the next error.
    if text.byte(colon + 1).is_ascii_lowercase() {
        return None;
    }
    let goes_on = |index: usize| match text.gap(index) {
        Gap::None => true,
        // What follows a name is set apart by a comma.
        Gap::Break => end_of_word(text, index) < text.len() && text.byte(end_of_word(text, index)) == b',',
        Gap::Space | Gap::Written | Gap::Blank => false,
    };
    let ends = |index: &usize| !text.byte(*index).is_ascii_alphanumeric() || *index > colon + 1 && !goes_on(*index);
    let end = (colon + 1..text.len()).find(ends);
    let end = end.unwrap_or(text.len());
    let mut frame = Frame {
        operation: identifier(&text.word(colon + 1..end)),
        service: services::prefix(&service),
        ..Frame::at(range.start..end)
    };
    let mut at = comma(text, end);
    if let Some(exceeded) = text.behind(at, "exceeded maximum number of attempts,") {
        at =
            comma(text, (exceeded..exceeded + 4).find(|index| !text.byte(*index).is_ascii_digit()).unwrap_or(exceeded));
    }
    for (label, field) in [("https response error StatusCode:", 0), ("RequestID:", 1), ("HostID:", 2)] {
        let Some(value) = text.behind(at, label) else { continue };
        // It may have been blacked out, comma and all.
        if text.behind(value, "api error").is_some() {
            at = value;
            continue;
        }
        let Some((value, end)) = until(text, value, b',', 200) else { break };
        match field {
            0 => frame.status = value.parse().ok(),
            1 => frame.request_id = Some(value).filter(|value| !value.is_empty()),
            _ => {}
        }
        at = end + 1;
    }
    frame.message_at = at;
    let named = text.behind(at, "api error").filter(|_| text.gap(at) != Gap::Blank);
    let from = named.unwrap_or(at);
    if let Some((code, end)) = until(text, from, b':', 80)
        && is_code(&code)
        && !text.is_apart(from, end)
        && (named.is_some()
            || codes::find(&code).is_some()
            || ["Exception", "Fault", "Error"].iter().any(|end| code.ends_with(end)))
    {
        frame.code = Some(code);
        frame.message_at = end + 1;
        frame.meaning = of_sign_in(&frame);
    }
    Some(frame)
}

/// `Error executing "OP" on "https://HOST/"; AWS HTTP error: …`
pub(super) fn executing(text: &Squeezed<'_>, range: Range<usize>) -> Option<Frame> {
    const ADDRESS_MAX: usize = 400;
    let (operation, end) = until(text, range.end, b'"', 80)?;
    let address = text.behind(end, "\" on \"")?;
    let (address, end) = until(text, address, b'"', ADDRESS_MAX)?;
    let mut frame = Frame {
        operation: Some(identifier(&operation)?),
        service: services::of_address(&address),
        ..Frame::at(range.start..end)
    };
    if let Some(error) = text.find(end..end + 40, "AWS HTTP error:") {
        frame.message_at = error.end;
    }
    Some(frame)
}

/// `API: SERVICE:OP Access Denied`, or another message behind it.
pub(super) fn resource(text: &Squeezed<'_>, range: Range<usize>) -> Option<Frame> {
    let (service, colon) = until(text, range.end, b':', 40)?;
    if !service.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        return None;
    }
    let start = colon + 1;
    let ends =
        |index: &usize| !text.byte(*index).is_ascii_alphanumeric() || *index > start && text.gap(*index) != Gap::None;
    let end = (start..start + 80).find(ends)?;
    let mut frame = Frame {
        operation: Some(identifier(&text.word(start..end))?),
        service: services::prefix(&service),
        ..Frame::at(range.start..end)
    };
    if let Some(end) = text.behind(end, "Access Denied").or_else(|| text.behind(end, "You are not authorized")) {
        frame.meaning = Some((Kind::AccessDenied, None));
        frame.message_at = end;
    }
    Some(frame)
}

/// Where letters and digits end.
fn end_of_word(text: &Squeezed<'_>, at: usize) -> usize {
    (at..text.len()).find(|index| !text.byte(*index).is_ascii_alphanumeric()).unwrap_or(text.len())
}

fn comma(text: &Squeezed<'_>, at: usize) -> usize {
    text.behind(at, ",").unwrap_or(at)
}

/// `<Code>CODE</Code>` with what belongs to it around it.
pub(super) fn xml(text: &Squeezed<'_>, range: Range<usize>) -> Option<Frame> {
    const NAMESPACE_NEAR: usize = 300;
    let (code, end) = until(text, range.end, b'<', 80)?;
    let ahead = end..end + SUFFIX_NEAR;
    let is_aws = text.find(ahead, "<RequestId>").is_some();
    if !is_code(&code) || codes::find(&code).is_none() && !is_aws {
        return None;
    }
    let namespace = range.start.saturating_sub(NAMESPACE_NEAR)..range.start;
    let service = text.find_last(namespace, ".amazonaws.com/doc/").and_then(|found| {
        let start = (found.start.saturating_sub(40)..found.start).rev().find(|index| text.byte(*index) == b'/')?;
        services::prefix(&text.word(start + 1..found.start))
    });
    let message_at = text.behind(end, "</Code>").unwrap_or(end);
    let message_at = text.behind(message_at, "<Message>").unwrap_or(message_at);
    // A body of S3 that lost its IDs: a code that nobody but AWS has, where its answers have it.
    let is_body = codes::is_own(&code)
        && range.start.checked_sub("<Error>".len()).and_then(|start| text.behind(start, "<Error>"))
            == Some(range.start)
        && text.behind(end, "</Code><Message>").is_some();
    Some(Frame { code: Some(code), service, weak: !is_aws && !is_body, ..Frame::at(range.start..message_at) })
}

/// What stands before a byte, which comes within so many, and where that is.
fn until(text: &Squeezed<'_>, from: usize, byte: u8, length: usize) -> Option<(String, usize)> {
    let end = (from..text.len().min(from + length)).find(|index| text.byte(*index) == byte)?;
    if text.is_apart(from + 1, end) {
        return None;
    }
    Some((text.word(from..end), end))
}

/// A name of an operation, or nothing.
fn identifier(text: &str) -> Option<String> {
    let plausible = !text.is_empty() && text.len() <= 80 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plausible.then(|| text.to_owned())
}

fn is_code(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 80
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'))
}

impl Scanner<'_> {
    pub(super) fn operation(&mut self, range: Range<usize>) {
        let Some(frame) = operation(self.text, range) else { return };
        // Asking the instance for credentials is no request of anybody's own, and what it came to is told already.
        if frame.service.is_none() && self.pending.as_ref().is_some_and(|pending| pending.firmness.is_soft()) {
            self.consumed = self.consumed.max(frame.message_at);
            return;
        }
        self.begin(frame);
    }

    /// Fields that stand behind an error: in parentheses, for Java.
    pub(super) fn parenthesis(&mut self, range: Range<usize>) {
        const FIELDS_MAX: usize = 500;
        let until_next =
            (range.end..self.text.len().min(range.end + FIELDS_MAX)).find(|index| self.text.byte(*index) == b')');
        let end = until_next.unwrap_or(self.text.len().min(range.end + FIELDS_MAX));
        let field = |label: &str| {
            let from = if label.is_empty() { range.end } else { self.text.find(range.end..end, label)?.end };
            let stop = (from..end).find(|index| matches!(self.text.byte(*index), b';' | b',')).unwrap_or(end);
            (stop > from && until_next.is_some() || stop < end).then(|| self.text.word(from..stop))
        };
        let service = field("").and_then(|name| services::prefix(&name));
        let status = field("Status Code:").and_then(|status| status.parse().ok());
        let code = field("Error Code:").filter(|code| is_code(code));
        let request_id = field("Request ID:");
        let is_said = |said: &(Range<usize>, _)| {
            (said.0.end..=said.0.end + MESSAGE_NEAR).contains(&range.start)
                && !self.text.is_apart(said.0.end, range.start)
        };
        // Those of what KMS told DynamoDB are not those of DynamoDB's answer.
        let is_inner = |frame: &Frame| frame.of_table_key && service.as_deref() == Some("kms");
        if self.open(range.start, SUFFIX_NEAR).is_some_and(|frame| is_inner(frame)) {
            self.consumed = self.consumed.max(end);
            return;
        }
        if self.said.as_ref().is_some_and(is_said) || self.open(range.start, SUFFIX_NEAR).is_none() {
            self.flush();
            let mut frame = Frame::at(range.start..range.start);
            self.take_said(&mut frame);
            self.pending = Some(frame);
        }
        if let Some(frame) = &mut self.pending {
            frame.service = frame.service.take().or(service);
            frame.status = frame.status.or(status);
            frame.code = frame.code.take().or(code);
            frame.request_id = frame.request_id.take().or(request_id);
            frame.message_at = end;
        }
        self.consumed = self.consumed.max(end);
    }

    /// `status code: 400`, of the SDK for Go v1, whose codes stand before the message, whatever they are.
    pub(super) fn status(&mut self, range: &Range<usize>) {
        const CODE_NEAR: usize = 600;
        let end =
            (range.end..range.end + 4).find(|index| !self.text.byte(*index).is_ascii_digit()).unwrap_or(range.end);
        let Ok(status) = self.text.word(range.end..end).parse::<u16>() else { return };
        if let Some(frame) = self.open(range.start, SUFFIX_NEAR) {
            frame.status = frame.status.or(Some(status));
            return;
        }
        let from = self.consumed.max(range.start.saturating_sub(CODE_NEAR));
        let code = (from..range.start).rev().find(|index| self.text.byte(*index) == b':').and_then(|colon| {
            let start = (from..colon).rev().find(|index| self.text.gap(*index) != Gap::None)?;
            let code = self.text.word(start..colon);
            let is_one = is_code(&code) && code.starts_with(|first: char| first.is_ascii_uppercase()) && code.len() > 4;
            is_one.then_some((code, start..colon + 1))
        });
        if let Some((code, range)) = code {
            self.flush();
            self.pending = Some(Frame { code: Some(code), status: Some(status), weak: true, ..Frame::at(range) });
        }
    }

    /// An ID, of the last error that has none yet.
    pub(super) fn request(&mut self, range: &Range<usize>) {
        let wraps = |index: &usize| matches!(self.text.byte(*index), b':' | b'=' | b'>' | b'"' | b'\'');
        let mut from = (range.end..range.end + 6).find(|index| !wraps(index)).unwrap_or(range.end);
        from = ["Some(\"", "Optional(\""].iter().find_map(|some| self.text.behind(from, some)).unwrap_or(from);
        // Of a function's run, not of a request that it made.
        let of_run = ["START", "END", "REPORT"].iter().any(|word| {
            range.start.checked_sub(word.len()).is_some_and(|at| self.text.behind(at, word) == Some(range.start))
        });
        let Some(id) = self.token(from).filter(|id| id.len() >= 6 && !of_run) else { return };
        let is_header = range.start >= 7 && self.text.find(range.start - 7..range.start, "x-amz").is_some();
        match self.open(range.start, SUFFIX_NEAR) {
            Some(frame) => frame.request_id = frame.request_id.take().or(Some(id)),
            // The head of an answer, whose body may come.
            None if is_header => {
                self.flush();
                self.pending = Some(Frame { request_id: Some(id), ..Frame::at(range.clone()) });
            }
            None => {}
        }
    }

    /// `"__type":"com.amazon.coral.service#CODE"`.
    pub(super) fn type_key(&mut self, range: &Range<usize>) {
        let wraps = |index: &usize| matches!(self.text.byte(*index), b':' | b'=' | b'>' | b'"' | b'\'' | b']');
        let from = (range.end..range.end + 8).find(|index| !wraps(index)).unwrap_or(range.end);
        let part = |index: usize| {
            self.text.byte(index).is_ascii_alphanumeric() || matches!(self.text.byte(index), b'.' | b'#' | b'_')
        };
        let end = (from..self.text.len().min(from + 160)).find(|index| !part(*index)).unwrap_or(from);
        let name = self.text.word(from..end);
        let code = name.rsplit('#').next().unwrap_or_default();
        let known = codes::find(code).is_some()
            || name.contains('#')
            || ["Exception", "Error", "Fault"].iter().any(|end| code.ends_with(end));
        if !known || !is_code(code) {
            return;
        }
        self.keyed(code, None, &(range.start..end));
    }
}
