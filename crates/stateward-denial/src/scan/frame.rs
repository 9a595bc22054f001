//! One error while it is being read: what its envelope says, and then its message.

use std::ops::Range;

use crate::codes;
use crate::layers;
use crate::message::Message;
use crate::problem::{Denial, Effect, Failure, Kind, Layer, Problem, Reason};
use crate::services;

/// How much its words can be relied on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Firmness {
    #[default]
    Firm,
    /// A better explanation may follow: this one is about what it led to.
    Soft,
    /// The same, and if none follows, nothing is certain.
    Vague,
}

impl Firmness {
    pub(crate) fn is_soft(self) -> bool {
        self != Self::Firm
    }
}

/// What is known of an error so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Frame {
    /// Where it begins in the squeezed text.
    pub(crate) start: usize,
    /// Where its message begins, or would.
    pub(crate) message_at: usize,
    pub(crate) code: Option<String>,
    pub(crate) status: Option<u16>,
    pub(crate) service: Option<String>,
    pub(crate) operation: Option<String>,
    pub(crate) request_id: Option<String>,
    /// What it is, where its words say so and not its code.
    pub(crate) meaning: Option<(Kind, Option<Reason>)>,
    pub(crate) firmness: Firmness,
    /// Others have this code too: without a sign of AWS it is nothing.
    pub(crate) weak: bool,
    /// Its code stood under a key: it is a dump of an error, which may say everything twice.
    pub(crate) keyed: bool,
    /// A table's key was refused, and what KMS has said is to follow.
    pub(crate) of_table_key: bool,
    pub(crate) subject: Option<String>,
    pub(crate) region: Option<String>,
    /// What the names begin with that were to be listed.
    pub(crate) prefix: Option<String>,
    pub(crate) message: Option<Message>,
    /// Whether there is an encoded message, and it, if it is whole.
    #[expect(clippy::option_option, reason = "that there was a message is known where it was cut away, too")]
    pub(crate) encoded: Option<Option<String>>,
}

impl Frame {
    /// An error that begins at a place and whose message begins at another.
    pub(crate) fn at(range: Range<usize>) -> Self {
        Self { start: range.start, message_at: range.end, ..Self::default() }
    }

    /// Whether AWS itself has spoken.
    pub(crate) fn speaks(&self) -> bool {
        self.code.is_some() || self.message.is_some()
    }

    /// Whether a code can be its own: one that tells the same as its words.
    pub(crate) fn fits(&self, code: &str) -> bool {
        let kind = codes::meaning(Some(code), None).0;
        self.meaning.is_none_or(|(known, _)| kind == known || kind == Kind::Other)
    }

    /// Whether a refusal can be its message: its words tell nothing else, and neither does its code. Some services have codes of their own.
    pub(crate) fn can_refuse(&self) -> bool {
        let code = self.code.as_deref().map(|code| codes::meaning(Some(code), None).0);
        self.meaning.is_none_or(|(kind, _)| kind == Kind::AccessDenied)
            && code.is_none_or(|kind| matches!(kind, Kind::AccessDenied | Kind::Other))
    }

    /// What kind of problem it is, and closer.
    pub(crate) fn meaning(&self) -> (Kind, Option<Reason>) {
        if self.message.is_some() {
            return (Kind::AccessDenied, None);
        }
        self.meaning.unwrap_or_else(|| codes::meaning(self.code.as_deref(), self.status))
    }

    /// Whether there is enough to speak of a problem.
    pub(crate) fn is_problem(&self) -> bool {
        let told = self.message.is_some() || self.meaning.is_some() || self.code.is_some() || self.encoded.is_some();
        let shown = !self.weak
            || self.message.is_some()
            || self.status.is_some()
            || self.request_id.is_some()
            || self.service.is_some();
        told && shown || self.status.is_some_and(|status| status >= 300) && self.meaning().0 != Kind::Other
    }

    /// The problem. `direct`: the request is known not to have gone through a VPC endpoint.
    pub(crate) fn into_problem(self, direct: bool) -> Problem {
        let (kind, reason) = self.meaning();
        let mut problem = Problem::new(kind);
        if kind == Kind::AccessDenied || self.encoded.is_some() && self.code.is_none() {
            problem.kind = Kind::AccessDenied;
            let through = self.message.as_ref().and_then(|message| message.through);
            let is_key = self.of_table_key && self.message.is_none();
            let denial = self.into_denial();
            (problem.certain, problem.also_possible) = layers::doubt(&denial, direct);
            if let Some(through) = through.filter(|through| *through != denial.layer) {
                problem.certain = false;
                problem.also_possible.push(through);
            }
            if is_key {
                problem.also_possible.push(Layer::Kms);
            }
            problem.denial = Some(denial);
            return problem;
        }
        let service =
            self.service.or_else(|| self.operation.as_deref().and_then(services::of_operation).map(str::to_owned));
        let reason = reason.or_else(|| closer(kind, service.as_deref(), self.operation.as_deref()));
        problem.certain = self.firmness != Firmness::Vague && (kind != Kind::Other || reason.is_some());
        problem.failure = Some(Failure {
            service,
            operation: self.operation,
            code: self.code,
            request_id: self.request_id,
            subject: self.subject,
            region: self.region,
            reason,
        });
        problem
    }

    fn into_denial(self) -> Denial {
        let mut denial = self.message.map(|message| message.denial).unwrap_or_default();
        let operation = self.operation;
        denial.service = service(self.service, operation.as_deref(), &denial);
        denial.operation = operation;
        denial.error_code = self.code;
        denial.prefix = self.prefix.or(denial.prefix);
        denial.request_id = self.request_id;
        if let Some(encoded) = self.encoded {
            denial.has_encoded_message = true;
            denial.encoded_message = encoded;
        }
        // S3 says so only of the key that it was to use.
        if denial.layer == Layer::Kms {
            denial.effect = Effect::Unknown;
        }
        denial
    }
}

/// The service that answered: as the envelope names it, or by what was called, or by what was refused.
fn service(named: Option<String>, operation: Option<&str>, denial: &Denial) -> Option<String> {
    let action = denial.action.as_deref().and_then(|action| action.split_once(':'));
    let own = action.is_some_and(|(_, name)| operation.is_none_or(|operation| operation == name));
    let of_action = || action.map(|(service, _)| service.to_ascii_lowercase());
    let of_operation = || operation.and_then(services::of_operation).map(str::to_owned);
    let of_resource = || {
        let arn = denial.resource.as_deref()?.strip_prefix("arn:")?;
        arn.split(':').nth(1).filter(|service| !service.is_empty()).map(str::to_owned)
    };
    named
        .or_else(|| denial.service.clone())
        .or_else(|| if own { of_action() } else { of_operation().or_else(of_action) })
        .or_else(of_resource)
}

/// What is missing, by who says so.
fn closer(kind: Kind, service: Option<&str>, operation: Option<&str>) -> Option<Reason> {
    match (kind, service?, operation) {
        (Kind::NotFound, "dynamodb", _) => Some(Reason::Table),
        (Kind::NotFound, "kms", _) => Some(Reason::Key),
        (Kind::NotFound, "s3", Some("HeadBucket" | "ListObjectsV2" | "ListObjects")) => Some(Reason::Bucket),
        (Kind::NotFound, "s3", Some("HeadObject" | "GetObject")) => Some(Reason::Object),
        _ => None,
    }
}
