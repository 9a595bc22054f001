//! Random scenarios that are valid to AWS, dense in near misses.

use serde_json::{Value, json};

use crate::case::{ACCOUNT, KEY, OBJECT, OTHER, ROLE, ROOT, SESSION, TABLE, USER};

/// `SplitMix64`: the same everywhere for a seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((value ^ (value >> 31)) % limit.max(1) as u64).expect("below a usize")
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn of<T: Clone>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())].clone()
    }
}

/// What is asked: an action, its resource, patterns that may cover them, and a key that only this action has.
struct Asked {
    action: &'static str,
    resource: &'static str,
    actions: &'static [&'static str],
    resources: &'static [&'static str],
    key: Option<(&'static str, bool)>,
}

const ASKED: &[Asked] = &[
    Asked {
        action: "dynamodb:PutItem",
        resource: TABLE,
        actions: &["dynamodb:PutItem", "dynamodb:putitem", "dynamodb:*Item", "dynamodb:P?tItem", "dynamodb:Get*"],
        resources: &[
            TABLE,
            "arn:aws:dynamodb:*:*:table/locks",
            "arn:aws:dynamodb:eu-west-1:111122223333:table/lo*",
            "arn:aws:dynamodb:eu-west-1:111122223333:table/l?cks",
            "arn:aws:dynamodb:us-east-1:111122223333:table/locks",
            "arn:aws:dynamodb:*:*:table/${aws:PrincipalTag/team}",
            "arn:aws:dynamodb:*:*:table/${aws:PrincipalTag/stage, 'locks'}",
        ],
        key: Some(("dynamodb:LeadingKeys", true)),
    },
    Asked {
        action: "s3:GetObject",
        resource: OBJECT,
        actions: &["s3:GetObject", "s3:Get*", "s3:*", "S3:getobject", "s3:PutObject"],
        resources: &[
            OBJECT,
            "arn:aws:s3:::states/*",
            "arn:aws:s3:::*",
            "arn:aws:s3:::states/dev/*",
            "arn:aws:s3:::states/${aws:PrincipalTag/team}/*",
        ],
        key: None,
    },
    Asked {
        action: "s3:ListBucket",
        resource: "arn:aws:s3:::states",
        actions: &["s3:ListBucket", "s3:List*", "s3:Get*"],
        resources: &["arn:aws:s3:::states", "arn:aws:s3:::stat*", "arn:aws:s3:::other"],
        key: Some(("s3:prefix", false)),
    },
    Asked {
        action: "kms:Decrypt",
        resource: KEY,
        actions: &["kms:Decrypt", "kms:*", "kms:Encrypt"],
        resources: &[KEY, "arn:aws:kms:*:*:key/*", "arn:aws:kms:*:*:key/other"],
        key: Some(("kms:ViaService", false)),
    },
    Asked {
        action: "dynamodb:ListTables",
        resource: "*",
        actions: &["dynamodb:ListTables", "dynamodb:List*", "dynamodb:Get*"],
        resources: &["arn:aws:dynamodb:*:*:table/*", TABLE],
        key: None,
    },
];

const STRINGS: &[&str] = &["a", "b", "locks", "prod", "states"];
const TEAM: &str = "aws:PrincipalTag/team";

