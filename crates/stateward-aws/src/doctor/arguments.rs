//! What the arguments of the backend say by themselves, whatever is found at the place.

use super::{Finding, Patient};

impl Patient {
    /// Needs no request.
    pub(super) fn of_arguments(&self) -> Vec<Finding> {
        self.unused_key().into_iter().collect()
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
