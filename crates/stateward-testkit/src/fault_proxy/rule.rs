//! Which requests meet which fault.

use std::fmt;
use std::time::Duration;

use crate::SeenRequest;

/// What happens to a request instead of what should.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The server never sees it, and the client's connection is closed.
    LoseRequest,
    /// The server does it, and the client's connection is closed in place of the answer.
    LoseAnswer,
    /// The server gets it twice, one after the other, and the client gets the first answer.
    DuplicateAnsweredFirst,
    /// The server gets it twice, one after the other, and the client gets the second answer: as after a lost answer and
    /// a client that tried again by itself.
    DuplicateAnsweredSecond,
    /// The server never sees it, and the client gets this answer.
    Answer {
        /// The status code.
        status: u16,
        /// Names and values, beside the content's length.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// The server does it, and the client gets this answer: from what stands between the two.
    AnswerInstead {
        /// The status code.
        status: u16,
        /// Names and values, beside the content's length.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// The server does it whatever its condition says: as one that knows no conditions.
    IgnoreCondition,
    /// The server does it as if nothing were said behind the question mark: as one that knows no uploads in parts.
    IgnoreParts,
    /// It reaches the server this much later.
    Delay(Duration),
    /// The same, whether its client still waits or has left: as what is on its way when a client is killed.
    LandLate(Duration),
    /// The server does it at once, and its answer reaches the client this much later.
    AnswerLate(Duration),
}

impl Fault {
    /// Any status with an empty body.
    pub fn status(status: u16) -> Self {
        Self::Answer { status, headers: Vec::new(), body: String::new() }
    }

    /// S3's error of this status and code, in XML as S3 writes it.
    pub fn s3(status: u16, code: &str, message: &str) -> Self {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
             <RequestId>TESTKITREQUEST</RequestId><HostId>testkit</HostId></Error>"
        );
        Self::Answer { status, headers: vec![("Content-Type".to_owned(), "application/xml".to_owned())], body }
    }

    /// S3's way of asking for fewer requests.
    pub fn slow_down() -> Self {
        Self::s3(503, "SlowDown", "Please reduce your request rate.")
    }

    /// S3's answer to a conditional write that met another one under way: neither lost nor won, to be tried again.
    pub fn conditional_request_conflict() -> Self {
        Self::s3(409, "ConditionalRequestConflict", "A conflicting operation occurred during processing.")
    }

    /// S3's answer to a conditional write that lost.
    pub fn precondition_failed() -> Self {
        Self::s3(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
    }

    /// `DynamoDB`'s error of this status and name.
    pub fn dynamodb(status: u16, name: &str, message: &str) -> Self {
        let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{name}","message":"{message}"}}"#);
        let headers = vec![("Content-Type".to_owned(), "application/x-amz-json-1.0".to_owned())];
        Self::Answer { status, headers, body }
    }

    /// `DynamoDB`'s way of asking for fewer requests; `retry_after` in whole seconds.
    pub fn throttling(retry_after: Duration) -> Self {
        Self::dynamodb(400, "ThrottlingException", "Rate exceeded")
            .header("Retry-After", &retry_after.as_secs().to_string())
    }

    /// What was asked is done, and this is answered; any fault that is no answer as it was.
    #[must_use]
    pub fn though_done(self) -> Self {
        match self {
            Self::Answer { status, headers, body } => Self::AnswerInstead { status, headers, body },
            other => other,
        }
    }

    /// A web page of what stands in between.
    pub fn page(status: u16) -> Self {
        let headers = vec![("Content-Type".to_owned(), "text/html".to_owned())];
        Self::Answer { status, headers, body: "<html><body>This page was blocked.</body></html>".to_owned() }
    }

    /// An answer with one more header; any other fault as it was.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

/// How often a rule strikes among the requests that it matches, counted from 1.
#[derive(Debug, Clone, Copy)]
enum Times {
    Always,
    Nth(usize),
    First(usize),
    Every(usize),
    Random { percent: u64, seed: u64 },
}

type Predicate = Box<dyn Fn(&SeenRequest) -> bool + Send>;

/// A fault and when it strikes: every request, unless narrowed down.
///
/// ```
/// # use stateward_testkit::{Fault, Rule};
/// Rule::new(Fault::LoseAnswer).operation("PutObject").path(".tflock").nth(1);
/// Rule::new(Fault::slow_down()).operation("GetObject").every(3);
/// Rule::new(Fault::DuplicateAnsweredSecond).when(|request| request.header("if-match").is_some());
/// ```
pub struct Rule {
    fault: Fault,
    conditions: Vec<Predicate>,
    times: Times,
    matched: usize,
}

impl Rule {
    /// This fault, for every request.
    pub fn new(fault: Fault) -> Self {
        Self { fault, conditions: Vec::new(), times: Times::Always, matched: 0 }
    }

    /// Only requests for which this holds, beside what was asked before.
    #[must_use]
    pub fn when(mut self, holds: impl Fn(&SeenRequest) -> bool + Send + 'static) -> Self {
        self.conditions.push(Box::new(holds));
        self
    }

    /// Only requests of this operation, by AWS's name for it ([`SeenRequest::operation`]).
    #[must_use]
    pub fn operation(self, name: &str) -> Self {
        let name = name.to_owned();
        self.when(move |request| request.operation() == name)
    }

    /// Only requests whose path contains this.
    #[must_use]
    pub fn path(self, part: &str) -> Self {
        let part = part.to_owned();
        self.when(move |request| request.path.contains(&part))
    }

    /// Only the nth of the requests that match, counted from 1.
    #[must_use]
    pub fn nth(self, n: usize) -> Self {
        Self { times: Times::Nth(n), ..self }
    }

    /// Only the first so many of the requests that match.
    #[must_use]
    pub fn first(self, count: usize) -> Self {
        Self { times: Times::First(count), ..self }
    }

    /// Only each kth of the requests that match. Panics for 0.
    #[must_use]
    pub fn every(self, k: usize) -> Self {
        assert!(k > 0, "each 0th is none");
        Self { times: Times::Every(k), ..self }
    }

    /// So many in a hundred of the requests that match, the same ones for the same seed.
    #[must_use]
    pub fn random(self, percent: u64, seed: u64) -> Self {
        Self { times: Times::Random { percent, seed }, ..self }
    }

    /// The fault that this request meets, if it does. Counts it.
    pub(super) fn meet(&mut self, request: &SeenRequest) -> Option<&Fault> {
        if !self.conditions.iter().all(|holds| holds(request)) {
            return None;
        }
        self.matched += 1;
        let strikes = match self.times {
            Times::Always => true,
            Times::Nth(n) => self.matched == n,
            Times::First(count) => self.matched <= count,
            Times::Every(k) => self.matched.is_multiple_of(k),
            Times::Random { percent, seed } => mix(seed.wrapping_add(self.matched as u64)) % 100 < percent,
        };
        strikes.then_some(&self.fault)
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, times, matched, .. } = self;
        f.debug_struct("Rule")
            .field("fault", fault)
            .field("times", times)
            .field("matched", matched)
            .finish_non_exhaustive()
    }
}

/// `SplitMix64`'s finaliser: neighbouring numbers come out unrelated, and the same on every machine.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn request(method: &str, path: &str) -> SeenRequest {
        let (method, path) = (method.to_owned(), path.to_owned());
        SeenRequest { method, path, query: String::new(), headers: BTreeMap::new(), status: None, action: None }
    }

    /// Which of 12 requests meet the fault, counted from 1.
    fn struck(mut rule: Rule) -> Vec<usize> {
        (1..=12).filter(|_| rule.meet(&request("PUT", "/b/k")).is_some()).collect()
    }

    #[test]
    fn strikes_as_often_as_it_says() {
        let rule = || Rule::new(Fault::LoseAnswer);
        assert_eq!(struck(rule()).len(), 12);
        assert_eq!(struck(rule().nth(3)), [3]);
        assert_eq!(struck(rule().first(2)), [1, 2]);
        assert_eq!(struck(rule().every(5)), [5, 10]);
        assert!(struck(rule().random(0, 7)).is_empty());
        assert_eq!(struck(rule().random(100, 7)).len(), 12);
    }

    #[test]
    fn chance_is_the_same_for_the_same_seed_and_about_as_large_as_asked() {
        let many = |seed| {
            let mut rule = Rule::new(Fault::LoseRequest).random(25, seed);
            (0..4000).filter(|_| rule.meet(&request("PUT", "/b/k")).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(many(1), many(1));
        assert_ne!(many(1), many(2));
        assert!((900..1100).contains(&many(1).len()), "{}", many(1).len());
    }

    #[test]
    fn only_what_matches_is_counted() {
        let mut rule = Rule::new(Fault::LoseAnswer).operation("PutObject").path(".tflock").nth(2);
        let met: Vec<bool> = [("PUT", "/b/k.tflock"), ("PUT", "/b/k"), ("GET", "/b/k.tflock"), ("PUT", "/b/k.tflock")]
            .map(|(method, path)| rule.meet(&request(method, path)).is_some())
            .to_vec();
        assert_eq!(met, [false, false, false, true]);
    }
}
