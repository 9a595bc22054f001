//! Policies inside of what AWS's command line prints around them.

use crate::json::{self, Node, Value};
use crate::policy::{Policy, PolicyError, PolicyKind};

/// Where the document stands, by what prints it so.
const PLACES: &[&[&str]] = &[
    // aws iam get-policy-version
    &["PolicyVersion", "Document"],
    // aws iam get-role-policy, get-user-policy, get-group-policy
    &["PolicyDocument"],
    // aws iam get-role
    &["Role", "AssumeRolePolicyDocument"],
    // aws organizations describe-policy
    &["Policy", "Content"],
    // aws s3api get-bucket-policy, aws kms get-key-policy, aws dynamodb get-resource-policy
    &["Policy"],
];

impl Policy {
    /// Reads a document, alone or as AWS's command line prints it. Those of endpoints are read by
    /// [`endpoint_policies`](crate::endpoint_policies), for each of them is of a service.
    ///
    /// Places of errors are in the text, or in the document where that is a string in the text.
    pub fn parse_printed(text: &str, kind: PolicyKind) -> Result<Self, PolicyError> {
        let node = json::parse(text).map_err(PolicyError::json)?;
        for place in PLACES {
            if let Some(document) = place.iter().try_fold(&node, |node, name| node.get(name)) {
                return Self::from_printed(text, document, kind);
            }
        }
        Self::from_node(text, &node, kind)
    }

    /// Reads a document as the service sends it: IAM percent-encodes it.
    pub fn parse_sent(text: &str, kind: PolicyKind) -> Result<Self, PolicyError> {
        Self::parse(&decode_sent(text), kind)
    }

    /// The command line prints documents as JSON or as a string of it.
    pub(crate) fn from_printed(text: &str, document: &Node<'_>, kind: PolicyKind) -> Result<Self, PolicyError> {
        match &document.value {
            Value::String(sent) => Self::parse_sent(sent, kind),
            _ => Self::from_node(text, document, kind),
        }
    }
}

/// A document as the service sends it, percent-encoded or not, as it was written.
pub fn decode_sent(text: &str) -> String {
    if text.starts_with('%') { decode(text) } else { text.to_owned() }
}

/// Percent-decoded; what is no escape stays, so that the JSON reader complains about it.
fn decode(text: &str) -> String {
    let digit =
        |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16)).and_then(|d| u8::try_from(d).ok());
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(high * 16 + low);
                at += 3;
            }
            _ => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
