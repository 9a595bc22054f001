//! Terraform's lock information, as the `http` backend sends it.

use serde::{Deserialize, Serialize};

/// The fields of Terraform's `LockInfo` that the backend reads. The bytes themselves are kept as they came.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LockInfo {
    /// The lock's ID: whatever the client chose, often in the form of a UUID.
    #[serde(rename = "ID")]
    pub id: String,
    /// `OperationTypePlan`, `OperationTypeApply`, `init`, `state-push`, …
    pub operation: String,
    /// Free text; empty in practice.
    pub info: String,
    /// `user@host`.
    pub who: String,
    /// The tool's version.
    pub version: String,
    /// When the client asked, RFC 3339.
    pub created: String,
    /// Filled in by some backends.
    pub path: String,
}

/// Terraform's word for a plan in [`LockInfo::operation`].
pub const OPERATION_PLAN: &str = "OperationTypePlan";

const ID_BYTES_MAX: usize = 1024;

impl LockInfo {
    /// Reads lock information. The error says what is wrong with it, without its content.
    pub fn parse(raw: &[u8]) -> Result<Self, String> {
        let info: Self = serde_json::from_slice(raw).map_err(|error| {
            format!(
                "the body is not Terraform's lock information in JSON (line {}, column {})",
                error.line(),
                error.column()
            )
        })?;
        match info.id.len() {
            0 => Err("the lock information has no `ID`".to_owned()),
            1..=ID_BYTES_MAX => Ok(info),
            _ => Err("the lock's `ID` is longer than 1024 bytes".to_owned()),
        }
    }

    /// The text that is sent.
    pub fn to_json(&self) -> String {
        // Serialising plain data into memory has no way to fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// True where only the ID is set, which is how OpenTofu's `force-unlock` asks.
    pub fn is_id_only(&self) -> bool {
        self.who.is_empty()
            && self.operation.is_empty()
            && (self.created.is_empty() || self.created.starts_with("0001-01-01"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terraform_s_own_bytes() {
        let raw = br#"{"ID":"f108b30f-8c7b-b79e-433f-91f4236138ae","Operation":"OperationTypeApply","Info":"","Who":"root@vm","Version":"1.11.4","Created":"2026-11-20T15:34:51.102410368Z","Path":""}"#;
        let info = LockInfo::parse(raw).unwrap();
        assert_eq!((info.who.as_str(), info.is_id_only()), ("root@vm", false));
    }

    #[test]
    fn an_id_alone_is_a_verified_force_unlock() {
        let raw =
            br#"{"ID":"x","Operation":"","Info":"","Who":"","Version":"","Created":"0001-01-01T00:00:00Z","Path":""}"#;
        assert!(LockInfo::parse(raw).unwrap().is_id_only());
        assert!(LockInfo::parse(br#"{"ID":"x"}"#).unwrap().is_id_only());
    }

    #[test]
    fn what_is_no_lock_information() {
        for bad in [
            &b""[..],
            b"{}",
            b"[]",
            b"\"x\"",
            br#"{"ID":""}"#,
            br#"{"ID":7}"#,
            b"{\"ID\":\"x\"",
            &[b"{\"ID\":\"", &[b'x'; 2000][..], b"\"}"].concat(),
        ] {
            assert!(LockInfo::parse(bad).is_err());
        }
    }
}
