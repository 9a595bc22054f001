//! Why a body is not a state this crate can work with.

/// Why a body was refused.
///
/// The messages name offsets (in bytes from the start of the body), depths, field names of the state format and
/// instance addresses. They never hold values of the state: Terraform itself refuses sensitive values in the keys of
/// `for_each`, so an address is safe to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// Nothing but white space.
    #[error("the body is empty: a state is a JSON object; send the state file itself")]
    Empty,
    /// A UTF-8 byte order mark; Terraform does not read such a file either.
    #[error("the body starts with a byte order mark, which JSON does not allow: save the file without it")]
    ByteOrderMark,
    /// Not JSON (RFC 8259).
    #[error(
        "the body is not valid JSON: expected {expected} at byte {offset}; check that the file is complete and unedited"
    )]
    Syntax {
        /// Where the unexpected byte stands.
        offset: u64,
        /// What JSON allows there.
        expected: &'static str,
    },
    /// Not UTF-8.
    #[error("the body is not valid UTF-8 at byte {offset}: a state file is UTF-8 text; check how it was saved or sent")]
    Utf8 {
        /// Where the first invalid sequence starts.
        offset: u64,
    },
    /// The body ends inside a value.
    #[error("the body ends at byte {offset}, before its JSON is complete: it was cut off; send it again")]
    Truncated {
        /// The length of the body.
        offset: u64,
    },
    /// More nested than [`MAX_DEPTH`](crate::MAX_DEPTH).
    #[error(
        "the JSON is nested more than {limit} levels deep at byte {offset}: no state Terraform writes is; check what was sent"
    )]
    TooDeep {
        /// Where the first container too many opens.
        offset: u64,
        /// The limit, in levels.
        limit: usize,
    },
    /// Valid so far, but not a JSON object.
    #[error("the body is JSON, but not an object: a state starts with `{{`; send the state file itself")]
    NotAnObject,
    /// A field of the state format that decides about its meaning stands twice in one object.
    #[error(
        "the field `{field}` stands twice in one object, again at byte {offset}: readers would disagree which one counts; remove one"
    )]
    DuplicateField {
        /// The field.
        field: &'static str,
        /// Where its second value starts.
        offset: u64,
    },
    /// A field does not have the JSON type the state format gives it.
    #[error("not a Terraform state: at byte {offset}, {expected}; check what was sent")]
    Shape {
        /// Where the value starts.
        offset: u64,
        /// What the format asks for, as a clause: "`resources` must be an array".
        expected: &'static str,
    },
    /// No `serial`.
    #[error("the state has no `serial`: a state file carries one at its top level; send the state file itself")]
    MissingSerial,
    /// `serial` is not a whole number between 0 and 2^64-1, written in plain digits.
    #[error(
        "the `serial` at byte {offset} is not a whole number from 0 to 18446744073709551615 in plain digits; check what wrote the state"
    )]
    InvalidSerial {
        /// Where the value starts.
        offset: u64,
    },
    /// No `lineage`, or an empty one.
    #[error(
        "the state has no `lineage`: a state file carries a non-empty one at its top level; send the state file itself"
    )]
    MissingLineage,
    /// A state that is not encrypted needs a `version`.
    #[error("the state has no `version`, which names its format: send the state file itself")]
    MissingFormat,
    /// A format older than 4.
    #[error(
        "state format {version} is not supported, only 4: run `terraform apply -refresh-only` with Terraform 0.12 or later to upgrade it"
    )]
    UnsupportedFormat {
        /// The `version` of the body.
        version: u64,
    },
    /// A format newer than 4.
    #[error("state format {version} is newer than this program knows (4): upgrade stateward")]
    UnknownFormat {
        /// The `version` of the body.
        version: u64,
    },
    /// Two instances have one address.
    #[error(
        "two instances in the state have the address `{address}`: Terraform cannot read such a state; remove one of them"
    )]
    DuplicateInstance {
        /// The address.
        address: String,
    },
}
