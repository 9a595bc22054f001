//! A place whose requests go through a lab, where policies have a say.

use std::sync::Arc;

use aws_credential_types::Credentials;
use jiff::Timestamp;
use serde_json::{Value, json};
use stateward_lab::{Config, Running, Surroundings, World};
use stateward_testkit::{FaultProxy, Moto, SecondOpinion, Seconded, fresh_name};

use crate::place::{Place, tls_only};

pub(crate) const ACCOUNT: &str = "123456789012";

pub(crate) fn policy(effect: &str, action: &str) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [{ "Sid": "Own", "Effect": effect, "Action": action, "Resource": "*" }] })
}

pub(crate) fn everything() -> Value {
    policy("Allow", "*")
}

pub(crate) fn all_but(action: &str) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "NotAction": action, "Resource": "*" }] })
}

pub(crate) fn trust(effect: &str, condition: &Value) -> Value {
    let mut statement = json!({
        "Effect": effect, "Principal": { "AWS": format!("arn:aws:iam::{ACCOUNT}:root") }, "Action": "sts:AssumeRole",
    });
    if !condition.is_null() {
        statement["Condition"] = condition.clone();
    }
    json!({ "Version": "2012-10-17", "Statement": [statement] })
}

pub(crate) struct LabPlace {
    pub(crate) place: Place,
    lab: Seconded<Running>,
    /// What its principals are called: IAM upstream is that of all tests.
    name: String,
}

impl LabPlace {
    pub(crate) fn new() -> Self {
        let mut place = Place::new();
        place.target.use_lockfile = false;
        let name = fresh_name("ci");
        let base = compiled(&world(&place, &name, 0));
        #[expect(clippy::disallowed_methods, reason = "clients sign with the real time")]
        let now = Arc::new(Timestamp::now);
        let opinion = SecondOpinion::new();
        let surroundings = Surroundings { now, seed: [3; 32], on_decision: opinion.hears() };
        let lab = opinion.of(Running::start(base, surroundings).unwrap());
        place.proxy = FaultProxy::to(lab.url());
        Self { place, lab, name }
    }

    pub(crate) fn user(&self, number: usize) -> String {
        user(&self.name, number)
    }

    pub(crate) fn role(&self, number: usize) -> String {
        role(&self.name, number)
    }

    /// A session of the role that is there from the start.
    pub(crate) fn session(&self, number: usize) -> String {
        format!("arn:aws:sts::{ACCOUNT}:assumed-role/{}-{number}/run", self.name)
    }

    /// What this one signs with, as long as nothing is changed.
    pub(crate) fn keys(&self, number: usize, arn: &str) -> Credentials {
        let world = compiled(&world(&self.place, &self.name, number));
        let (_, keys) = world.credentials().find(|(own, _)| own == arn).unwrap();
        Credentials::new(&keys.access_key, &keys.secret_key, keys.token.clone(), None, "test")
    }

    /// Everybody may do everything, but for what is changed. Each number has principals of its own, since IAM remembers the ones
    /// before.
    pub(crate) fn set(&self, number: usize, change: impl FnOnce(&mut Value)) {
        let mut world = world(&self.place, &self.name, number);
        change(&mut world);
        self.lab.lab().change(compiled(&world));
        self.place.heal();
    }
}

fn user(name: &str, number: usize) -> String {
    format!("arn:aws:iam::{ACCOUNT}:user/{name}-{number}")
}

fn role(name: &str, number: usize) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{name}-{number}")
}

fn world(place: &Place, name: &str, number: usize) -> Value {
    json!({
        "upstream": { "url": Moto::shared().url() },
        "answers": { "key_delay_s": 0 },
        "accounts": {},
        "users": [{
            "arn": user(name, number), "access_key": format!("AKIA{number}"), "secret_key": "lab", "policies": [everything()],
        }],
        "roles": [{ "arn": role(name, number), "policies": [everything()], "trust": trust("Allow", &Value::Null) }],
        "sessions": [{ "role": role(name, number), "name": "run" }],
        "buckets": [{ "name": place.bucket(), "policy": serde_json::from_str::<Value>(&tls_only(place.bucket())).unwrap() }],
        "tables": [{ "arn": format!("arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{}", place.table()) }],
        "keys": [{ "arn": format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/11111111-2222-4333-8444-555555555555") }],
    })
}

fn compiled(world: &Value) -> World {
    let config: Config = world.to_string().parse().unwrap();
    config.compile(&|path| panic!("no file is named, not {}", path.display())).unwrap()
}
