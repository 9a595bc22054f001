//! What a check found.

use serde::Serialize;
use stateward_denial::{Denial, Kind, Problem, Reason};
use stateward_iam::{AnswerStatement, Layer, Outcome};
use stateward_knowledge::advice::{Step, Who, advise};
use stateward_knowledge::entry_for;

use crate::Failed;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// It could not be found out; the finding says why.
    Untested,
    /// It works, and may go wrong.
    Warn,
    /// Terraform or stateward will fail, or can lose something.
    Fail,
}

/// What a check found. The shape is that of `stateward doctor --json`.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The check's name, which does not change: `bucket-versioning`, `right:s3:GetObject`.
    pub check: String,
    /// How it ended.
    pub status: Status,
    /// What was found, in a line.
    pub title: String,
    /// Why it is so, or matters; why it could not be tested.
    pub why: Option<String>,
    /// What to do.
    pub fix: Option<String>,
    /// The entry of the knowledge base.
    pub entry: Option<String>,
    /// The refusal that was met.
    pub denial: Option<Denial>,
    /// All that can be done about that refusal, with policies.
    #[serde(rename = "do")]
    pub steps: Vec<Step>,
    /// What the policies say that could be read.
    pub offline: Option<Offline>,
}

/// What policies say to a request that was also tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Offline {
    /// What comes out.
    pub decision: Outcome,
    /// The layer that refuses, or may.
    pub layer: Option<Layer>,
    /// The statements that made the decision.
    pub statements: Vec<AnswerStatement>,
    /// The context keys on which it depends.
    pub depends_on: Vec<String>,
    /// The policies that could not be read, each with the reason.
    pub unread: Vec<String>,
}

impl Finding {
    fn new(check: &str, status: Status, title: impl Into<String>) -> Self {
        let (check, title) = (check.to_owned(), title.into());
        Self { check, status, title, why: None, fix: None, entry: None, denial: None, steps: Vec::new(), offline: None }
    }

    /// As it should be.
    pub(crate) fn ok(check: &str, title: impl Into<String>) -> Self {
        Self::new(check, Status::Ok, title)
    }

    /// Not found out, and why not.
    pub(crate) fn untested(check: &str, why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..Self::new(check, Status::Untested, "not tested") }
    }

    /// It works, and may go wrong.
    pub(crate) fn warn(check: &str, title: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { why: Some(why.into()), fix: Some(fix.into()), ..Self::new(check, Status::Warn, title) }
    }

    /// It does not work.
    pub(crate) fn fail(check: &str, title: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { why: Some(why.into()), fix: Some(fix.into()), ..Self::new(check, Status::Fail, title) }
    }

    /// Says more of why it is so.
    pub(crate) fn add(&mut self, more: &str) {
        let why = self.why.get_or_insert_default();
        *why = match why.trim_end_matches('.') {
            "" => more.to_owned(),
            known => format!("{known}; {more}"),
        };
    }

    /// What to do is known: what whoever asks may try against such refusals elsewhere is of no use.
    pub(crate) fn decided(&mut self, fix: String) {
        self.steps.retain(|step| step.who != Who::You);
        let who = self.steps.first().map_or(Who::AccountAdmin, |step| step.who);
        let why = "The policy was read, and this statement of it decides.".to_owned();
        self.steps.insert(0, Step { step: fix.clone(), who, why, policy_for: None, policy: None });
        self.fix = Some(fix);
    }

    /// With an entry of the knowledge base.
    pub(crate) fn entry(mut self, id: &str) -> Self {
        self.entry = stateward_knowledge::find(id).map(|entry| entry.id.clone());
        self
    }

    /// What a problem means for a check.
    pub(crate) fn of_problem(check: &str, status: Status, problem: &Problem) -> Self {
        let advice = advise(problem);
        let fix = advice.steps.first().map(|step| step.step.clone());
        Self {
            why: Some(advice.why),
            fix,
            entry: entry_for(problem).map(|entry| entry.id.clone()),
            denial: problem.denial.clone(),
            steps: advice.steps,
            ..Self::new(check, status, advice.title)
        }
    }

    /// What a refused right means.
    pub(crate) fn refused(check: &str, failed: &Failed) -> Self {
        match failed.problem() {
            Some(problem) => Self::of_problem(check, Status::Fail, &problem),
            None => Self::fail(
                check,
                "refused, and AWS gives no reason",
                failed.words(),
                "ask whoever administers the account for this action; `stateward policy generate` prints the policy",
            ),
        }
    }
}

/// The check that an error is really about: a request of one check may fail for what another one looks for.
fn culprit(problem: &Problem) -> Option<(&'static str, Status)> {
    let reason = problem.failure.as_ref().and_then(|failure| failure.reason);
    Some(match (problem.kind, reason) {
        (_, Some(Reason::ClockSkew)) => ("clock", Status::Fail),
        (Kind::Authentication, _) => ("credentials", Status::Fail),
        (Kind::Region, _) => ("region", Status::Fail),
        (Kind::Network, _) => ("endpoint", Status::Fail),
        (Kind::Throttled, _) => ("endpoint", Status::Warn),
        (_, Some(Reason::Bucket)) => ("bucket-exists", Status::Fail),
        (_, Some(Reason::Table)) => ("lock-table-exists", Status::Fail),
        (_, Some(Reason::KeySchema)) => ("lock-table-schema", Status::Fail),
        (_, Some(Reason::Archived)) => ("bucket-lifecycle", Status::Fail),
        (_, Some(Reason::Key | Reason::KeyState)) => ("bucket-encryption", Status::Fail),
        _ => return None,
    })
}

