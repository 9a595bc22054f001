//! `stateward explain`: what people and scripts are told of an error text.

use std::io::Write;
use std::process::Stdio;

use insta::assert_snapshot;
use serde_json::{Value, json};
use stateward_testkit::Output;

use crate::world::World;

/// What Terraform prints when a policy keeps it from taking the lock.
const LOCK: &str = "\
╷
│ Error: Error acquiring the state lock
│ 
│ Error message: operation error DynamoDB: PutItem, https response error
│ StatusCode: 400, RequestID:
│ 4NSO5AEMVJF66Q9ASUAAJGVV4KQNSO5AEMVJF66Q9ASUAAJGRQHX, api error
│ AccessDeniedException: User:
│ arn:aws:sts::111122223333:assumed-role/ci/run-42 is not authorized to
│ perform: dynamodb:PutItem on resource:
│ arn:aws:dynamodb:eu-west-1:111122223333:table/locks because no
│ identity-based policy allows the dynamodb:PutItem action
│ 
│ Terraform acquires a state lock to protect the state from being written
│ by multiple users at the same time. Please resolve the issue above and try
│ again. For most commands, you can disable locking with the \"-lock=false\"
│ flag, but this is not recommended.
╵
";

const SCP: &str = "An error occurred (AccessDenied) when calling the CreateBucket operation: User: \
arn:aws:iam::111122223333:user/ana is not authorized to perform: s3:CreateBucket on resource: \"arn:aws:s3:::shop\" with an explicit \
deny in a service control policy: arn:aws:organizations::999988887777:policy/o-abcdefghij/service_control_policy/p-abcd1234\n";

fn explain(world: &World, arguments: &[&str], input: impl Into<Vec<u8>>) -> Output {
    let all: Vec<&str> = ["explain"].iter().chain(arguments).copied().collect();
    world.cli().run_with_input(&all, input)
}

fn json(world: &World, arguments: &[&str], input: impl Into<Vec<u8>>) -> Value {
    let output = explain(world, &[arguments, &["--json"]].concat(), input);
    assert_eq!(output.stderr, "");
    serde_json::from_str(&output.stdout).expect("one JSON document")
}

fn told(output: &Output) -> String {
    let code = output.code().filter(|code| *code != 0).map(|code| format!("[exit {code}]\n")).unwrap_or_default();
    let lines: Vec<&str> = output.stdout.lines().map(str::trim_end).collect();
    let end = if lines.is_empty() { "" } else { "\n" };
    format!("{}{end}{}{code}", lines.join("\n"), output.stderr)
}

