//! Requests to Organizations that read policies. AWS answers them to the management account and to whom it delegates that;
//! here every account is taken to be one of these.

use serde_json::Value;

use super::{Call, Check, Known, NotUnderstood, Service, Then, Told};
use crate::incoming::Incoming;

pub(super) fn call(request: &Incoming, known: &Known<'_>) -> Result<Call, NotUnderstood> {
    let operation = request.target().unwrap_or_default();
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let told = match operation {
        "DescribeOrganization" => Told::Organization,
        "ListParents" => Told::Parents { child: text("ChildId") },
        "ListPoliciesForTarget" => Told::Attached { target: text("TargetId"), kind: text("Filter") },
        "DescribePolicy" => Told::OrganizationPolicy { id: text("PolicyId") },
        other => return Err(NotUnderstood(format!("the lab does not know the operation `{other}` of Organizations"))),
    };
    let checks = vec![Check::new(format!("organizations:{operation}"), "*")];
    let account = known.account.map(str::to_owned);
    Ok(Call {
        service: Service::Organizations,
        operation: operation.to_owned(),
        checks,
        then: Then::Tell(told),
        account,
    })
}
