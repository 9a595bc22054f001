//! How large AWS lets policies be.

use crate::policy::{Policy, PolicyKind};

/// The most characters that AWS stores of a policy of a kind, and what they are of. White space between the parts of a
/// policy does not count.
///
/// From <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html> and the pages of the services,
/// where a quota can be raised the highest.
pub fn limit(kind: PolicyKind) -> (usize, &'static str) {
    match kind {
        PolicyKind::Identity => (10_240, "all inline policies of a role together; a managed policy may have 6,144"),
        PolicyKind::Boundary => (6_144, "a managed policy"),
        PolicyKind::Session => (2_048, "session policies"),
        PolicyKind::Resource => (32_768, "a key policy; bucket and table policies may have 20,480"),
        PolicyKind::Trust => (8_192, "a trust policy; 2,048 unless the quota was raised"),
        PolicyKind::Scp => (10_240, "a service control policy"),
        PolicyKind::Rcp => (5_120, "a resource control policy"),
        PolicyKind::VpcEndpoint => (20_480, "an endpoint policy"),
    }
}

/// Says so where a policy is larger than AWS stores any of its kind.
pub(crate) fn too_large(policy: &Policy) -> Option<String> {
    let (limit, what) = limit(policy.kind);
    let size = policy.size;
    (size > limit).then(|| format!("has {size} characters, and AWS stores at most {limit} of {what}: split it"))
}