/// What a failed request of a check means: for this check, and for the one that it is really about.
pub(crate) fn blame(check: &str, failed: &Failed) -> Vec<Finding> {
    if failed.is_foreign {
        let fix = "check the endpoint of the backend block or the store's URL, and `AWS_ENDPOINT_URL`; where the network asks for a sign-in, \
                   sign in, then run this again";
        return vec![
            Finding::fail("endpoint", "what answers is no service of AWS", failed.words(), fix),
            Finding::untested(check, "`endpoint` stands in the way"),
        ];
    }
    let problem = failed.problem();
    if let Some(problem) = &problem
        && let Some((culprit, status)) = culprit(problem)
    {
        let mut found = Finding::of_problem(culprit, status, problem);
        if culprit == "endpoint" && status == Status::Fail {
            found.add(failed.words());
            if let Some((title, fix)) = of_tls(failed.words()) {
                (found.title, found.fix) = (title.to_owned(), Some(fix.to_owned()));
                found.steps.clear();
            }
        }
        if let Some(region) = failed.elsewhere() {
            found.title = format!("the bucket is in {region}");
            found.fix = Some(format!("say `region = \"{region}\"` in the backend block, or set AWS_REGION={region}"));
        }
        if culprit == check {
            return vec![found];
        }
        return vec![found, Finding::untested(check, format!("`{culprit}` stands in the way"))];
    }
    if let Some(refusal) = refusal(failed) {
        let denial = problem.and_then(|problem| problem.denial);
        return vec![Finding { denial, ..Finding::untested(check, format!("{refusal}, so it could not be seen")) }];
    }
    if failed.status == Some(501) || failed.is("NotImplemented") {
        return vec![Finding::untested(check, "the service does not know this request")];
    }
    let no_answer = failed.status.is_none();
    if no_answer || failed.status.is_some_and(|status| status >= 500) {
        let title = if no_answer { "the service does not answer" } else { "the service answers with errors" };
        let fix = "check the endpoint, the proxy and the network, then run this again";
        return vec![
            Finding::fail("endpoint", title, failed.words(), fix),
            Finding::untested(check, "`endpoint` stands in the way"),
        ];
    }
    vec![Finding::untested(check, failed.words())]
}

/// What is wrong with the other end's TLS, and what to do about it, where that is no missing authority.
fn of_tls(words: &str) -> Option<(&'static str, &'static str)> {
    let is = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    Some(match () {
        () if is(&["certificate: Expired", "certificate expired"]) => (
            "the endpoint's certificate has expired",
            "have whoever keeps the endpoint renew it; where it is still good, set this machine's clock",
        ),
        () if is(&["certificate: NotValidYet", "certificate not valid yet"]) => (
            "the endpoint's certificate is not valid yet",
            "set this machine's clock; where that is right, have whoever keeps the endpoint make the certificate anew",
        ),
        () if is(&["certificate not valid for name"]) => (
            "the endpoint's certificate is for another name",
            "name the endpoint in its URL as the certificate does, or have that name put into the certificate",
        ),
        () if is(&["CaUsedAsEndEntity"]) => (
            "the endpoint's certificate is one of an authority",
            "have it made anew as that of a server (`basicConstraints=CA:FALSE`); Terraform takes this one where it is trusted, and stateward does not",
        ),
        () if is(&["TLS handshake failed: received corrupt message of type InvalidContentType"]) => (
            "the endpoint speaks no TLS",
            "say `http://` in its URL where that is meant, or have whoever keeps it set TLS up",
        ),
        () => return None,
    })
}

/// That it was for lack of a right, in words.
pub(crate) fn refusal(failed: &Failed) -> Option<String> {
    failed.is_refused().then(|| match failed.problem().and_then(|problem| problem.denial?.action) {
        Some(action) => format!("`{action}` is refused"),
        None => "the request is refused".to_owned(),
    })
}

/// Why it failed: for lack of a right, or what was answered.
pub(crate) fn in_words(failed: &Failed) -> String {
    refusal(failed).unwrap_or_else(|| failed.words().to_owned())
}

/// One finding for each check, the worst, with what the others of it say; in the order in which checks are told.
pub(crate) fn settle(found: Vec<Finding>) -> Vec<Finding> {
    let mut settled: Vec<Finding> = Vec::new();
    for finding in found {
        match settled.iter_mut().find(|known| known.check == finding.check) {
            None => settled.push(finding),
            Some(known) => {
                let (worse, other) =
                    if finding.status > known.status { (finding, known.clone()) } else { (known.clone(), finding) };
                *known = worse;
                if other.status == known.status && other.title != known.title {
                    known.add(&format!("also: {}", other.title));
                }
            }
        }
    }
    let place = |finding: &Finding| ORDER.iter().position(|check| *check == finding.check).unwrap_or(ORDER.len());
    settled.sort_by_key(place);
    settled
}

/// All checks but the rights, which come behind them.
pub(crate) const ORDER: [&str; 19] = [
    "credentials",
    "region",
    "arguments",
    "clock",
    "endpoint",
    "identity",
    "bucket-exists",
    "bucket-versioning",
    "bucket-lifecycle",
    "bucket-encryption",
    "bucket-public-access",
    "bucket-tls-only",
    "lock-table-exists",
    "lock-table-schema",
    "lock-table-recovery",
    "digest",
    "orphan-lock",
    "conditional-write",
    "mutual-exclusion",
];
