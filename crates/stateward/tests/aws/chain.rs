//! The links of the chain that are neither variables nor keys in a file: a process, the container's role, the machine's.

use stateward_testkit::{AwsEnv, Fault, FaultProxy, Moto, Rule, Terraform, TestDir};

use crate::doctor::{block, signed};
use crate::{LIMIT, cli};

/// Far enough for every check of the doctor.
const END: &str = "2099-01-01T00:00:00Z";

/// A service on loopback that answers these paths, and nothing else.
fn answering(answers: &[(&'static str, String)]) -> FaultProxy {
    let service = FaultProxy::to("http://127.0.0.1:1");
    for (path, body) in answers.iter().cloned() {
        let answer = Fault::Answer { status: 200, headers: Vec::new(), body }
            .header("Content-Type", "application/json")
            .header("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600");
        service.inject(Rule::new(answer).when(move |request| request.path == path));
    }
    service.inject(Rule::new(Fault::status(404)));
    service
}

/// Credentials as the container's and the machine's services give them.
fn credentials(key: &str) -> String {
    format!(
        r#"{{"Code":"Success","Type":"AWS-HMAC","LastUpdated":"2026-01-01T00:00:00Z","AccessKeyId":"{key}","SecretAccessKey":"hidden","Token":"hidden","Expiration":"{END}"}}"#
    )
}

/// One link: what it is called, the variables that lead to it, the key it gives, and what the doctor says of it.
type Link<'a> = (&'a str, Vec<(&'static str, String)>, &'a str, &'a str);

/// Whoever Terraform is by such a link, the doctor is, too, and says which it was and when its credentials end.
#[test]
fn each_link_of_the_chain_is_who_terraform_is() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let (proxy, bucket) = (FaultProxy::to(moto.url()), moto.create_bucket());
    let given = format!(
        r#"{{"Version":1,"AccessKeyId":"AKIAPROCESS","SecretAccessKey":"hidden","SessionToken":"hidden","Expiration":"{END}"}}"#
    );
    let given = dir.write("given.json", given);
    let config = format!("[default]\ncredential_process = cat {}\n", given.display());
    let config = dir.write("config", config).display().to_string();
    let services = answering(&[
        ("/container", credentials("AKIACONTAINER")),
        ("/latest/api/token", "token".to_owned()),
        ("/latest/meta-data/iam/security-credentials/", "machine".to_owned()),
        ("/latest/meta-data/iam/security-credentials/machine", credentials("AKIAMACHINE")),
    ]);
    let container = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/container", services.url()));
    let machine = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", services.url().to_owned()),
        ("AWS_EC2_METADATA_DISABLED", String::new()),
    ];
    let links: [Link<'_>; 4] = [
        ("process", vec![("AWS_CONFIG_FILE", config.clone())], "AKIAPROCESS", "from a process of the profile"),
        ("container", vec![container.clone()], "AKIACONTAINER", "from the container's metadata service"),
        ("machine", machine.to_vec(), "AKIAMACHINE", "from the machine's metadata service"),
        // A container on such a machine, beside a profile: the profile counts first, the machine last.
        (
            "all",
            [vec![("AWS_CONFIG_FILE", config), container], machine.to_vec()].concat(),
            "AKIAPROCESS",
            "from a process of the profile",
        ),
    ];

    block(&dir, &bucket, "");
    let env = AwsEnv::new().others(proxy.url());
    let path = dir.path().display().to_string();
    let signers = || signed(&proxy).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    for (name, link, key, words) in links {
        let nobody = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| (name, String::new()));
        let variables = [&nobody[..], &link].concat();
        proxy.forget_requests();
        let doctor = cli(&dir, &env).envs(variables.clone());
        let output = doctor.run(&["doctor", "--dir", &path, "--for", "read-only"]).expect_success();
        assert_eq!(signers(), [key], "{name}: {}", output.report());
        let told = output.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(&format!("{words}; they end at {END}")), "{name}: {told}");
        assert!(!output.report().contains("hidden"), "{name}: {}", output.report());

        let work = Terraform::find().workdir(&dir, name).envs(env.pairs()).envs(variables).limit(LIMIT);
        work.write("main.tf", dir.read("main.tf"));
        proxy.forget_requests();
        work.run(&["init"]).expect_success();
        assert_eq!(signers(), [key], "{name}");
    }
}

/// A service that gives none is told by its own name, with what it answered, and not as if nothing had been there.
#[test]
fn a_link_that_gives_none() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let bucket = moto.create_bucket();
    let services = answering(&[]);
    block(&dir, &bucket, "");
    let path = dir.path().display().to_string();
    let failing = dir.write("config", "[default]\ncredential_process = sh -c 'echo no-such-session >&2; exit 7'\n");
    for (variable, value, parts) in [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/container", services.url()), &["container", "404"][..]),
        ("AWS_CONFIG_FILE", failing.display().to_string(), &["exit status: 7"]),
    ] {
        let nobody = [("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")];
        let doctor = cli(&dir, &AwsEnv::new().others(moto.url())).envs(nobody).env(variable, &value);
        let output = doctor.run(&["doctor", "--dir", &path, "--for", "read-only"]).expect_code(1);
        let told = output.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains("there are no credentials"), "{told}");
        for part in parts {
            assert!(told.contains(part), "{part:?} is not in {told}");
        }
    }
}
