//! Holders that are jobs of a CI system: which one it was, and where it is seen whether it is over. Pure.

/// GitHub ends a job on one of its own machines after so long.
const GITHUB_JOB_HOURS: u32 = 6;

/// What is known of the job that a lock's `Who` tells of; `None` where it tells of none.
pub(super) fn job(who: &str) -> Option<String> {
    of_ours(who).or_else(|| {
        let (user, host) = who.rsplit_once('@')?;
        of_github(user, host).or_else(|| of_gitlab(host))
    })
}

/// `ana (GitHub Actions o/r 7)`, as `stateward` itself writes it.
fn of_ours(who: &str) -> Option<String> {
    let (actor, run) = who.strip_suffix(')')?.rsplit_once(" (")?;
    let name_of = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte));
    let seen = match run.split(' ').collect::<Vec<_>>().as_slice() {
        ["GitHub", "Actions", repository, id] if name_of(repository) && name_of(id) => {
            format!("https://github.com/{repository}/actions/runs/{id} (on a server of your own, the same path there)")
        }
        ["GitLab", "CI", project, id] if name_of(project) && name_of(id) => {
            format!("the page `/{project}/-/jobs/{id}` of your GitLab")
        }
        _ => "that run's page".to_owned(),
    };
    Some(format!("{actor} took it in CI, in `{run}`: whether that job is over is not seen from here, but at {seen}"))
}

fn of_github(user: &str, host: &str) -> Option<String> {
    let is_theirs = ["fv-az", "runnervm"].iter().any(|start| host.starts_with(start));
    (user == "runner" && is_theirs).then(|| {
        format!(
            "machines of GitHub's own runners are called like `{host}`; such a machine does one job of at most {GITHUB_JOB_HOURS} hours and is \
             deleted then. Which job it was is not in the lock: look under Actions for the one that ran when it was taken"
        )
    })
}

/// `runner-abc-project-123-concurrent-0`.
fn of_gitlab(host: &str) -> Option<String> {
    let (_, rest) = host.strip_prefix("runner-")?.split_once("-project-")?;
    let (project, _) = rest.split_once("-concurrent-")?;
    let is_number = !project.is_empty() && project.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| {
        format!(
            "it was taken in a job of GitLab's project with the ID {project}: whether that is over is not seen from here, but in the list of its \
             jobs, by the time at which the lock was taken"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_that_are_told_by_who_took_a_lock() {
        for (who, expected) in [
            ("ana (GitHub Actions o/r 7)", Some("https://github.com/o/r/actions/runs/7")),
            ("bo (GitLab CI g/p 9)", Some("`/g/p/-/jobs/9`")),
            ("ana (Jenkins deploy 12)", Some("that run's page")),
            ("ana@vm7 (CI)", Some("in CI, in `CI`")),
            ("x (GitHub Actions o/r?a b 7)", Some("that run's page")),
            ("runner@fv-az1234-567", Some("at most 6 hours")),
            ("runner@runnervmabc12", Some("at most 6 hours")),
            ("root@runner-a1b2-project-123-concurrent-0", Some("the ID 123")),
            ("ana@laptop", None),
            ("runner@build7", None),
            ("ana@runner-x-project-y-concurrent-0", None),
            ("", None),
        ] {
            let told = job(who);
            assert_eq!(told.is_some(), expected.is_some(), "{who}: {told:?}");
            assert!(told.unwrap_or_default().contains(expected.unwrap_or_default()), "{who}");
        }
    }
}
