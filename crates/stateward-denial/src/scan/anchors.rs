//! The words by which errors are found in a text, all in one pass.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};

use crate::codes::{CODES, Code, WORDS};
use crate::message::{ENCODED, VERB};
use crate::problem::{Kind, Reason};

/// What a word may be the start, or the middle, of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    /// `An error occurred (CODE) when calling the OP operation:` of the AWS CLI and boto3.
    Client,
    /// `operation error SERVICE: OP, …` of the SDK for Go v2.
    Operation,
    /// `Error executing "OP" on "ADDRESS"` of the SDK for PHP.
    Executing,
    /// `API: ACTION` of `CloudFormation`.
    Resource,
    /// `(Service: S; Status Code: 400; …)` of the SDKs for Java.
    Parenthesis,
    /// `status code: 400, request id: …` of the SDK for Go v1.
    Status,
    /// `request id`, however it is written.
    Request,
    /// `<Code>` of an XML body.
    Xml,
    /// `__type` of a JSON body.
    Type,
    /// A code of AWS.
    Code(&'static Code),
    /// A code that others use too.
    Word(&'static Code),
    /// `not authorized to perform`.
    Verb,
    /// `User: arn:`, where the rest may be cut off.
    User,
    /// What a message that lost its head has left.
    Tail,
    /// A refusal in words of its own.
    Own(Own),
    /// `Encoded authorization failure message:`.
    Encoded,
    /// Terraform could not take the lock.
    Lock,
    /// Where its message about that ends.
    LockEnd,
    /// `Lock Info:`.
    LockInfo,
    /// Somebody has the lock.
    Held,
    /// What was read of a lock is empty.
    Empty,
    /// A state that is not what its digest says.
    Digest,
    /// What was told before kept the state from being stored.
    Unsaved,
    /// Words that say what happened.
    Phrase(&'static Phrase),
}

/// Refusals that do not follow the grammar.
#[derive(Debug, Clone, Copy)]
pub(super) enum Own {
    /// Block Public Access, without the rest of its message.
    PublicPolicy,
    /// The same for ACLs.
    PublicAcl,
    /// A KMS key.
    Key,
    /// The KMS key of a table. What KMS said may follow.
    TableKey,
    /// A queue.
    Queue,
}

/// Words that say what happened.
#[derive(Debug)]
pub(super) struct Phrase {
    pub(super) words: &'static str,
    pub(super) kind: Kind,
    pub(super) reason: Option<Reason>,
    pub(super) how: How,
}

/// How much words say by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Everything.
    Plain,
    /// What it came to; why may be said elsewhere.
    Soft,
    /// The same, and if it is not, nothing is certain.
    Vague,
    /// Something only of AWS or Terraform, which must be named near by.
    Near,
    /// More than the code in front of them.
    Override,
    /// Something only behind `Error:`.
    Titled,
}

const fn phrase(words: &'static str, kind: Kind, reason: Reason, how: How) -> Phrase {
    Phrase { words, kind, reason: Some(reason), how }
}

const PHRASES: &[Phrase] = &[
    phrase("Unable to locate credentials", Kind::Authentication, Reason::NoCredentials, How::Plain),
    phrase("Unable to load AWS credentials from any provider", Kind::Authentication, Reason::NoCredentials, How::Plain),
    phrase(
        "Unable to load credentials from any of the providers",
        Kind::Authentication,
        Reason::NoCredentials,
        How::Plain,
    ),
    phrase("Could not load credentials from any providers", Kind::Authentication, Reason::NoCredentials, How::Plain),
    phrase("no providers in chain provided credentials", Kind::Authentication, Reason::NoCredentials, How::Plain),
    phrase("the credential provider was not enabled", Kind::Authentication, Reason::NoCredentials, How::Plain),
    phrase("no valid providers in chain", Kind::Authentication, Reason::NoCredentials, How::Plain),
    phrase("No valid credential sources", Kind::Authentication, Reason::NoCredentials, How::Vague),
    phrase("failed to refresh cached credentials", Kind::Authentication, Reason::NoCredentials, How::Vague),
    phrase("no EC2 IMDS role found", Kind::Authentication, Reason::NoCredentials, How::Soft),
    phrase("static credentials are empty", Kind::Authentication, Reason::NoCredentials, How::Plain),
    phrase("Partial credentials found in", Kind::Authentication, Reason::NoCredentials, How::Plain),
    phrase("failed to get shared config profile", Kind::Authentication, Reason::NoCredentials, How::Plain),
    phrase("The config profile (", Kind::Authentication, Reason::NoCredentials, How::Plain),
    phrase(
        "security token included in the request is expired",
        Kind::Authentication,
        Reason::ExpiredCredentials,
        How::Plain,
    ),
    phrase(
        "security token included in the request is invalid",
        Kind::Authentication,
        Reason::InvalidCredentials,
        How::Plain,
    ),
    phrase("refreshed credentials are still expired", Kind::Authentication, Reason::ExpiredCredentials, How::Plain),
    phrase(
        "The SSO session associated with this profile has expired",
        Kind::Authentication,
        Reason::SsoSession,
        How::Plain,
    ),
    phrase("Token has expired and refresh failed", Kind::Authentication, Reason::SsoSession, How::Plain),
    phrase("Error loading SSO Token", Kind::Authentication, Reason::SsoSession, How::Plain),
    phrase("SSO session has expired or is invalid", Kind::Authentication, Reason::SsoSession, How::Plain),
    phrase("cached SSO token is expired", Kind::Authentication, Reason::SsoSession, How::Plain),
    phrase("refresh cached SSO token failed", Kind::Authentication, Reason::SsoSession, How::Plain),
    phrase("Session token not found or invalid", Kind::Authentication, Reason::SsoSession, How::Override),
    phrase("MultiFactorAuthentication failed", Kind::Authentication, Reason::Mfa, How::Override),
    phrase("Request has expired", Kind::Authentication, Reason::ExpiredCredentials, How::Override),
    phrase("Signature expired:", Kind::Authentication, Reason::ClockSkew, How::Override),
    phrase("Signature not yet current:", Kind::Authentication, Reason::ClockSkew, How::Override),
    // Behind a time as only AWS writes it, and before one of this century.
    phrase("Z is now earlier than 20", Kind::Authentication, Reason::ClockSkew, How::Plain),
    phrase("Z is still later than 20", Kind::Authentication, Reason::ClockSkew, How::Plain),
    phrase(
        "headers present in the request which were not signed",
        Kind::Authentication,
        Reason::BadSignature,
        How::Override,
    ),
    phrase("Incorrect token audience", Kind::Authentication, Reason::WebIdentity, How::Override),
    phrase("No OpenIDConnect provider found in your account", Kind::Authentication, Reason::WebIdentity, How::Override),
    phrase("You must specify a region", Kind::Region, Reason::NoRegion, How::Plain),
    phrase("could not find region configuration", Kind::Region, Reason::NoRegion, How::Plain),
    phrase("Unable to find a region via the region provider chain", Kind::Region, Reason::NoRegion, How::Plain),
    phrase("must be addressed using the specified endpoint", Kind::Region, Reason::WrongRegion, How::Plain),
    phrase("S3 bucket does not exist", Kind::NotFound, Reason::Bucket, How::Plain),
    phrase("Requested resource not found", Kind::NotFound, Reason::Table, How::Plain),
    phrase("Cannot do operations on a non-existent table", Kind::NotFound, Reason::Table, How::Plain),
    phrase("dial tcp", Kind::Network, Reason::Refused, How::Near),
    phrase("request send failed", Kind::Network, Reason::Refused, How::Near),
    phrase("no such host", Kind::Network, Reason::Dns, How::Near),
    phrase("Could not resolve host", Kind::Network, Reason::Dns, How::Near),
    phrase("Name or service not known", Kind::Network, Reason::Dns, How::Near),
    phrase("Temporary failure in name resolution", Kind::Network, Reason::Dns, How::Near),
    phrase("UnknownHostException", Kind::Network, Reason::Dns, How::Near),
    phrase("getaddrinfo", Kind::Network, Reason::Dns, How::Near),
    phrase("failed to lookup address information", Kind::Network, Reason::Dns, How::Near),
    phrase("connection refused", Kind::Network, Reason::Refused, How::Near),
    phrase("connection reset by peer", Kind::Network, Reason::Refused, How::Near),
    phrase("connection closed before message completed", Kind::Network, Reason::Refused, How::Near),
    phrase("ECONNREFUSED", Kind::Network, Reason::Refused, How::Near),
    phrase("ECONNRESET", Kind::Network, Reason::Refused, How::Near),
    phrase("Could not connect to the endpoint URL", Kind::Network, Reason::Refused, How::Near),
    phrase("Connect timeout on endpoint URL", Kind::Network, Reason::Timeout, How::Near),
    phrase("Read timeout on endpoint URL", Kind::Network, Reason::Timeout, How::Near),
    phrase("i/o timeout", Kind::Network, Reason::Timeout, How::Near),
    phrase("ETIMEDOUT", Kind::Network, Reason::Timeout, How::Near),
    phrase("TLS handshake timeout", Kind::Network, Reason::Timeout, How::Near),
    phrase("context deadline exceeded", Kind::Network, Reason::Timeout, How::Near),
    phrase("Client.Timeout exceeded", Kind::Network, Reason::Timeout, How::Near),
    phrase("certificate signed by unknown authority", Kind::Network, Reason::Tls, How::Near),
    phrase("TLS handshake failed", Kind::Network, Reason::Tls, How::Near),
    phrase("CERTIFICATE_VERIFY_FAILED", Kind::Network, Reason::Tls, How::Near),
    phrase("certificate verify failed", Kind::Network, Reason::Tls, How::Near),
    phrase("PKIX path building failed", Kind::Network, Reason::Tls, How::Near),
    phrase("Saved plan is stale", Kind::StalePlan, Reason::StateChanged, How::Titled),
    phrase(
        "plan file can no longer be applied because the state was changed",
        Kind::StalePlan,
        Reason::StateChanged,
        How::Plain,
    ),
    phrase("Saved plan does not match the given state", Kind::StalePlan, Reason::OtherLineage, How::Titled),
    phrase(
        "plan file can not be applied because it was created from a different state lineage",
        Kind::StalePlan,
        Reason::OtherLineage,
        How::Plain,
    ),
    phrase("over newer state with serial", Kind::Conflict, Reason::SerialNotNewer, How::Plain),
    phrase("with a different state that has the same serial", Kind::Conflict, Reason::SerialNotNewer, How::Plain),
    phrase("over unrelated state with lineage", Kind::Conflict, Reason::OtherLineage, How::Plain),
    phrase("does not match existing lock", Kind::Conflict, Reason::LockId, How::Plain),
    phrase("failed to retrieve lock info: unexpected end of JSON", Kind::Conflict, Reason::LockId, How::Plain),
    phrase("failed to retrieve lock info", Kind::Conflict, Reason::LockId, How::Vague),
    phrase("no lock info found for", Kind::Conflict, Reason::LockId, How::Plain),
    phrase("Please reduce your request rate", Kind::Throttled, Reason::InUse, How::Override),
    phrase("provided key element does not match the schema", Kind::Other, Reason::KeySchema, How::Override),
    phrase("Missing the key LockID in the item", Kind::Other, Reason::KeySchema, How::Override),
    phrase("Missing the key", Kind::Other, Reason::KeySchema, How::Override),
    phrase("is pending deletion", Kind::Other, Reason::KeyState, How::Override),
    phrase(
        "header you provided implies functionality that is not implemented",
        Kind::Other,
        Reason::Unsupported,
        How::Override,
    ),
];

/// How `DynamoDB` begins to tell that it may not use a table's key.
pub(super) const TABLE_KEY: &str = "KMS key access denied";

/// The words that stand for something else than a code or a phrase. Where one begins with another, the longer one counts.
const WORDS_OF: &[(&str, Anchor)] = &[
    ("error occurred (", Anchor::Client),
    ("client error (", Anchor::Client),
    ("operation error ", Anchor::Operation),
    ("Error executing \"", Anchor::Executing),
    ("API: ", Anchor::Resource),
    ("(Service:", Anchor::Parenthesis),
    ("status code:", Anchor::Status),
    ("request id:", Anchor::Request),
    ("request id\":", Anchor::Request),
    ("request id'", Anchor::Request),
    ("request id=", Anchor::Request),
    ("request_id\":", Anchor::Request),
    ("request_id:", Anchor::Request),
    ("request_id=", Anchor::Request),
    ("request-id:", Anchor::Request),
    ("request-id\":", Anchor::Request),
    ("requestid\"=>", Anchor::Request),
    ("<requestid>", Anchor::Request),
    ("<code>", Anchor::Xml),
    ("__type", Anchor::Type),
    (VERB, Anchor::Verb),
    ("User: arn:", Anchor::User),
    ("because no ", Anchor::Tail),
    ("because the resource does not exist in this Region", Anchor::Tail),
    ("explicit deny in ", Anchor::Tail),
    ("public policies are prevented by the BlockPublicPolicy", Anchor::Own(Own::PublicPolicy)),
    ("public policies are blocked by the BlockPublicPolicy", Anchor::Own(Own::PublicPolicy)),
    ("public ACLs are prevented by the BlockPublicAcls", Anchor::Own(Own::PublicAcl)),
    ("public ACLs are blocked by the BlockPublicAcls", Anchor::Own(Own::PublicAcl)),
    ("refers to a customer master key that does not exist", Anchor::Own(Own::Key)),
    (TABLE_KEY, Anchor::Own(Own::TableKey)),
    ("Access to KMS is not allowed", Anchor::Own(Own::Key)),
    ("Access to the resource http", Anchor::Own(Own::Queue)),
    (ENCODED, Anchor::Encoded),
    ("Error acquiring the state lock", Anchor::Lock),
    ("Error locking state", Anchor::Lock),
    ("failed to lock s3 state", Anchor::Lock),
    ("acquires a state lock to protect", Anchor::LockEnd),
    ("Lock Info:", Anchor::LockInfo),
    ("already locked", Anchor::Held),
    ("resource temporarily unavailable", Anchor::Held),
    ("another process has locked a portion of the file", Anchor::Held),
    ("pre-conditions you specified did not hold", Anchor::Held),
    ("unexpected end of JSON input", Anchor::Empty),
    ("does not have the expected content", Anchor::Digest),
    ("Terraform from writing the updated state", Anchor::Unsaved),
    ("OpenTofu from writing the updated state", Anchor::Unsaved),
];

/// What to look for, and what each is.
pub(super) struct Anchors {
    pub(super) words: AhoCorasick,
    pub(super) meanings: Vec<Anchor>,
}

/// All anchors, as they stand in squeezed text. `None` where the automaton cannot be built, which its size does not allow.
pub(super) static ANCHORS: LazyLock<Option<Anchors>> = LazyLock::new(|| {
    let rows = WORDS_OF
        .iter()
        .copied()
        .chain(CODES.iter().map(|code| (code.name, Anchor::Code(code))))
        .chain(WORDS.iter().map(|code| (code.name, Anchor::Word(code))))
        .chain(PHRASES.iter().map(|phrase| (phrase.words, Anchor::Phrase(phrase))));
    let (words, meanings): (Vec<String>, Vec<Anchor>) =
        rows.map(|(words, anchor)| (words.replace(' ', ""), anchor)).unzip();
    let words = AhoCorasickBuilder::new()
        .match_kind(MatchKind::LeftmostLongest)
        .ascii_case_insensitive(true)
        .build(words)
        .ok()?;
    Some(Anchors { words, meanings })
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_automaton_can_be_built_and_no_word_stands_twice() {
        let anchors = ANCHORS.as_ref().expect("an automaton");
        assert_eq!(anchors.words.patterns_len(), anchors.meanings.len());
        for code in CODES.iter().chain(WORDS) {
            let found = anchors.words.find(code.name).expect("a code");
            assert_eq!(found.range(), 0..code.name.len(), "{}", code.name);
        }
        for phrase in PHRASES {
            let squeezed = phrase.words.replace(' ', "");
            assert_eq!(
                anchors.words.find(&squeezed).map(|found| found.range()),
                Some(0..squeezed.len()),
                "{}",
                phrase.words
            );
        }
    }
}
