//! How many texts of 2 KB are read in a second, and how fast a long log is.
//!
//! `cargo bench -p stateward-denial`: divide 1 by the time of one text.

use divan::Bencher;
use divan::counter::BytesCount;

fn main() {
    divan::main();
}

/// Terraform's message about a lock that a policy refused, padded by what comes before it to 2 KB.
fn terraform() -> String {
    let lines = "aws_iam_role.ci: Refreshing state... [id=ci-role-for-the-deployment]\n";
    let message = "╷\n│ Error: Error acquiring the state lock\n│ \n│ Error message: operation error DynamoDB: PutItem, https response\n\
        │ error StatusCode: 400, RequestID:\n│ 4NSO5AEMVJF66Q9ASUAAJGVV4KQNSO5AEMVJF66Q9ASUAAJGRQHX, api error\n\
        │ AccessDeniedException: User:\n│ arn:aws:sts::111122223333:assumed-role/github-actions/run-42 is not\n\
        │ authorized to perform: dynamodb:PutItem on resource:\n│ arn:aws:dynamodb:eu-west-2:111122223333:table/state-lock because no\n\
        │ identity-based policy allows the dynamodb:PutItem action\n│ \n│ Terraform acquires a state lock to protect the state from being written\n\
        │ by multiple users at the same time. Please resolve the issue above and\n│ try again. For most commands, you can disable locking with the\n\
        │ \"-lock=false\" flag, but this is not recommended.\n╵\n";
    let padding = lines.repeat((2048 - message.len()) / lines.len() + 1);
    format!("{padding}{message}")
}

/// An event of `CloudTrail`.
fn event() -> String {
    let agent = "aws-sdk-go-v2/1.30 ".repeat(60);
    format!(
        r#"{{"eventVersion":"1.09","userIdentity":{{"type":"AssumedRole","arn":"arn:aws:sts::111122223333:assumed-role/ci/run-42","accountId":"111122223333"}},"eventTime":"2024-05-05T10:00:00Z","eventSource":"dynamodb.amazonaws.com","eventName":"PutItem","awsRegion":"eu-west-1","sourceIPAddress":"203.0.113.7","userAgent":"{agent}","errorCode":"AccessDenied","errorMessage":"User: arn:aws:sts::111122223333:assumed-role/ci/run-42 is not authorized to perform: dynamodb:PutItem on resource: arn:aws:dynamodb:eu-west-1:111122223333:table/locks with an explicit deny in a service control policy","requestID":"R","eventID":"E"}}"#
    )
}

#[divan::bench]
fn terraform_2_kb(bencher: Bencher<'_, '_>) {
    let text = terraform();
    bencher.counter(BytesCount::of_str(&text)).bench(|| stateward_denial::read(text.as_bytes()));
}

#[divan::bench]
fn cloudtrail_2_kb(bencher: Bencher<'_, '_>) {
    let text = event();
    bencher.counter(BytesCount::of_str(&text)).bench(|| stateward_denial::read(text.as_bytes()));
}

#[divan::bench]
fn log_of_8_mb(bencher: Bencher<'_, '_>) {
    let log = terraform().repeat(4096);
    bencher.counter(BytesCount::of_str(&log)).bench(|| stateward_denial::read(log.as_bytes()));
}