/// A scenario, as `policy evaluate` takes it.
pub(crate) fn scenario(random: &mut Random) -> Value {
    let asked = &ASKED[random.below(ASKED.len())];
    let principal = random.of(&[USER, SESSION]);
    let mut scenario = json!({
        "request": {
            "principal": principal,
            "action": asked.action,
            "resource": asked.resource,
            "resource_account": random.of(&[ACCOUNT, ACCOUNT, ACCOUNT, OTHER]),
            "context": context(random, asked, principal),
        },
        "identity": policies(random, asked, "identity", 3),
    });
    if random.one_in(4) {
        scenario["boundary"] = policies(random, asked, "boundary", 2);
    }
    let session = principal == SESSION && random.one_in(3);
    if session {
        scenario["session"] = json!([{"name": "session", "policy": policy(random, asked, &|_, _| {})}]);
    }
    if random.one_in(2) {
        // Sessions and everyone are granted to directly, about which the second opinion differs.
        let entries = if session { &ENTRIES[..5] } else { ENTRIES };
        let principals =
            |random: &mut Random, statement: &mut Value| statement["Principal"] = principal_element(random, entries);
        scenario["resource_policy"] = json!({"name": "resource", "policy": policy(random, asked, &principals)});
    }
    if random.one_in(4) {
        let levels = (0..=random.below(2)).map(|_| policies(random, asked, "scp", 3)).collect();
        scenario["scps"] = levels;
    }
    if random.one_in(4) {
        let levels = (0..=random.below(2)).map(|_| rcps(random, asked)).collect();
        scenario["rcps"] = levels;
    }
    if random.one_in(6) {
        let everyone = |_: &mut Random, statement: &mut Value| statement["Principal"] = "*".into();
        scenario["vpc_endpoint"] = json!([{"name": "endpoint", "policy": policy(random, asked, &everyone)}]);
    }
    scenario
}

/// Those that grant to an account or a role come first.
const ENTRIES: &[&str] = &[ACCOUNT, ROOT, ROLE, OTHER, "arn:aws:iam::111122223333:role/other", USER, SESSION, "*"];

fn principal_element(random: &mut Random, entries: &[&str]) -> Value {
    if random.one_in(4) {
        return json!({"AWS": [random.of(entries), random.of(entries)]});
    }
    json!({"AWS": random.of(entries)})
}

fn policies(random: &mut Random, asked: &Asked, name: &str, most: usize) -> Value {
    let count = 1 + random.below(most);
    let one = |number| json!({"name": format!("{name}-{number}"), "policy": policy(random, asked, &|_, _| {})});
    (0..count).map(one).collect()
}

