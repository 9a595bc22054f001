//! Scenarios in short.

use serde_json::{Value, json};
use stateward_iam::{Answer, evaluate_json};

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const OTHER: &str = "444455556666";
pub(crate) const USER: &str = "arn:aws:iam::111122223333:user/ci";
pub(crate) const ROLE: &str = "arn:aws:iam::111122223333:role/deploy";
pub(crate) const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/deploy/run-1";
pub(crate) const ROOT: &str = "arn:aws:iam::111122223333:root";
pub(crate) const FEDERATED: &str = "arn:aws:sts::111122223333:federated-user/bob";
pub(crate) const TABLE: &str = "arn:aws:dynamodb:eu-west-1:111122223333:table/locks";
pub(crate) const OTHER_TABLE: &str = "arn:aws:dynamodb:eu-west-1:444455556666:table/locks";
pub(crate) const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/0a1b";
pub(crate) const OBJECT: &str = "arn:aws:s3:::states/prod/terraform.tfstate";

/// A scenario, built up part by part. It asks for `dynamodb:PutItem` on a table unless told otherwise.
#[derive(Clone)]
pub(crate) struct Case(Value);

impl Case {
    pub(crate) fn new(principal: &str) -> Self {
        Self(json!({"request": {"principal": principal, "action": "dynamodb:PutItem", "resource": TABLE}}))
    }

    pub(crate) fn asks(mut self, action: &str, resource: &str) -> Self {
        self.0["request"]["action"] = action.into();
        self.0["request"]["resource"] = resource.into();
        self
    }

    pub(crate) fn owned_by(mut self, account: &str) -> Self {
        self.0["request"]["resource_account"] = account.into();
        self
    }

    pub(crate) fn context(mut self, context: Value) -> Self {
        self.0["request"]["context"] = context;
        self
    }

    pub(crate) fn unknown(mut self, keys: &[&str]) -> Self {
        self.0["request"]["unknown"] = json!(keys);
        self
    }

    fn push(mut self, part: &str, policy: Value) -> Self {
        let list = &mut self.0[part];
        if list.is_null() {
            *list = json!([]);
        }
        list.as_array_mut().expect("a list").push(policy);
        self
    }

    pub(crate) fn identity(self, policy: Value) -> Self {
        self.push("identity", json!({"name": "identity", "policy": policy}))
    }

    pub(crate) fn boundary(self, policy: Value) -> Self {
        self.push("boundary", json!({"name": "boundary", "policy": policy}))
    }

    pub(crate) fn session(self, policy: Value) -> Self {
        self.push("session", json!({"name": "session", "policy": policy}))
    }

    pub(crate) fn vpc_endpoint(self, policy: Value) -> Self {
        self.push("vpc_endpoint", json!({"name": "endpoint", "policy": policy}))
    }

    pub(crate) fn resource_policy(mut self, policy: Value) -> Self {
        self.0["resource_policy"] = json!({"name": "resource", "policy": policy});
        self
    }

    /// One level of service control policies.
    pub(crate) fn scps(self, level: &[Value]) -> Self {
        self.push("scps", level.iter().map(|policy| json!({"name": "scp", "policy": policy})).collect())
    }

    /// One level of resource control policies.
    pub(crate) fn rcps(self, level: &[Value]) -> Self {
        self.push("rcps", level.iter().map(|policy| json!({"name": "rcp", "policy": policy})).collect())
    }

    /// A part as it stands in the scenario.
    pub(crate) fn part(mut self, name: &str, value: Value) -> Self {
        self.0[name] = value;
        self
    }

    pub(crate) fn json(&self) -> String {
        self.0.to_string()
    }

    pub(crate) fn answer(&self) -> Answer {
        evaluate_json(&self.json()).expect("a valid scenario")
    }

    /// The decision, and after a colon the layer that refuses.
    pub(crate) fn decision(&self) -> String {
        let answer = serde_json::to_value(self.answer()).expect("JSON");
        let text = |part: &str| answer[part].as_str().map(str::to_owned);
        let decision = text("decision").expect("a decision");
        text("layer").map_or_else(|| decision.clone(), |layer| format!("{decision}:{layer}"))
    }
}

/// A policy of these statements.
pub(crate) fn policy(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// A statement: these elements, where it says nothing else everything.
fn statement(effect: &str, elements: &Value) -> Value {
    let mut statement = elements.clone();
    statement["Effect"] = effect.into();
    for (element, other) in [("Action", "NotAction"), ("Resource", "NotResource")] {
        if statement[element].is_null() && statement[other].is_null() {
            statement[element] = "*".into();
        }
    }
    let members = statement.as_object_mut().expect("an object");
    members.retain(|_, value| !value.is_null());
    statement
}

/// A policy that allows this.
pub(crate) fn allow(elements: &Value) -> Value {
    policy(&[statement("Allow", elements)])
}

/// A policy that denies this.
pub(crate) fn deny(elements: &Value) -> Value {
    policy(&[statement("Deny", elements)])
}

/// A policy that allows everything.
pub(crate) fn everything() -> Value {
    allow(&json!({}))
}

/// A policy that allows something else than what is asked.
pub(crate) fn something_else() -> Value {
    allow(&json!({"Action": "sqs:*"}))
}

/// A policy of a resource that allows everything to these.
pub(crate) fn grants(principal: &Value) -> Value {
    allow(&json!({"Principal": principal}))
}

/// The same as a trust policy, which names no resource.
pub(crate) fn trusts(principal: &Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}})
}
