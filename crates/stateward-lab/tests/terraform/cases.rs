//! What users do, and what must come of it.

use stateward_aws::Failed;
use stateward_denial::{Effect, Kind, Layer, Problem};
use stateward_iam::Purpose;
use stateward_knowledge::advice::explain;
use stateward_knowledge::entry_for;
use stateward_testkit::Output;

use crate::bench::{Bench, Lessened, block_on, whole};

/// What a user does.
#[derive(Debug, Clone)]
pub(crate) enum Case {
    /// All that the policy for planning is for, and something that it is not for.
    Plans,
    Applies,
    DeletesWorkspaces,
    OpensLocks,
    ReadsVersions,
    /// What an action is for, without it.
    Lessened(Lessened),
}

/// All that the whole policies are for.
pub(crate) fn of_everything() -> Vec<Case> {
    vec![Case::Plans, Case::Applies, Case::DeletesWorkspaces, Case::OpensLocks, Case::ReadsVersions]
}

impl Case {
    pub(crate) fn run(&self, bench: &Bench, workspace: &str) {
        match self {
            Self::Plans => plans(bench, workspace),
            Self::Applies => applies(bench, workspace),
            Self::DeletesWorkspaces => deletes_workspaces(bench, workspace),
            Self::OpensLocks => opens_locks(bench, workspace),
            Self::ReadsVersions => {
                bench.in_workspace(workspace, &whole(Purpose::Admin));
                read_versions(bench, workspace, &whole(Purpose::Admin)).expect("allowed");
            }
            Self::Lessened(lessened) => misses(bench, workspace, lessened),
        }
    }
}

fn plans(bench: &Bench, workspace: &str) {
    let work = bench.in_workspace(workspace, &whole(Purpose::Plan));
    work.run(&["init", "-reconfigure"]).expect_success();
    work.run(&["plan"]).expect_success();
    refused(&work.run(&["apply", "-auto-approve"]), "s3:PutObject");
    let work = bench.ready(workspace, &whole(Purpose::Plan));
    work.run(&["workspace", "select", workspace]).expect_success();
}

fn applies(bench: &Bench, workspace: &str) {
    let user = whole(Purpose::Apply);
    let work = bench.in_workspace(workspace, &user);
    work.run(&["apply", "-auto-approve"]).expect_success();
    let work = bench.ready(workspace, &user);
    let new = format!("{workspace}-new");
    work.run(&["workspace", "new", &new]).expect_success();
    work.run(&["workspace", "select", "default"]).expect_success();
    refused(&work.run(&["workspace", "delete", &new]), "s3:DeleteObject");
}

fn deletes_workspaces(bench: &Bench, workspace: &str) {
    let user = whole(Purpose::Admin);
    bench.in_workspace(workspace, &user);
    let work = bench.ready(workspace, &user);
    work.run(&["workspace", "delete", workspace]).expect_success();
}

fn opens_locks(bench: &Bench, workspace: &str) {
    let work = bench.in_workspace(workspace, &whole(Purpose::Admin));
    let id = bench.put_lock(workspace);
    work.run(&["plan", "-lock-timeout=0s"]).expect_code(1);
    work.run(&["force-unlock", "-force", &id]).expect_success();
    work.run(&["plan"]).expect_success();
}

/// Reads the oldest version of a state.
fn read_versions(bench: &Bench, workspace: &str, user: &str) -> Result<(), Failed> {
    let s3 = bench.services(user).s3;
    let key = Bench::state_key(workspace);
    block_on(async {
        let versions = s3.list_object_versions().bucket(bench.bucket()).prefix(&key).send().await;
        let versions = versions.map_err(|error| Failed::new("S3: ListObjectVersions", &error))?;
        let oldest = versions.versions().last().and_then(|version| version.version_id()).expect("a version").to_owned();
        let got = s3.get_object().bucket(bench.bucket()).key(&key).version_id(oldest).send().await;
        got.map(drop).map_err(|error| Failed::new("S3: GetObject", &error))
    })
}

