//! Decisions a second: `cargo bench -p stateward-iam`. The goals, on one core: 1,000,000 with the policies parsed once,
//! and 100,000 parsing everything each time.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use stateward_iam::{Scenario, evaluate_json};

fn main() {
    divan::main();
}

/// A user, an identity policy with a condition, and one level of service control policies.
const SIMPLE: &str = r#"{"request":{"principal":"arn:aws:iam::111122223333:user/ci","action":"dynamodb:PutItem",
"resource":"arn:aws:dynamodb:eu-west-1:111122223333:table/locks",
"context":{"aws:SecureTransport":"true","aws:RequestedRegion":"eu-west-1"}},
"identity":[{"name":"ci","policy":{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
"Action":["dynamodb:GetItem","dynamodb:PutItem","dynamodb:DeleteItem"],
"Resource":"arn:aws:dynamodb:eu-west-1:111122223333:table/locks",
"Condition":{"Bool":{"aws:SecureTransport":"true"}}}]}}],
"scps":[[{"name":"root","policy":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}}]]}"#;

/// A session across accounts: boundary, two levels of service control policies, a bucket policy, variables, sets.
const INVOLVED: &str = r#"{"request":{"principal":"arn:aws:sts::111122223333:assumed-role/deploy/run-1","action":"s3:GetObject",
"resource":"arn:aws:s3:::states/prod/terraform.tfstate","resource_account":"444455556666",
"context":{"aws:SecureTransport":"true","aws:PrincipalTag/env":"prod","aws:SourceIp":"10.1.2.3","aws:TagKeys":["a","b"],
"aws:PrincipalOrgID":"o-1","aws:MultiFactorAuthAge":"300"}},
"identity":[{"name":"deploy","policy":{"Version":"2012-10-17","Statement":[
{"Effect":"Allow","Action":"s3:*Object","Resource":"arn:aws:s3:::states/${aws:PrincipalTag/env}/*"},
{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"NotIpAddress":{"aws:SourceIp":["10.0.0.0/8","192.168.0.0/16"]}}},
{"Effect":"Deny","Action":"s3:Delete*","Resource":"arn:aws:s3:::states/*"}]}}],
"boundary":[{"name":"limits","policy":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*","dynamodb:*"],"Resource":"*",
"Condition":{"NumericLessThan":{"aws:MultiFactorAuthAge":"3600"},"ForAllValues:StringEquals":{"aws:TagKeys":["a","b","c"]}}}]}}],
"resource_policy":{"name":"bucket","policy":{"Version":"2012-10-17","Statement":[
{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/deploy"},"Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::states/*"},
{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::states","arn:aws:s3:::states/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}},
"scps":[[{"name":"root","policy":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}}],
[{"name":"unit","policy":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},
{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}}}]}}]]}"#;

struct Case(&'static str, &'static str);

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

const CASES: [Case; 2] = [Case("simple", SIMPLE), Case("involved", INVOLVED)];

#[divan::bench(args = CASES)]
fn parsed_once(bencher: Bencher<'_, '_>, case: &Case) {
    let Ok(scenario) = Scenario::parse(case.1) else { panic!("a valid scenario") };
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench_local(|| black_box(&scenario.policies).evaluate(black_box(&scenario.request)));
}

#[divan::bench(args = CASES)]
fn parsed_each_time(bencher: Bencher<'_, '_>, case: &Case) {
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| evaluate_json(black_box(case.1)));
}
