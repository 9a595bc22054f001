//! Whether a key can be used at all, whatever policies say, and how AWS says that it cannot.
//! <https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html>

use serde::Deserialize;

use crate::answer::Refused;
use crate::ask::Service;

/// What has become of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyState {
    #[default]
    Enabled,
    Disabled,
    PendingDeletion,
}

/// What needs a key that is enabled.
const USES: &[&str] = &[
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DisableKeyRotation",
    "kms:EnableKeyRotation",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
];

/// What needs one that is not about to be deleted.
const CHANGES: &[&str] = &[
    "kms:CreateAlias",
    "kms:DisableKey",
    "kms:EnableKey",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
];

impl KeyState {
    /// What KMS answers to an action on the key in this state: its error, and a sentence. `None` where the state is no obstacle.
    fn obstacle(self, action: &str, key: &str) -> Option<(&'static str, String)> {
        let is_pending = self == Self::PendingDeletion;
        if action == "kms:CancelKeyDeletion" {
            return (!is_pending).then(|| (INVALID_STATE, format!("{key} is not pending deletion.")));
        }
        match self {
            Self::Disabled if USES.contains(&action) => Some((DISABLED, format!("{key} is disabled."))),
            Self::PendingDeletion if USES.contains(&action) || CHANGES.contains(&action) => {
                Some((INVALID_STATE, format!("{key} is pending deletion.")))
            }
            _ => None,
        }
    }

    /// The same as a service answers it to whoever asked the service. `id` is KMS's of its own answer.
    pub(crate) fn refused(self, service: Service, action: &str, key: &str, id: &str) -> Option<Refused> {
        let (code, message) = self.obstacle(action, key)?;
        Some(match service {
            Service::S3 => Refused::new(
                400,
                if code == DISABLED { "KMS.DisabledException" } else { "KMS.KMSInvalidStateException" },
                message,
            ),
            Service::Dynamodb => {
                let what = if code == DISABLED { "KMS key disabled error" } else { "KMS validation error" };
                Refused::new(400, "ValidationException", through_dynamodb(what, code, code, &message, id))
            }
            _ => Refused::new(400, code, message),
        })
    }
}

const DISABLED: &str = "DisabledException";
const INVALID_STATE: &str = "KMSInvalidStateException";

/// `DynamoDB` passes on what the SDK told it of KMS's answer, whole.
fn through_dynamodb(what: &str, class: &str, code: &str, message: &str, id: &str) -> String {
    format!(
        "{what}: com.amazonaws.services.kms.model.{class}: {message} (Service: AWSKMS; Status Code: 400; Error Code: {code}; Request ID: {id}; Proxy: null)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/0a1b";

    #[test]
    fn a_state_stands_in_the_way_of_some_actions() {
        use KeyState::{Disabled, Enabled, PendingDeletion};
        let disabled = Some(format!("DisabledException: {KEY} is disabled."));
        let pending = Some(format!("KMSInvalidStateException: {KEY} is pending deletion."));
        let is_not = Some(format!("KMSInvalidStateException: {KEY} is not pending deletion."));
        for (action, expected) in [
            ("kms:Decrypt", [&None, &disabled, &pending]),
            ("kms:CreateGrant", [&None, &disabled, &pending]),
            ("kms:EnableKey", [&None, &None, &pending]),
            ("kms:ScheduleKeyDeletion", [&None, &None, &pending]),
            ("kms:CancelKeyDeletion", [&is_not, &is_not, &None]),
            ("kms:DescribeKey", [&None, &None, &None]),
            ("kms:PutKeyPolicy", [&None, &None, &None]),
        ] {
            for (state, expected) in [Enabled, Disabled, PendingDeletion].into_iter().zip(expected) {
                let told = state.obstacle(action, KEY).map(|(code, message)| format!("{code}: {message}"));
                assert_eq!(&told, expected, "{action} {state:?}");
            }
        }
    }

    #[test]
    fn each_service_says_it_in_its_own_way() {
        let said = |state: KeyState, service: Service| {
            let refused = state.refused(service, "kms:Decrypt", KEY, "ID").expect("refused");
            format!("{} {}: {}", refused.status, refused.code, refused.message)
        };
        for (state, service, expected) in [
            (KeyState::Disabled, Service::Kms, format!("400 DisabledException: {KEY} is disabled.")),
            (KeyState::Disabled, Service::S3, format!("400 KMS.DisabledException: {KEY} is disabled.")),
            (
                KeyState::PendingDeletion,
                Service::S3,
                format!("400 KMS.KMSInvalidStateException: {KEY} is pending deletion."),
            ),
            (
                KeyState::Disabled,
                Service::Dynamodb,
                format!(
                    "400 ValidationException: KMS key disabled error: com.amazonaws.services.kms.model.DisabledException: {KEY} is disabled. (Service: AWSKMS; Status Code: 400; Error Code: DisabledException; Request ID: ID; Proxy: null)"
                ),
            ),
            (
                KeyState::PendingDeletion,
                Service::Dynamodb,
                format!(
                    "400 ValidationException: KMS validation error: com.amazonaws.services.kms.model.KMSInvalidStateException: {KEY} is pending deletion. (Service: AWSKMS; Status Code: 400; Error Code: KMSInvalidStateException; Request ID: ID; Proxy: null)"
                ),
            ),
        ] {
            assert_eq!(said(state, service), expected);
        }
    }
}
