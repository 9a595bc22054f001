//! `policy generate`, `evaluate`, `check` and `lint`.

use insta::assert_snapshot;
use serde_json::{Value, json};
use stateward_testkit::Output;

use crate::world::{World, words};

const KEEPING: &str = "--bucket acme-states --key prod/network.tfstate";
const ROLE: &str = "arn:aws:iam::111122223333:role/ci";

fn write(world: &World, file: &str, value: &Value) {
    world.dir.write(file, serde_json::to_string_pretty(value).expect("JSON"));
}

#[expect(clippy::needless_pass_by_value, reason = "statements are written where they are passed")]
fn statement(statement: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

fn scenario(effect: &str) -> Value {
    json!({
        "request": {"principal": ROLE, "action": "s3:GetObject", "resource": "arn:aws:s3:::acme-states/prod/network.tfstate",
            "unknown": ["aws:SourceIp"]},
        "identity": [{"name": "ci", "policy": statement(json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"}))}],
        "scps": [[
            {"name": "FullAWSAccess", "policy": statement(json!({"Effect": "Allow", "Action": "*", "Resource": "*"}))},
            {"name": "guard", "policy": statement(json!({"Sid": "Reads", "Effect": effect, "Action": "s3:Get*", "Resource": "*"}))},
        ]],
    })
}

#[test]
fn a_generated_policy_can_be_attached_as_it_is() {
    let world = World::local();
    let plan = world.ok(&format!("policy generate --for plan {KEEPING} --use-lockfile"));
    assert_snapshot!(plan, @r#"
    {
      "Version": "2012-10-17",
      "Statement": [
        {
          "Sid": "Names",
          "Effect": "Allow",
          "Action": [
            "s3:ListBucket"
          ],
          "Resource": [
            "arn:aws:s3:::acme-states"
          ],
          "Condition": {
            "StringLike": {
              "s3:prefix": [
                "prod/network.tfstate",
                "prod/network.tfstate.tflock"
              ]
            }
          }
        },
        {
          "Sid": "States",
          "Effect": "Allow",
          "Action": [
            "s3:GetObject"
          ],
          "Resource": [
            "arn:aws:s3:::acme-states/prod/network.tfstate"
          ]
        },
        {
          "Sid": "Lockfiles",
          "Effect": "Allow",
          "Action": [
            "s3:DeleteObject",
            "s3:GetObject",
            "s3:PutObject"
          ],
          "Resource": [
            "arn:aws:s3:::acme-states/prod/network.tfstate.tflock"
          ]
        }
      ]
    }
    "#);
    let same = world.ok(&format!("policy generate --for plan {KEEPING} --use-lockfile --json"));
    assert_eq!(same, plan, "nothing is added to a document of AWS");
    let split: Value =
        serde_json::from_str(&world.ok(&format!("policy generate --split {KEEPING} --use-lockfile"))).unwrap();
    let purposes: Vec<&String> = split.as_object().unwrap().keys().collect();
    assert_eq!(purposes, ["read-only", "plan", "apply", "admin"]);
    assert_eq!(split["plan"], serde_json::from_str::<Value>(&plan).unwrap());
    let less = world.ok(&format!("policy generate --split --for plan {KEEPING}"));
    assert!(less.contains("\"plan\"") && !less.contains("\"apply\""), "{less}");
}

#[test]
fn what_is_generated_passes_the_check_and_nothing_else_does() {
    let world = World::local();
    for keeping in [
        "--bucket acme-states --key a --workspaces --lock-table locks --kms-key arn:aws:kms:eu-west-1:111122223333:key/0a1b",
        "--layout stateward --bucket acme-states --key team --use-lockfile",
        "--layout stateward --table states --region eu-west-1",
        "--layout dynamodb --bucket states --key prod --lock-table locks --workspaces",
    ] {
        let mut before: Option<&str> = None;
        for purpose in ["read-only", "plan", "apply", "admin"] {
            let policy = world.ok(&format!("policy generate --for {purpose} {keeping}"));
            world.dir.write(format!("{purpose}.json"), policy);
            let check = |file: &str| {
                world.run(&format!("policy check --for {purpose} {keeping} --principal {ROLE} --policy {file}"))
            };
            check(&format!("{purpose}.json")).expect_success();
            world.ok(&format!("policy lint {purpose}.json"));
            // In a table, a plan of stateward's writes as much as an apply.
            if let Some(less) = before.filter(|_| !keeping.contains("--table") || purpose != "apply") {
                check(&format!("{less}.json")).expect_code(4);
            }
            before = Some(purpose);
        }
    }
}

#[test]
fn a_way_of_keeping_state_that_cannot_be_is_refused() {
    let world = World::local();
    let told = world.told(&[
        "policy generate --for plan --bucket acme-states",
        "policy generate --for plan --bucket acme* --key a",
        "policy generate --for plan --table states --key a",
        "policy generate --for plan --bucket acme-states --key a --kms-key alias/state",
        "policy generate --for write --bucket acme-states --key a",
    ]);
    assert_snapshot!(told, @"
    $ policy generate --for plan --bucket acme-states
    ! error: nothing can be said about this way of keeping state
    !   why: the state has no key: give the `key` of its backend block
    !   next: give what the backend block has; `--help` says which flag is which
    [exit 2]

    $ policy generate --for plan --bucket acme* --key a
    ! error: nothing can be said about this way of keeping state
    !   why: `acme*` is no name of a bucket: it has the character `*`
    !   next: give the bucket's own name: 3 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends
    [exit 2]

    $ policy generate --for plan --table states --key a
    ! error: nothing can be said about this way of keeping state
    !   why: the `s3` backend keeps states in a bucket, and not in a table
    !   next: give `--bucket`, or say with `--layout` who keeps state in a table
    [exit 2]

    $ policy generate --for plan --bucket acme-states --key a --kms-key alias/state
    ! error: nothing can be said about this way of keeping state
    !   why: `alias/state` is no ARN of a KMS key: it must be like `arn:aws:kms:eu-west-1:111122223333:key/…`, for policies take no aliases
    !   next: give what the backend block has; `--help` says which flag is which
    [exit 2]

    $ policy generate --for write --bucket acme-states --key a
    ! error: invalid value 'write' for '--for <PURPOSE>'
    !   [possible values: read-only, plan, apply, admin]
    !
    ! For more information, try '--help'.
    [exit 2]
    ");
    for line in ["policy generate --for plan --key a", "policy generate --bucket acme-states --key a", "policy"] {
        world.run(line).expect_code(2);
    }
}

#[test]
fn an_evaluation_names_the_statements_that_decide() {
    let world = World::local();
    write(&world, "denied.json", &scenario("Deny"));
    write(&world, "allowed.json", &scenario("Allow"));
    let mut depends = scenario("Deny");
    depends["scps"][0][1]["policy"]["Statement"][0]["Condition"] =
        json!({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}});
    depends["request"]["reason"] = json!("none");
    write(&world, "depends.json", &depends);
    let told =
        world.told(&["policy evaluate denied.json", "policy evaluate allowed.json", "policy evaluate depends.json"]);
    assert_snapshot!(told, @"
    $ policy evaluate denied.json
    denied: a statement of a service control policy denies it

    EFFECT  LAYER  POLICY  STATEMENT
    Deny    scp    guard   0 (Reads)

    $ policy evaluate allowed.json
    allowed

    EFFECT  LAYER     POLICY         STATEMENT
    Allow   identity  ci             0
    Allow   scp       FullAWSAccess  0
    Allow   scp       guard          0 (Reads)

    $ policy evaluate depends.json
    depends on aws:SourceIp, by a service control policy

    EFFECT  LAYER  POLICY  STATEMENT
    Deny    scp    guard   0 (Reads)

    note: `reason` is no part of a request and was left out
    ");
    let denied = world.json("policy evaluate denied.json");
    let expected = json!({"schema": 1, "decision": "explicit_deny", "layer": "scp", "statements": [
        {"layer": "scp", "policy": "guard", "statement": 0, "sid": "Reads", "effect": "Deny"}],
        "depends_on": [], "possible": [], "errors": []});
    assert_eq!(denied, expected);
    let output = world.cli().run_with_input(&words("policy evaluate - --json"), scenario("Deny").to_string());
    assert_eq!(serde_json::from_str::<Value>(&output.expect_success().stdout).unwrap(), expected);
}

#[test]
fn malformed_scenarios_are_usage_and_never_a_decision() {
    let world = World::local();
    for (file, text) in [
        ("half.json", r#"{"request": {"principal""#),
        ("empty.json", ""),
        ("list.json", "[]"),
        ("comma.json", r#"{"request": {},}"#),
        (
            "policy.json",
            r#"{"request": {"principal": "*", "action": "s3:GetObject", "resource": "*"},
 "identity": [{"policy": {"Statement": [{"effect": "Allow"}]}}]}"#,
        ),
    ] {
        world.dir.write(file, text);
        let output = world.run(&format!("policy evaluate {file} --json")).expect_code(2);
        assert!(output.stdout.is_empty(), "{file}: {}", output.stdout);
    }
    world.dir.write("latin.json", b"{\"a\": \"\xe9\"}");
    world.dir.subdir("dir");
    let told = world.told(&[
        "policy evaluate comma.json",
        "policy evaluate policy.json",
        "policy evaluate latin.json",
        "policy evaluate missing.json",
        "policy evaluate dir",
        "policy evaluate comma.json --batch",
        "policy evaluate",
    ]);
    assert_snapshot!(told, @"
    $ policy evaluate comma.json
    ! error: `comma.json` is malformed
    !   why: the scenario is not valid JSON: a comma before `}`, which JSON does not allow: remove it at line 1, column 15
    !   next: put it right; nothing is said about what cannot be read exactly
    [exit 2]

    $ policy evaluate policy.json
    ! error: `policy.json` is malformed
    !   why: identity[0]: the policy `identity[0]` is malformed: `Statement[0].effect`: no element of the policy language: case matters, write `Effect` at line 2, column 42
    !   next: put it right; nothing is said about what cannot be read exactly
    [exit 2]

    $ policy evaluate latin.json
    ! error: `latin.json` is malformed
    !   why: byte 7 is no UTF-8: save the file as text in UTF-8
    !   next: put it right; nothing is said about what cannot be read exactly
    [exit 2]

    $ policy evaluate missing.json
    ! error: a file cannot be read
    !   why: `missing.json`: no such file or directory
    !   next: check its path, and that you may read it
    [exit 1]

    $ policy evaluate dir
    ! error: a file cannot be read
    !   why: `dir`: is a directory
    !   next: check its path, and that you may read it
    [exit 1]

    $ policy evaluate comma.json --batch
    ! error: the argument '[SCENARIO]' cannot be used with '--batch'
    !
    ! Usage: stateward policy evaluate <SCENARIO>
    !
    ! For more information, try '--help'.
    [exit 2]

    $ policy evaluate
    ! error: the following required arguments were not provided:
    !   <SCENARIO>
    !
    ! Usage: stateward policy evaluate <SCENARIO>
    !
    ! For more information, try '--help'.
    [exit 2]
    ");
}

#[test]
fn a_batch_answers_every_line_in_order() {
    let world = World::local();
    let mut input = Vec::new();
    for line in [scenario("Deny").to_string().as_bytes(), b"", b"{", b"\xff", scenario("Allow").to_string().as_bytes()]
    {
        input.extend_from_slice(line);
        input.push(b'\n');
    }
    input.extend_from_slice(scenario("Deny").to_string().as_bytes());
    let output = world.cli().run_with_input(&words("policy evaluate --batch"), input).expect_success();
    let answers: Vec<Value> = output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let decision = |at: usize| answers[at]["decision"].as_str();
    assert_eq!(answers.len(), 6, "{}", output.stdout);
    assert_eq!(
        [decision(0), decision(4), decision(5)],
        [Some("explicit_deny"), Some("allowed"), Some("explicit_deny")]
    );
    for (at, expected) in [(1, "nothing is there"), (2, "it was cut off"), (3, "the line is no UTF-8")] {
        let error = answers[at]["error"].as_str().expect("an error");
        assert!(error.contains(expected) && decision(at).is_none(), "{error}");
    }
    let long = [vec![b'x'; (16 << 20) + 1], b"\n".to_vec(), scenario("Deny").to_string().into_bytes()].concat();
    let output = world.cli().run_with_input(&words("policy evaluate --batch"), long).expect_success();
    let answers: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(answers[0], r#"{"error":"the line is longer than 16 MiB"}"#);
    assert!(answers.len() == 2 && answers[1].contains("explicit_deny"), "{answers:?}");
}

fn checked(world: &World, flags: &str) -> Output {
    world.run(&format!("policy check {KEEPING} --use-lockfile --principal {ROLE} {flags}"))
}

#[test]
fn environments_are_kept_apart_or_what_crosses_is_named() {
    let world = World::local();
    for environment in ["dev", "prod"] {
        let flags = "--bucket acme-states --workspaces --lock-table locks --use-lockfile";
        let policy = world.ok(&format!("policy generate --for admin --prefix {environment} {flags}"));
        world.dir.write(format!("{environment}.json"), policy);
    }
    let all = "[all]\nbucket = \"acme-states\"\nlock_table = \"locks\"\nworkspaces = true\nuse_lockfile = true\n";
    let environment = |name: &str, files: &str| {
        let role = format!("arn:aws:iam::111122223333:role/state-{name}");
        format!("[environments.{name}]\nprefix = \"{name}\"\nprincipal = \"{role}\"\npolicies = [{files}]\n")
    };
    let prod = environment("prod", "\"prod.json\"");
    world.dir.write("environments.toml", format!("{all}{}{prod}", environment("dev", "\"dev.json\"")));
    let apart = world.run("policy check --isolation environments.toml");
    assert_snapshot!(world.transcript("isolation", &apart), @"
    $ isolation
    dev -> prod kept apart (328 requests tried)
    prod -> dev kept apart (325 requests tried)
    ");
    let old = json!({"Sid": "Old", "Effect": "Allow", "Action": "s3:GetObject*", "Resource": "arn:aws:s3:::acme-states/*.tfstate"});
    write(&world, "old.json", &statement(old));
    world.dir.write("environments.toml", format!("{all}{}{prod}", environment("dev", "\"dev.json\", \"old.json\"")));
    let leaky = world.run("policy check --isolation environments.toml");
    assert_snapshot!(world.transcript("isolation", &leaky), @"
    $ isolation
    dev -> prod not kept apart: 16 get through (372 requests tried)
    prod -> dev kept apart (325 requests tried)

    dev -> prod allowed
      by: Allow in `old.json`, statement 0 (Old)
      to: s3:GetObject, s3:GetObjectAcl, s3:GetObjectAnnotation,
          s3:GetObjectAttributes, s3:GetObjectLegalHold, s3:GetObjectRetention,
          s3:GetObjectTagging, s3:GetObjectTorrent, s3:GetObjectVersion,
          s3:GetObjectVersionAcl, s3:GetObjectVersionAnnotation,
          s3:GetObjectVersionAnnotationForReplication,
          s3:GetObjectVersionAttributes, s3:GetObjectVersionForReplication,
          s3:GetObjectVersionTagging, s3:GetObjectVersionTorrent
      on: arn:aws:s3:::acme-states/prod/.tfstate
    [exit 4]
    ");
    let json = world.run("policy check --isolation environments.toml --json").expect_code(4);
    let json: Value = serde_json::from_str(&json.stdout).expect("one document");
    let items = json["items"].as_array().expect("items");
    assert!(items.len() > 500, "each request that was tried is listed: {}", items.len());
    let open = items.iter().find(|item| item["verdict"] == "open").expect("one");
    assert_eq!(
        (&open["from"], &open["to"], &open["statements"][0]["sid"]),
        (&json!("dev"), &json!("prod"), &json!("Old"))
    );
}

/// Whoever may put a new version of a policy may do what it then says.
#[test]
fn the_policies_of_environments_are_tried_where_they_are_known() {
    let world = World::local();
    let policy = |name: &str| format!("arn:aws:iam::111122223333:policy/state-{name}");
    for name in ["dev", "prod"] {
        let made =
            world.ok(&format!("policy generate --for apply --bucket acme-states --prefix {name} --use-lockfile"));
        world.dir.write(format!("{name}.json"), made);
    }
    let may = json!({"Sid": "Own", "Effect": "Allow", "Action": "iam:*PolicyVersion", "Resource": policy("prod")});
    write(&world, "more.json", &statement(may));
    let environment = |name: &str, more: &str| {
        let role = format!("arn:aws:iam::111122223333:role/state-{name}");
        format!(
            "[environments.{name}]\nbucket = \"acme-states\"\nuse_lockfile = true\nprefix = \"{name}\"\nprincipal = \"{role}\"\n{more}\n"
        )
    };
    let dev = environment("dev", "policies = [\"dev.json\", \"more.json\"]");
    let prod = environment("prod", "policies = [\"prod.json\"]");
    world.dir.write("environments.toml", format!("{dev}{prod}"));
    world.run("policy check --isolation environments.toml").expect_success();
    world.dir.write("environments.toml", format!("{dev}{prod}managed_policies = [\"{}\"]\n", policy("prod")));
    let leaky = world.run("policy check --isolation environments.toml");
    assert_snapshot!(world.transcript("isolation", &leaky), @"
    $ isolation
    dev -> prod not kept apart: 3 get through (241 requests tried)
    prod -> dev kept apart (236 requests tried)

    dev -> prod allowed
      by: Allow in `more.json`, statement 0 (Own)
      to: iam:CreatePolicyVersion, iam:DeletePolicyVersion,
          iam:SetDefaultPolicyVersion
      on: arn:aws:iam::111122223333:policy/state-prod
    [exit 4]
    ");
    // The details of an account tell the ARNs themselves.
    let read = |file: &str| serde_json::from_slice::<Value>(&std::fs::read(world.dir.join(file)).unwrap()).unwrap();
    let own = json!({"Arn": policy("prod"), "PolicyVersionList": [{"IsDefaultVersion": true, "Document": read("prod.json")}]});
    let role = json!({"RoleName": "state-prod", "Arn": "arn:aws:iam::111122223333:role/state-prod", "RolePolicyList": [],
        "AttachedManagedPolicies": [{"PolicyName": "state-prod", "PolicyArn": policy("prod")}]});
    let details = json!({"UserDetailList": [], "GroupDetailList": [], "RoleDetailList": [role], "Policies": [own]});
    write(&world, "account.json", &details);
    let prod = environment("prod", "policies = [\"account.json\"]");
    world.dir.write("environments.toml", format!("{dev}{prod}"));
    let known = world.run("policy check --isolation environments.toml").expect_code(4);
    assert_eq!(known.stdout, leaky.stdout);
    let odd = format!("{dev}{prod}managed_policies = [\"prod.json\"]\n");
    world.dir.write("environments.toml", odd);
    let refused = world.run("policy check --isolation environments.toml").expect_code(2);
    assert!(refused.stderr.contains("`prod`: `prod.json` is no ARN of a managed policy"), "{}", refused.report());
}

#[test]
fn files_of_environments_that_are_wrong_are_told_where() {
    let world = World::local();
    let dev = "[environments.dev]\nbucket = \"states\"\nprefix = \"dev\"\nprincipal = \"arn:aws:iam::111122223333:role/dev\"\n";
    for (text, expected) in [
        ("[environments", "unclosed table"),
        ("x = 1", "there is no `x`: a file has `[all]` and `[environments.NAME]`"),
        ("environments = 1", "`environments` is no table"),
        ("[environments]\ndev = 1", "`environments.dev` is no table"),
        (&format!("{dev}policies = []\nbukket = 1"), "`environments.dev`: unknown field `bukket`"),
        (&format!("{dev}policies = []\ntable = \"t\""), "`environments.dev`: give either `bucket` or `table`"),
        (&format!("{dev}policies = []\nkey = \"k\""), "`environments.dev`: give either `key` (one state) or `prefix`"),
        (
            &format!("{dev}policies = []\nworkspace_key_prefix = \"dev\""),
            "`environments.dev`: `workspace_key_prefix` says where workspaces are: say `workspaces = true`, too",
        ),
        (&format!("{dev}policies = []"), "name two environments or more"),
    ] {
        world.dir.write("environments.toml", text);
        let error = world.run("policy check --isolation environments.toml").expect_code(2).stderr;
        assert!(error.contains(expected) && error.contains("next: "), "{text}\n{error}");
    }
}

#[test]
fn a_check_names_what_is_in_the_way() {
    let world = World::local();
    world.dir.write("ci.json", world.ok(&format!("policy generate --for apply {KEEPING} --use-lockfile")));
    let encrypted = json!({"Sid": "Encrypted", "Effect": "Deny", "Action": "s3:PutObject", "Resource": "*",
        "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}});
    write(&world, "guard.json", &statement(encrypted));
    let network = json!({"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::acme-states/*",
        "Condition": {"StringEquals": {"aws:SourceVpce": "vpce-1"}}});
    write(&world, "endpoint.json", &statement(network));
    let allowed = checked(&world, "--policy ci.json");
    assert_snapshot!(world.transcript("check", &allowed), @"
    $ check
    an apply needs 6 requests, and all are allowed

    allowed: s3:DeleteObject, s3:GetObject, s3:ListBucket, s3:PutObject
    ");
    let refused = checked(&world, "--policy ci.json --scp guard.json");
    assert_snapshot!(world.transcript("check", &refused), @"
    $ check
    an apply needs 6 requests: 2 would be refused

    s3:PutObject denied: a statement of a service control policy denies it
      on: arn:aws:s3:::acme-states/prod/network.tfstate, to write the state, to
          write a state of more than 5 MiB
      on: arn:aws:s3:::acme-states/prod/network.tfstate.tflock, to take the lock
      by: Deny in `guard.json`, statement 0 (Encrypted)
      add: `encrypt = true` in the backend block, and `kms_key_id` where that is
           `aws:kms` (demanded: `aws:kms`)

    allowed: s3:DeleteObject, s3:GetObject, s3:ListBucket
    note: `guard.json` only denies: taken that `FullAWSAccess` is attached beside
          it, as AWS does
    [exit 4]
    ");
    let open = checked(&world, "--policy ci.json --vpc-endpoint endpoint.json");
    assert_snapshot!(world.transcript("check", &open), @"
    $ check
    an apply needs 6 requests: 1 would be refused, 5 depend on what is not known

    s3:GetObject depends on aws:SourceVpce, by the VPC endpoint's policy
      on: arn:aws:s3:::acme-states/prod/network.tfstate, to read the state
      on: arn:aws:s3:::acme-states/prod/network.tfstate.tflock, to see who holds the
          lock, to release the lock
      by: Allow in `endpoint.json`, statement 0

    s3:ListBucket denied: the VPC endpoint's policy does not allow it
      on: arn:aws:s3:::acme-states, to see that there is no state yet

    s3:PutObject depends on aws:SourceVpce, by the VPC endpoint's policy
      on: arn:aws:s3:::acme-states/prod/network.tfstate, to write the state, to
          write a state of more than 5 MiB
      on: arn:aws:s3:::acme-states/prod/network.tfstate.tflock, to take the lock
      by: Allow in `endpoint.json`, statement 0

    s3:DeleteObject depends on aws:SourceVpce, by the VPC endpoint's policy
      on: arn:aws:s3:::acme-states/prod/network.tfstate.tflock, to release the lock
      by: Allow in `endpoint.json`, statement 0
    [exit 4]
    ");
    let json = checked(&world, "--policy ci.json --scp guard.json --json").expect_code(4);
    let json: Value = serde_json::from_str(&json.stdout).expect("one document");
    let item = json["items"].as_array().unwrap().iter().find(|item| item["decision"] == "explicit_deny").unwrap();
    assert_eq!(item["action"], "s3:PutObject");
    assert_eq!(item["layer"], "scp");
    assert_eq!(item["statements"][0]["policy"], "guard.json");
    assert_eq!(json["schema"], 1);
    // One level with both, or a level each: here it comes to the same.
    write(&world, "full.json", &statement(json!({"Effect": "Allow", "Action": "*", "Resource": "*"})));
    for flags in ["--scp full.json,guard.json", "--scp full.json guard.json", "--scp full.json --scp guard.json"] {
        let output = checked(&world, &format!("--policy ci.json {flags}")).expect_code(4);
        assert!(output.stdout.contains(": 2 would be refused"), "{flags}: {}", output.stdout);
    }
}

/// As `aws ec2 describe-vpc-endpoints` prints those of a network: each has a say about its own service.
#[test]
fn endpoints_are_of_a_service_each() {
    let world = World::local();
    world.dir.write("ci.json", world.ok(&format!("policy generate --for apply {KEEPING} --lock-table locks")));
    let of = |effect: &str| {
        statement(json!({"Effect": effect, "Principal": "*", "Action": "*", "Resource": "*"})).to_string()
    };
    let endpoint = |id: &str, service: &str, effect: &str| json!({"VpcEndpointId": id, "ServiceName": format!("com.amazonaws.eu-west-1.{service}"), "PolicyDocument": of(effect)});
    let checked = |endpoints: &[Value]| {
        write(&world, "vpce.json", &json!({ "VpcEndpoints": endpoints }));
        world.run(&format!(
            "policy check {KEEPING} --lock-table locks --principal {ROLE} --policy ci.json --vpc-endpoint vpce.json"
        ))
    };
    let (registry, s3) = (endpoint("vpce-1", "ecr.api", "Deny"), endpoint("vpce-2", "s3", "Allow"));
    let open = checked(&[registry.clone(), s3.clone(), endpoint("vpce-3", "dynamodb", "Allow")]);
    assert_snapshot!(world.transcript("check", &open), @"
    $ check
    an apply needs 9 requests, and all are allowed

    allowed: dynamodb:DeleteItem, dynamodb:GetItem, dynamodb:PutItem, s3:GetObject,
             s3:ListBucket, s3:PutObject
    ");
    let unsure = checked(&[registry.clone(), s3.clone()]);
    assert_snapshot!(world.transcript("check", &unsure), @"
    $ check
    an apply needs 9 requests, and all are allowed

    allowed: dynamodb:DeleteItem, dynamodb:GetItem, dynamodb:PutItem, s3:GetObject,
             s3:ListBucket, s3:PutObject
    note: taken that no VPC endpoint leads to `dynamodb`: if one does, pass its
          policy as well
    ");
    let closed = checked(&[s3.clone(), endpoint("vpce-3", "dynamodb", "Deny")]);
    assert_snapshot!(world.transcript("check", &closed), @"
    $ check
    an apply needs 6 requests: 3 would be refused

    dynamodb:GetItem denied: a statement of the VPC endpoint's policy denies it
      on: arn:aws:dynamodb:eu-west-1:111122223333:table/locks, to check the digest,
          to see who holds the lock, to release the lock
      by: Deny in `vpce.json (vpce-3)`, statement 0

    dynamodb:PutItem denied: a statement of the VPC endpoint's policy denies it
      on: arn:aws:dynamodb:eu-west-1:111122223333:table/locks, to take the lock, to
          write the digest
      by: Deny in `vpce.json (vpce-3)`, statement 0

    dynamodb:DeleteItem denied: a statement of the VPC endpoint's policy denies it
      on: arn:aws:dynamodb:eu-west-1:111122223333:table/locks, to release the lock
      by: Deny in `vpce.json (vpce-3)`, statement 0

    allowed: s3:GetObject, s3:ListBucket, s3:PutObject
    [exit 4]
    ");
    let of_others = checked(&[registry]);
    assert_snapshot!(world.transcript("check", &of_others), @"
    $ check
    ! error: it is not known what the VPC endpoint allows
    !   why: no endpoint of `s3` or `dynamodb` is among them: they are of `ecr.api`
    !   next: print those of the Region that state is kept in: `aws ec2 describe-vpc-endpoints --filters Name=service-name,Values=com.amazonaws.REGION.s3,com.amazonaws.REGION.dynamodb`
    [exit 2]
    ");
    let differing = checked(&[s3, endpoint("vpce-4", "s3", "Deny")]);
    assert_snapshot!(world.transcript("check", &differing), @"
    $ check
    ! error: it is not known what the VPC endpoint allows
    !   why: `vpce-2` and `vpce-4` are both endpoints of `s3`, with different policies
    !   next: print the one that requests go through: `aws ec2 describe-vpc-endpoints --vpc-endpoint-ids ID`
    [exit 2]
    ");
}

#[test]
fn a_check_reads_what_aws_prints() {
    let world = World::local();
    let policy: Value =
        serde_json::from_str(&world.ok(&format!("policy generate --for apply {KEEPING} --use-lockfile"))).unwrap();
    write(&world, "inline.json", &json!({"RoleName": "ci", "PolicyName": "states", "PolicyDocument": policy}));
    checked(&world, "--policy inline.json").expect_success();
    let details = |boundary: Value| {
        json!({"UserDetailList": [], "GroupDetailList": [], "RoleDetailList": [{"RoleName": "ci", "Arn": ROLE,
            "RolePolicyList": [{"PolicyName": "states", "PolicyDocument": policy}], "AttachedManagedPolicies": [],
            "PermissionsBoundary": boundary}],
            "Policies": [{"Arn": "arn:aws:iam::111122223333:policy/limit", "PolicyVersionList": [{"IsDefaultVersion": true,
            "Document": statement(json!({"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}))}]}]})
    };
    write(&world, "account.json", &details(Value::Null));
    checked(&world, "--policy account.json").expect_success();
    write(
        &world,
        "limited.json",
        &details(json!({"PermissionsBoundaryArn": "arn:aws:iam::111122223333:policy/limit"})),
    );
    let limited = checked(&world, "--policy limited.json --json").expect_code(4);
    assert!(limited.stdout.contains("\"layer\": \"boundary\""), "{}", limited.stdout);
    let bucket = statement(
        json!({"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::acme-states/*"}),
    );
    write(&world, "bucket.json", &json!({"Policy": bucket.to_string()}));
    let refused = checked(&world, "--policy account.json --resource-policy bucket.json --json").expect_code(4);
    assert!(refused.stdout.contains("\"policy\": \"bucket.json\""), "{}", refused.stdout);
}

#[test]
fn a_check_of_what_cannot_be_read_says_nothing() {
    let world = World::local();
    world.dir.write("good.json", world.ok(&format!("policy generate --for apply {KEEPING}")));
    world.dir.write("bad.json", "{\"Statement\": [{\"Effect\": \"Allow\",}]}");
    write(
        &world,
        "account.json",
        &json!({"UserDetailList": [], "RoleDetailList": [], "GroupDetailList": [], "Policies": []}),
    );
    let told = [
        world.told(&[&format!("policy check {KEEPING} --principal {ROLE} --policy bad.json")]),
        world.told(&[&format!("policy check {KEEPING} --principal {ROLE} --policy account.json")]),
        world.told(&[&format!("policy check {KEEPING} --principal ci --policy good.json")]),
        world.told(&[&format!("policy check {KEEPING} --principal {ROLE} --policy missing.json")]),
    ];
    assert_snapshot!(told.join("\n"), @"
    $ policy check --bucket acme-states --key prod/network.tfstate --principal arn:aws:iam::111122223333:role/ci --policy bad.json
    ! error: `bad.json` is malformed
    !   why: a comma before `}`, which JSON does not allow: remove it at line 1, column 34
    !   next: put it right; nothing is said about what cannot be read exactly
    [exit 2]

    $ policy check --bucket acme-states --key prod/network.tfstate --principal arn:aws:iam::111122223333:role/ci --policy account.json
    ! error: `account.json` does not tell the policies of this principal
    !   why: `arn:aws:iam::111122223333:role/ci` is no user or role of these details: is it of another account, or were the details filtered?
    !   next: print the details of the principal's own account, whole
    [exit 2]

    $ policy check --bucket acme-states --key prod/network.tfstate --principal ci --policy good.json
    ! error: nothing can be said about this principal
    !   why: `ci` is no principal: it must be the ARN of a root, user, role or session, a service's name, or `*` for nobody
    !   next: give `--principal` what `aws sts get-caller-identity` calls `Arn`
    [exit 2]

    $ policy check --bucket acme-states --key prod/network.tfstate --principal arn:aws:iam::111122223333:role/ci --policy missing.json
    ! error: a file cannot be read
    !   why: `missing.json`: no such file or directory
    !   next: check its path, and that you may read it
    [exit 1]
    ");
    world.run(&format!("policy check {KEEPING} --policy good.json")).expect_code(2);
    world.run(&format!("policy check {KEEPING} --principal {ROLE}")).expect_code(2);
}

#[test]
fn the_lint_points_at_what_cannot_be_meant() {
    let world = World::local();
    world.dir.write(
        "web.json",
        r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["dynamodb:GetItem", "dynamodb:TransactWriteItems"],
      "Resource": "arn:aws:dynamodb:*:*:table/locks",
      "Condition": {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["a"]}}
    }
  ]
}"#,
    );
    world.dir.write("comma.json", "{\"Statement\": [],}");
    let bucket = json!({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::acme-states/*"});
    write(&world, "bucket.json", &statement(bucket));
    let told = world.told(&[
        "policy lint web.json comma.json",
        "policy lint bucket.json",
        "policy lint bucket.json --kind identity",
        "policy lint missing.json",
    ]);
    assert_snapshot!(told, @r#"
    $ policy lint web.json comma.json
    web.json:6:38: error unknown-action
      there is no action `dynamodb:TransactWriteItems`: write `dynamodb:PutItem`,
      `dynamodb:UpdateItem`, `dynamodb:DeleteItem` and `dynamodb:ConditionCheckItem`
    web.json:8:51: warning for-all-values-allow
      `ForAllValues` is true where a request has no `dynamodb:LeadingKeys`, and this
      statement allows: add `"Null": {"dynamodb:LeadingKeys": "false"}`
    comma.json:1:17: error malformed
      a comma before `}`, which JSON does not allow: remove it
    ! 2 errors and 1 warning in 2 files
    [exit 1]

    $ policy lint bucket.json
    ! nothing is wrong in 1 file

    $ policy lint bucket.json --kind identity
    bucket.json:6:7: error malformed
      `Statement[0]`: an identity policy has no `Principal`: remove it
    ! 1 error and 0 warnings in 1 file
    [exit 1]

    $ policy lint missing.json
    ! error: a file cannot be read
    !   why: `missing.json`: no such file or directory
    !   next: check its path, and that you may read it
    [exit 1]
    "#);
    let output = world.run("policy lint web.json --json").expect_code(1);
    let json: Value = serde_json::from_str(&output.stdout).expect("one document");
    assert_eq!(json["items"][0]["file"], "web.json");
    assert_eq!(json["items"][0]["rule"], "unknown-action");
    assert_eq!(json["items"][0]["place"]["line"], 6);
    world.run("policy lint").expect_code(2);
}

/// What could be attached nowhere, or would be about nothing that there is, is not made.
#[test]
fn names_that_aws_does_not_take_are_refused() {
    let world = World::local();
    let generate = |flags: &str| world.run(&format!("policy generate --for plan {flags}"));
    for (flags, expected) in [
        ("--bucket a..b --key k", "`a..b` is no name of a bucket"),
        ("--bucket 192.168.1.1 --key k", "`192.168.1.1` is no name of a bucket"),
        ("--bucket states-s3alias --key k", "names such as `states-s3alias` are kept by S3"),
        ("--bucket states --key k --lock-table a", "`a` is no name of a table"),
        ("--bucket states --key k --region -", "`-` is no Region"),
        ("--bucket states --key k --region ireland", "`ireland` is no Region"),
        ("--bucket states --key k --partition mars", "invalid value 'mars' for '--partition <NAME>'"),
        ("--bucket states --key k --region cn-north-1 --partition aws", "`cn-north-1` is of the partition `aws-cn`"),
        ("--table states --key k --layout stateward", "a store in a table is all of that table"),
        ("--table states --prefix k --layout stateward", "a store in a table is all of that table"),
    ] {
        let refused = generate(flags).expect_code(2);
        assert!(refused.stdout.is_empty() && refused.stderr.contains(expected), "{flags}: {}", refused.report());
    }
    let old = generate("--bucket Acme_States --key k").expect_success();
    assert!(
        old.stderr.contains("upper-case letter `A`; only a bucket that was made before March 2018"),
        "{}",
        old.report()
    );
    // The Region tells the partition.
    let china = generate("--bucket states --key k --region cn-north-1").expect_success();
    assert!(china.stdout.contains("arn:aws-cn:s3:::states") && china.stderr.is_empty(), "{}", china.report());
    let environment = |name: &str, more: &str| {
        format!(
            "[environments.{name}]\nbucket = \"states\"\nprefix = \"{name}\"\nprincipal = \"{ROLE}\"\npolicies = []\n{more}\n"
        )
    };
    world.dir.write("environments.toml", environment("dev", "") + &environment("prod", "partition = \"mars\""));
    let refused = world.run("policy check --isolation environments.toml").expect_code(2);
    assert!(refused.stderr.contains("`environments.prod`: `mars` is no partition"), "{}", refused.report());
}
