//! Who we say we are: `user@host`, or in CI the actor and the run.

use rustix::process::getuid;
use rustix::system::uname;

use crate::config::Environment;

/// A CI system: the variable that tells it is there, its name, who started the run, and what names the run.
struct System {
    marker: &'static str,
    name: &'static str,
    actor: &'static [&'static str],
    run: &'static [&'static str],
}

const SYSTEMS: &[System] = &[
    System {
        marker: "GITHUB_ACTIONS",
        name: "GitHub Actions",
        actor: &["GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR"],
        run: &["GITHUB_REPOSITORY", "GITHUB_RUN_ID"],
    },
    System {
        marker: "GITLAB_CI",
        name: "GitLab CI",
        actor: &["GITLAB_USER_LOGIN"],
        run: &["CI_PROJECT_PATH", "CI_JOB_ID"],
    },
    System {
        marker: "TF_BUILD",
        name: "Azure Pipelines",
        actor: &["BUILD_REQUESTEDFOR"],
        run: &["BUILD_DEFINITIONNAME", "BUILD_BUILDID"],
    },
    System {
        marker: "BITBUCKET_BUILD_NUMBER",
        name: "Bitbucket Pipelines",
        actor: &["BITBUCKET_STEP_TRIGGERER_UUID"],
        run: &["BITBUCKET_REPO_FULL_NAME", "BITBUCKET_BUILD_NUMBER"],
    },
    System {
        marker: "BUILDKITE",
        name: "Buildkite",
        actor: &["BUILDKITE_BUILD_CREATOR"],
        run: &["BUILDKITE_PIPELINE_SLUG", "BUILDKITE_BUILD_NUMBER"],
    },
    System {
        marker: "CIRCLECI",
        name: "CircleCI",
        actor: &["CIRCLE_USERNAME"],
        run: &["CIRCLE_PROJECT_REPONAME", "CIRCLE_BUILD_NUM"],
    },
    System { marker: "JENKINS_URL", name: "Jenkins", actor: &["BUILD_USER_ID"], run: &["JOB_NAME", "BUILD_NUMBER"] },
    System {
        marker: "TEAMCITY_VERSION",
        name: "TeamCity",
        actor: &[],
        run: &["TEAMCITY_PROJECT_NAME", "BUILD_NUMBER"],
    },
    System { marker: "CI", name: "CI", actor: &[], run: &[] },
];

/// Who runs this process, as far as its environment tells.
pub(crate) fn who(environment: &Environment) -> String {
    let system = SYSTEMS.iter().find(|system| environment.get(system.marker).is_some_and(|value| value != "false"));
    match system {
        Some(system) => in_ci(environment, system),
        None => user_at_host(environment),
    }
}

fn in_ci(environment: &Environment, system: &System) -> String {
    let actor = system
        .actor
        .iter()
        .find_map(|name| environment.get(name))
        .map_or_else(|| user_at_host(environment), str::to_owned);
    let run: Vec<&str> = system.run.iter().filter_map(|name| environment.get(name)).collect();
    format!("{actor} ({})", [&[system.name], &run[..]].concat().join(" "))
}

fn user_at_host(environment: &Environment) -> String {
    let user = ["USER", "LOGNAME"].iter().find_map(|name| environment.get(name));
    let user = user.map_or_else(account, str::to_owned);
    format!("{user}@{}", uname().nodename().to_string_lossy())
}

/// The account's name. A service has none of the variables that a login sets.
fn account() -> String {
    let uid = getuid().as_raw().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut lines = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines
        .find_map(|fields| (fields.get(2) == Some(&uid.as_str())).then(|| fields[0].to_owned()))
        .unwrap_or(format!("uid{uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(vars: &[(&str, &str)]) -> String {
        who(&Environment::of(vars, "/"))
    }

    #[test]
    fn the_user_or_the_run() {
        assert!(of(&[("USER", "ana")]).starts_with("ana@"));
        assert!(!of(&[]).starts_with('@'));
        let github = [
            ("GITHUB_ACTIONS", "true"),
            ("CI", "true"),
            ("GITHUB_ACTOR", "ana"),
            ("GITHUB_REPOSITORY", "o/r"),
            ("GITHUB_RUN_ID", "7"),
        ];
        assert_eq!(of(&github), "ana (GitHub Actions o/r 7)");
        let gitlab =
            [("GITLAB_CI", "true"), ("GITLAB_USER_LOGIN", "bo"), ("CI_PROJECT_PATH", "g/p"), ("CI_JOB_ID", "9")];
        assert_eq!(of(&gitlab), "bo (GitLab CI g/p 9)");
        assert!(of(&[("CI", "false"), ("USER", "ana")]).starts_with("ana@"));
        assert!(of(&[("CI", "1"), ("USER", "ana")]).ends_with(" (CI)"));
    }
}