fn policy(random: &mut Random, asked: &Asked, with: &dyn Fn(&mut Random, &mut Value)) -> Value {
    let count = 1 + random.below(3);
    let statements: Vec<Value> = (0..count)
        .map(|_| {
            let mut statement = statement(random, asked);
            with(random, &mut statement);
            statement
        })
        .collect();
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn rcps(random: &mut Random, asked: &Asked) -> Value {
    let service = asked.action.split(':').next().expect("a service");
    let mut statement = json!({"Effect": "Deny", "Principal": "*", "Action": format!("{service}:*"), "Resource": "*"});
    statement["Condition"] = condition(random, asked);
    json!([{"name": "rcp", "policy": {"Version": "2012-10-17", "Statement": [statement]}}])
}

fn some(random: &mut Random, values: &[&str]) -> Value {
    if random.one_in(4) {
        return json!([random.of(values), random.of(values)]);
    }
    random.of(values).into()
}

fn statement(random: &mut Random, asked: &Asked) -> Value {
    let mut statement = json!({"Effect": random.of(&["Allow", "Allow", "Allow", "Deny"])});
    let (action, resource) = match random.below(12) {
        0 => ("NotAction", "Resource"),
        1 => ("Action", "NotResource"),
        _ => ("Action", "Resource"),
    };
    let actions = if random.one_in(3) { &["*"] } else { asked.actions };
    statement[action] = some(random, actions);
    let resources = if random.one_in(2) { &["*"] } else { asked.resources };
    statement[resource] = some(random, resources);
    if random.one_in(2) {
        statement["Condition"] = condition(random, asked);
    }
    statement
}

fn context(random: &mut Random, asked: &Asked, principal: &str) -> Value {
    let mut context = json!({
        "aws:PrincipalArn": if principal == USER { USER } else { ROLE },
        "aws:PrincipalAccount": ACCOUNT,
        "aws:PrincipalType": if principal == USER { "User" } else { "AssumedRole" },
    });
    for (key, values) in [
        ("aws:SourceIp", &["10.1.2.3", "203.0.113.9"][..]),
        ("aws:SecureTransport", &["true", "false"]),
        ("aws:MultiFactorAuthAge", &["5", "5.0", "300", "-1"]),
        ("aws:CurrentTime", &["2026-11-25T20:00:00Z", "2024-02-29T00:00:00Z"]),
        ("aws:SourceArn", &["arn:aws:s3:::states", "arn:aws:sns:eu-west-1:111122223333:a:b"]),
        (TEAM, STRINGS),
        ("aws:RequestedRegion", &["eu-west-1", "us-east-1"]),
    ] {
        if !random.one_in(3) {
            context[key] = random.of(values).into();
        }
    }
    for (key, multivalued) in asked.key.into_iter().chain([("aws:TagKeys", true)]) {
        match (random.below(4), multivalued) {
            (0, _) => {}
            (1, true) => context[key] = json!([random.of(STRINGS), random.of(STRINGS)]),
            (_, true) => context[key] = json!([random.of(STRINGS)]),
            (_, false) => context[key] = random.of(STRINGS).into(),
        }
    }
    context
}

fn condition(random: &mut Random, asked: &Asked) -> Value {
    let mut condition = json!({});
    for _ in 0..=random.below(2) {
        let (operator, key, value) = test(random, asked);
        let operator = match random.below(5) {
            0 if operator != "Null" && !operator.starts_with("ForAnyValue") => format!("{operator}IfExists"),
            _ => operator,
        };
        if condition[&operator].is_null() {
            condition[&operator] = json!({});
        }
        condition[&operator][key] = value;
    }
    condition
}

/// An operator, a key of its type, and values.
fn test(random: &mut Random, asked: &Asked) -> (String, String, Value) {
    let own = asked.key.filter(|(_, multivalued)| !multivalued).map_or(TEAM, |(key, _)| key);
    let (operators, key, values): (&[&str], &str, &[&str]) = match random.below(9) {
        0 => (&["IpAddress", "NotIpAddress"], "aws:SourceIp", &["10.0.0.0/8", "203.0.113.9", "2001:db8::/32", "::/0"]),
        1 => (&["Bool"], "aws:SecureTransport", &["true", "false", "TRUE"]),
        2 => (
            &["NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericGreaterThanEquals"],
            "aws:MultiFactorAuthAge",
            &["5", "300", "5.5", "-1"],
        ),
        3 => (
            &["DateEquals", "DateNotEquals", "DateLessThan", "DateGreaterThanEquals"],
            "aws:CurrentTime",
            &["2026-11-25T20:00:00Z", "2025-01-01", "2024-02-29T01:00:00+01:00"],
        ),
        4 => (
            &["ArnLike", "ArnEquals", "ArnNotLike", "ArnNotEquals"],
            "aws:SourceArn",
            &["arn:aws:s3:::states", "arn:aws:s3:::*", "arn:aws:sns:*:*:a*", "arn:*:*:*:*:*"],
        ),
        5 => {
            let key = asked.key.filter(|(_, multivalued)| *multivalued).map_or("aws:TagKeys", |(key, _)| key);
            let sets = &[
                "ForAllValues:StringEquals",
                "ForAnyValue:StringEquals",
                "ForAllValues:StringNotEquals",
                "ForAnyValue:StringNotEquals",
                "ForAllValues:StringLike",
                "ForAnyValue:StringNotLike",
                "StringEquals",
            ];
            return (random.of(sets).to_owned(), key.to_owned(), some(random, STRINGS));
        }
        6 => (&["Null"], random.of(&[TEAM, "aws:SourceIp", "aws:TagKeys", own]), &["true", "false"]),
        _ => (
            &[
                "StringEquals",
                "StringNotEquals",
                "StringLike",
                "StringNotLike",
                "StringEqualsIgnoreCase",
                "StringNotEqualsIgnoreCase",
            ],
            random.of(&[TEAM, own, "aws:RequestedRegion", "aws:PrincipalArn"]),
            &["a", "A", "l*s", "lock?", "prod", "eu-west-?", "arn:aws:iam::*:role/*", "${aws:PrincipalAccount}"],
        ),
    };
    (random.of(operators).to_owned(), key.to_owned(), some(random, values))
}
