//! What the arguments of the backend say by themselves, whatever is found at the place.

use stateward_terraform::ArgumentFault;

use super::{Finding, Patient};

/// Something for which Terraform refuses the backend before it asks anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The file and the line, or the flag.
    pub place: String,
    /// What it is.
    pub fault: ArgumentFault,
}

impl Refused {
    fn finding(&self) -> Finding {
        let Self { place, fault } = self;
        let title = format!("{place}: {fault}");
        match fault.is_certain() {
            true => Finding::fail("arguments", title, fault.why(), fault.advice()),
            false => Finding::warn("arguments", title, fault.why(), fault.advice()),
        }
    }
}

impl Patient {
    /// Needs no request.
    pub(super) fn of_arguments(&self) -> Vec<Finding> {
        let refused = self.target.refused.iter().map(Refused::finding);
        refused.chain(self.unused_key()).chain(self.unlooked()).collect()
    }

    /// Keys in a backend block go where the block goes:
    /// <https://developer.hashicorp.com/terraform/language/backend#credentials-and-sensitive-data>.
    pub(super) fn written_keys(&self) -> Option<Finding> {
        let keys = self.target.access.keys.as_ref()?;
        let names = if keys.session_token().is_some() {
            "`access_key`, `secret_key` and `token`"
        } else {
            "`access_key` and `secret_key`"
        };
        let why = "`terraform init` writes them to `.terraform/`, and `terraform plan -out` into each plan, where they can be read";
        let fix = format!(
            "take {names} out of the block and of `-backend-config`, and set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or `profile`; \
             then run `terraform init -reconfigure`, and make new keys in place of these"
        );
        Some(Finding::warn("credentials", format!("{names} are arguments of the backend"), why, fix))
    }

    /// Terraform may go another way than the doctor.
    fn unlooked(&self) -> Option<Finding> {
        let names: Vec<String> = self.target.unlooked.iter().map(|name| format!("`{name}`")).collect();
        let goes = self.target.unlooked.iter().any(|name| name.ends_with("_proxy"));
        let next =
            if goes { "; a proxy that `HTTPS_PROXY` and `NO_PROXY` name is gone through, as by Terraform" } else { "" };
        (!names.is_empty()).then(|| {
            Finding::untested("arguments", format!("not looked at: {} of the backend{next}", names.join(", ")))
        })
    }

    /// What Terraform says to the account before anything else.
    pub(super) fn of_account(&self, account: &str) -> Option<Finding> {
        let accounts = &self.target.accounts;
        if accounts.unasked && !accounts.allowed.is_empty() {
            let why =
                "the backend skips asking for the account, and `allowed_account_ids` allows none that is not known";
            let fix = "take `skip_requesting_account_id` out, or `allowed_account_ids`";
            return Some(Finding::fail("identity", "Terraform refuses every account here", why, fix));
        }
        if accounts.unasked || accounts.allow(account) {
            return None;
        }
        let list = if accounts.allowed.is_empty() { "forbidden_account_ids" } else { "allowed_account_ids" };
        let why = format!("`{list}` of the backend says so, and Terraform stops there");
        let fix = "take credentials of the right account, or put the list right";
        Some(Finding::fail("identity", format!("the account {account} is not allowed"), why, fix))
    }

    /// A key that the backend names in vain.
    fn unused_key(&self) -> Option<Finding> {
        let name = self.target.unused_key?;
        let mut why =
            "Terraform sends a key with `encrypt = true` alone, so the bucket's own setting decides".to_owned();
        if name == "sse_customer_key" {
            why.push_str("; once it says so, what was written without the key can only be read without it");
        }
        let fix = format!("say `encrypt = true` in the backend block, or take `{name}` out");
        Some(Finding::warn("bucket-encryption", format!("`{name}` of the backend is never used"), why, fix))
    }
}