#[test]
fn a_refused_lock() {
    let world = World::local();
    assert_snapshot!(told(&explain(&world, &[], LOCK)), @r#"
    1. `dynamodb:PutItem` on `table/locks` refused: no identity-based policy allows
       it

       who      arn:aws:sts::111122223333:assumed-role/ci/run-42
       action   dynamodb:PutItem
       on       arn:aws:dynamodb:eu-west-1:111122223333:table/locks
       layer    identity, certain
       code     AccessDeniedException, of PutItem
       request  4NSO5AEMVJF66Q9ASUAAJGVV4KQNSO5AEMVJF66Q9ASUAAJGRQHX
       entry    policy/lock-table-identity-implicit

       No policy of the role `ci` allows `dynamodb:PutItem` on `table/locks`, and no
       policy of the resource stands in for it.

       What to do
       1. [the account's admin] Attach this policy to the role `ci`.
          The smallest policy for the lock: whoever may take it must be able to look
          at it and to give it back.

          {
            "Version": "2012-10-17",
            "Statement": [
              {
                "Effect": "Allow",
                "Action": [
                  "dynamodb:PutItem",
                  "dynamodb:GetItem",
                  "dynamodb:DeleteItem"
                ],
                "Resource": "arn:aws:dynamodb:eu-west-1:111122223333:table/locks"
              }
            ]
          }

       2. [the account's admin] Give the run all that it needs at once: `stateward
          policy generate --for apply --bucket BUCKET --key KEY` prints it.
          A run needs the state object, the lock, and the key where there is one; it
          stops at the first that is refused.
       3. [you] Try again, and read the new text if it is refused again.
          AWS names one layer even where several refuse: another one may be next.
          `stateward explain` with `--policy`, `--boundary`, `--scp`,
          `--resource-policy` or `--vpc-endpoint` and the real policies tells before
          you try.

       What not to do
       - `AdministratorAccess`, or `"Action": "*"`: It ends this refusal, and
         everybody who gets hold of these credentials can do all else as well.
       - `terraform force-unlock`: Nobody holds the lock: AWS refused the request
         that takes it, or looks at it. There is nothing to unlock.
       - `-lock=false`: Two runs at once can overwrite each other's state. It needs
         the same rights on the state itself anyway.
    "#);
    let answer = json(&world, &["-"], LOCK);
    let problem = &answer["problems"][0];
    assert_eq!(answer["schema"], 1);
    assert_eq!(problem["denial"]["layer"], "identity");
    assert_eq!(problem["certain"], true);
    assert_eq!(problem["entry"], "policy/lock-table-identity-implicit");
    assert_eq!(
        problem["do"][0]["policy"],
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Action": ["dynamodb:PutItem", "dynamodb:GetItem", "dynamodb:DeleteItem"],
            "Resource": "arn:aws:dynamodb:eu-west-1:111122223333:table/locks",
        }]})
    );
}

#[test]
fn a_guard_rail_of_the_organization() {
    let world = World::local();
    let file = world.dir.write("ci.log", SCP.repeat(3));
    let output = world.cli().run(&["explain", file.to_str().unwrap()]);
    assert_snapshot!(told(&output), @r#"
    1. `s3:CreateBucket` on `shop` refused: a service control policy of the
       organization denies it
       told 3 times

       who     arn:aws:iam::111122223333:user/ana
       action  s3:CreateBucket
       on      arn:aws:s3:::shop
       layer   scp, certain
       policy  arn:aws:organizations::999988887777:policy/o-abcdefghij/service_control_policy/p-abcd1234
       code    AccessDenied, of CreateBucket
       entry   policy/tags-demanded

       A statement with `"Effect": "Deny"` in a service control policy of the
       organization covers `s3:CreateBucket` on `shop`. A deny counts before every
       allow. AWS names it:
       `arn:aws:organizations::999988887777:policy/o-abcdefghij/service_control_policy/p-abcd1234`.

       What to do
       1. [you] See whether the run can meet it: the Region (`aws:RequestedRegion`),
          tags (`aws:RequestTag/…`), encryption, instance types.
          Most denies in service control policies are such guard rails: a request in
          the right Region, or with the tag, goes through.
       2. [the organization's admin] Find the `Deny` statement in
          `arn:aws:organizations::999988887777:policy/o-abcdefghij/service_control_policy/p-abcd1234`
          that covers `s3:CreateBucket` on `shop`, and read its condition.
          Only the organization can take the user `ana` out of it, by a condition on
          `aws:PrincipalArn` or in another unit.
       3. [you] Try again, and read the new text if it is refused again.
          AWS names one layer even where several refuse: another one may be next.
          `stateward explain` with `--policy`, `--boundary`, `--scp`,
          `--resource-policy` or `--vpc-endpoint` and the real policies tells before
          you try.

       What not to do
       - Signing in as root user: Service control policies hold for the root user of
         a member account too.
       - Adding another `Allow`: A deny counts before every allow, wherever that
         stands.
    "#);
}

#[test]
fn lines_fit_a_terminal() {
    let world = World::local();
    let text = format!(
        "{LOCK}\n{SCP}\nError: error loading state: AccessDenied: Access Denied\n\tstatus code: 403, request id: X1, host id: Y\n"
    );
    let output = explain(&world, &[], text).expect_success();
    for line in output.stdout.lines().filter(|line| line.chars().count() > 80) {
        let word = line.split_whitespace().map(|word| word.chars().count()).max().unwrap_or(0);
        assert!(word > 40, "only what cannot be broken is longer: {line}");
    }
}

#[test]
fn policies_that_are_known_tell_what_refuses_next() {
    let world = World::local();
    let statement = |statement: Value| json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    world.dir.write("reads.json", statement(json!({"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*"})));
    world.dir.write("wide.json", statement(json!({"Effect": "Allow", "Action": "*", "Resource": "*"})));
    world.dir.write(
        "regions.json",
        statement(json!({"Sid": "Regions", "Effect": "Deny", "Action": "*", "Resource": "*",
            "Condition": {"StringNotEquals": {"aws:RequestedRegion": "us-east-1"}}})),
    );
    let arguments =
        ["-", "--policy", "reads.json", "--boundary", "wide.json", "--scp", "wide.json", "wide.json,regions.json"];
    let output = explain(&world, &arguments, LOCK).expect_success();
    let (_, predicted) = output.stdout.split_once("What the policies say that you gave").expect("a prediction");
    let (predicted, _) = predicted.split_once("What not to do").expect("what not to do");
    assert_snapshot!(predicted.trim(), @"
    - identity: does not allow it: it refuses as well
       - boundary: allows it (`statement 0` of wide.json)
       - scp: denies it (`Regions` of regions.json)
    ");
    let answer = json(&world, &arguments, LOCK);
    let decisions: Vec<&Value> =
        answer["problems"][0]["predicted"].as_array().unwrap().iter().map(|layer| &layer["decision"]).collect();
    assert_eq!(decisions, ["implicit_deny", "allowed", "explicit_deny"]);
}

#[test]
fn what_is_shared_names_nobody() {
    let world = World::local();
    let cloudtrail = r#"{"eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-west-1","errorCode":"AccessDenied",
        "errorMessage":"User: arn:aws:sts::111122223333:assumed-role/ci/run-7 is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::state-111122223333/k\" with an explicit deny in a service control policy: arn:aws:organizations::999988887777:policy/o-a/service_control_policy/p-b",
        "sourceIPAddress":"203.0.113.7","eventID":"0a1b2c3d-1111-4222-8333-00000000e001","userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::111122223333:assumed-role/ci/run-7","accountId":"111122223333","accessKeyId":"ASIAIOSFODNN7EXAMPLE"}}"#;
    for text in [LOCK.to_owned(), SCP.to_owned(), cloudtrail.to_owned()] {
        for arguments in [&["-", "--share"][..], &["-", "--share", "--json"]] {
            let shown = explain(&world, arguments, text.as_str()).expect_success().stdout;
            for secret in [
                "111122223333",
                "999988887777",
                "run-42",
                "run-7",
                "203.0.113.7",
                "ASIAIOSF",
                "/ana",
                "role/ci",
                "`ci`",
            ] {
                assert!(!shown.contains(secret), "{secret} in {shown}");
            }
            assert!(shown.contains("000000000001"), "{shown}");
        }
    }
}

#[test]
fn a_name_at_the_end_is_whole_where_that_is_said() {
    let world = World::local();
    let text = "User: arn:aws:iam::111122223333:user/ci is not authorized to perform: dynamodb:PutItem on resource: \
                arn:aws:dynamodb:eu-west-1:111122223333:table/locks\n";
    let policies = |arguments: &[&str]| -> Vec<Value> {
        let answer = json(&world, arguments, text);
        let steps = answer["problems"][0]["do"].as_array().expect("steps").clone();
        steps.into_iter().map(|step| step["policy"].clone()).filter(|policy| !policy.is_null()).collect()
    };
    assert_eq!(policies(&[]), [] as [Value; 0]);
    assert!(told(&explain(&world, &[], text)).contains("--whole"));
    let whole = policies(&["--whole"]);
    assert_eq!(whole[0]["Statement"][0]["Resource"], "arn:aws:dynamodb:eu-west-1:111122223333:table/locks");
}

#[test]
fn nothing_recognised() {
    let world = World::local();
    for text in ["", "Apply complete! Resources: 0 added, 0 changed, 0 destroyed.\n"] {
        let told = told(&explain(&world, &[], text));
        assert_eq!(
            told,
            "nothing in this text is an error of AWS or Terraform that is known here\n  give the whole output, not only its last line; `TF_LOG=debug` shows what AWS answered\n[exit 1]\n"
        );
        let output = explain(&world, &["--json"], text).expect_code(1);
        assert_eq!(
            serde_json::from_str::<Value>(&output.stdout).unwrap(),
            json!({"schema": 1, "problems": [], "left_out": 0})
        );
    }
}

#[test]
fn bad_input_is_no_reason_to_panic() {
    let world = World::local();
    let binary: Vec<u8> = (0..=255).cycle().take(1_000_000).collect();
    explain(&world, &["-"], binary.clone()).expect_code(1);
    let around = [&binary, LOCK.as_bytes(), &binary].concat();
    explain(&world, &["-"], around).expect_code(0);
    let half = r#"{"Records":[{"eventSource":"dynamodb.amazonaws.com","eventName":"PutItem","errorCode":"AccessDenied","errorMessage":"User: arn:aws:iam::111122223333:user/ci is not auth"#;
    explain(&world, &["-"], half).expect_code(0);
    let directory = world.dir.subdir("logs");
    assert_snapshot!(world.told(&["explain logs", "explain missing.log"]), @"
    $ explain logs
    ! error: the text cannot be read
    !   why: `logs`: is a directory
    !   next: check its path, and that you may read it
    [exit 1]

    $ explain missing.log
    ! error: the text cannot be read
    !   why: `missing.log`: no such file or directory
    !   next: check its path, and that you may read it
    [exit 1]
    ");
    let output = world.cli().run(&["explain", "User: arn:aws:iam::111122223333:user/ci is not authorized to perform"]);
    assert!(output.expect_code(1).stderr.contains("next: to have a text read that is in no file, pipe it into"));
    world.dir.write("half.json", "{\"Version\": ");
    world.dir.write("ci.log", LOCK);
    assert_snapshot!(world.told(&["explain ci.log --scp half.json", "explain ci.log --policy missing.json"]), @"
    $ explain ci.log --scp half.json
    ! error: `half.json` is no policy that AWS would take
    !   why: the text ends before its JSON is complete: it was cut off at line 1, column 13
    !   next: `stateward policy lint` shows every place that is wrong; give the document as AWS has it
    [exit 2]

    $ explain ci.log --policy missing.json
    ! error: a policy cannot be read
    !   why: `missing.json`: no such file or directory
    !   next: check its path, and that you may read it
    [exit 1]
    ");
    drop(directory);
}

#[test]
#[cfg(target_os = "linux")]
fn a_hundred_megabytes_are_read_in_little_memory() {
    const SIZE: usize = 100 << 20;
    const MEMORY_MAX_KB: u64 = 96 << 10;
    let world = World::local();
    let quiet = "aws_iam_role.ci: Refreshing state... [id=ci-role-for-the-deployment] still going on after 10s\n"
        .repeat(10_000);
    let mut command = world.cli().command(&["explain", "-", "--json"]);
    command.stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let (mut written, mut refusals) = (0, 0);
    while written < SIZE {
        for piece in [quiet.as_str(), SCP, "\n"] {
            stdin.write_all(piece.as_bytes()).unwrap();
            written += piece.len();
        }
        refusals += 1;
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak <= MEMORY_MAX_KB, "{peak} KB");
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["problems"][0]["count"], refusals);
}