/// Does what the action is for, without it.
fn misses(bench: &Bench, workspace: &str, lessened: &Lessened) {
    let (user, action) = (lessened.user(), lessened.action.as_str());
    match (lessened.sid.as_str(), action) {
        (_, "s3:ListBucketVersions" | "s3:GetObjectVersion") => {
            bench.in_workspace(workspace, &user);
            let failed = read_versions(bench, workspace, &user).expect_err("refused");
            is_denied(failed.problem().as_slice(), action, failed.words());
        }
        // Terraform says nothing of a refused listing, and then knows of no workspace.
        ("Workspaces", "s3:ListBucket") => {
            bench.in_workspace(workspace, &user);
            let listed = bench.ready(workspace, &user).run(&["workspace", "list"]).expect_success();
            assert!(!listed.stdout.contains(workspace), "it goes without {action}: {}", listed.stdout);
        }
        // There is no state yet, and Terraform is not to learn that.
        (_, "s3:ListBucket") => {
            let work = bench.ready(workspace, &user).env("TF_WORKSPACE", workspace);
            refused_without_words(&work.run(&["plan"]), action);
        }
        ("States", "s3:GetObject") => {
            refused_without_words(&bench.in_workspace(workspace, &user).run(&["plan"]), action);
        }
        ("States", "s3:DeleteObject") => {
            bench.in_workspace(workspace, &user);
            refused(&bench.ready(workspace, &user).run(&["workspace", "delete", workspace]), action);
        }
        ("States", "s3:PutObject") => {
            refused(&bench.in_workspace(workspace, &user).run(&["apply", "-auto-approve"]), action);
        }
        ("DigestItems", _) => misses_the_digest(bench, workspace, lessened),
        _ => refused(&bench.in_workspace(workspace, &user).run(&["plan"]), action),
    }
}

/// Terraform goes on without the digest, and only its log tells of it.
fn misses_the_digest(bench: &Bench, workspace: &str, lessened: &Lessened) {
    let (user, action) = (lessened.user(), lessened.action.as_str());
    let work = bench.in_workspace(workspace, &user);
    let logged = |arguments: &[&str]| {
        let work = bench.ready(workspace, &user).env("TF_LOG", "WARN");
        let work = if arguments[0] == "workspace" { work } else { work.env("TF_WORKSPACE", workspace) };
        let output = work.run(arguments).expect_success();
        let text = output.report();
        is_denied(&stateward_denial::read(text.as_bytes()), action, &text);
    };
    match action {
        "dynamodb:GetItem" => logged(&["plan"]),
        "dynamodb:DeleteItem" => logged(&["workspace", "delete", workspace]),
        _ => {
            logged(&["apply", "-auto-approve"]);
            // Whoever comes next finds a state that is not the one of the digest.
            let output = work.run(&["plan"]).expect_code(1);
            let problems = stateward_denial::read(output.report().as_bytes());
            assert!(problems.iter().any(|problem| problem.kind == Kind::DigestMismatch), "{}", output.report());
        }
    }
}

/// Terraform failed, and what it printed is read as the lack of this action.
#[track_caller]
fn refused(output: &Output, action: &str) {
    assert_ne!(output.code(), Some(0), "it goes without {action}: {}", output.report());
    let text = output.report();
    is_denied(&stateward_denial::read(text.as_bytes()), action, &text);
}

#[track_caller]
fn is_denied(problems: &[Problem], action: &str, text: &str) {
    let denied = problems.iter().find(|problem| problem.kind == Kind::AccessDenied);
    let problem = denied.unwrap_or_else(|| panic!("no denial of {action} is read in: {text}"));
    let denial = problem.denial.as_ref().expect("a denial");
    let found = (denial.action.as_deref(), denial.layer, denial.effect);
    assert_eq!(found, (Some(action), Layer::Identity, Effect::Implicit), "{text}");
    assert!(entry_for(problem).is_some(), "nothing is known about: {text}");
}

/// The answer to a HEAD has no words. What is explained then names the action as one that may be missing.
#[track_caller]
fn refused_without_words(output: &Output, action: &str) {
    assert_ne!(output.code(), Some(0), "it goes without {action}: {}", output.report());
    let text = output.report();
    let mut problems = stateward_denial::read(text.as_bytes()).into_iter();
    let problem = problems.find(|problem| problem.kind == Kind::AccessDenied);
    let problem = problem.unwrap_or_else(|| panic!("no denial of {action} is read in: {text}"));
    let denial = problem.denial.as_ref().expect("a denial");
    assert_eq!((denial.operation.as_deref(), denial.layer), (Some("HeadObject"), Layer::Unknown), "{text}");
    assert!(problem.also_possible.contains(&Layer::Identity), "{problem:?}");
    let entry = entry_for(&problem).expect("known").id.as_str();
    let explanation = serde_json::to_string(&explain(problem, Some(entry), None, None)).expect("JSON");
    assert!(explanation.contains(action), "{action} is not named: {explanation}");
}
