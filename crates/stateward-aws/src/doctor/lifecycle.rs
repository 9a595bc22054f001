//! Lifecycle rules of the bucket that take states away.

use stateward_iam::Layout;
use stateward_store_aws::Bucket;

use super::finding::blame;
use super::target::typed;
use super::{DEFAULT_WORKSPACE, Finding, Patient, Reached, Target};
use crate::Failed;
use crate::lifecycle::{Danger, Deed, Names, dangers};

const CHECK: &str = "bucket-lifecycle";

/// What is kept in the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The state that is looked at.
    State,
    /// Its lock file.
    Lock,
    /// States of other workspaces.
    Others,
    /// What a store itself keeps.
    Store,
}

/// Objects that are needed.
struct Kept {
    kind: Kind,
    names: Names,
    /// What they are called.
    told: String,
}

impl Target {
    fn kept(&self) -> Vec<Kept> {
        let kept = |kind, names, told: String| Kept { kind, names, told };
        let workspaces = match self.workspace_key_prefix.as_str() {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        if let Some(object) = self.object() {
            let lock = self.lock_file().filter(|_| self.use_lockfile);
            let mut all = vec![kept(Kind::State, Names::One(object.clone()), object)];
            all.extend(lock.map(|lock| kept(Kind::Lock, Names::One(lock.clone()), lock)));
            let others = "the states of other workspaces".to_owned();
            all.push(kept(Kind::Others, Names::Between(workspaces, self.key.clone()), others));
            if self.workspace != DEFAULT_WORKSPACE {
                all.push(kept(Kind::Others, Names::One(self.key.clone()), self.key.clone()));
            }
            return all;
        }
        let prefix = if self.key.is_empty() { String::new() } else { format!("{}/", self.key) };
        let own = |room: &str| {
            let names = Names::Under(format!("{prefix}.stateward/{room}/"));
            kept(Kind::Store, names, format!("what the store keeps under {prefix}.stateward/"))
        };
        let mut all = vec![own("records"), own("packs"), own("meta")];
        if self.shares {
            let states = || "the states that Terraform's own backend reads".to_owned();
            all.push(kept(Kind::State, Names::Under(prefix.clone()), states()));
            all.push(kept(Kind::State, Names::Between(workspaces, prefix), states()));
        }
        all
    }
}

impl Patient {
    pub(super) async fn bucket_lifecycle(&self, reached: Reached) -> Vec<Finding> {
        let bucket = match self.reached(reached, CHECK) {
            Ok(bucket) => bucket,
            Err(found) => return found,
        };
        let answer = bucket.client.get_bucket_lifecycle_configuration().bucket(&bucket.name).send().await;
        let (rules, smallest) = match answer {
            Ok(answer) => (answer.rules.unwrap_or_default(), answer.transition_default_minimum_object_size),
            Err(error) => {
                let failed = Failed::new("S3: GetBucketLifecycleConfiguration", &error);
                if !failed.is("NoSuchLifecycleConfiguration") {
                    return blame(CHECK, &failed);
                }
                (Vec::new(), None)
            }
        };
        let dangers = dangers(&rules, smallest.as_ref(), &self.target.objects.tags);
        let hits = self.hits(&dangers);
        let is_sized = hits.iter().any(|(danger, _)| danger.of_sizes().is_some());
        let size = if is_sized { self.state_size(bucket).await } else { None };
        let found: Vec<Finding> = hits.iter().map(|(danger, hit)| told(danger, hit, size, &bucket.name)).collect();
        match found.is_empty() {
            true if rules.is_empty() => vec![Finding::ok(CHECK, "there are no rules")],
            true => vec![Finding::ok(CHECK, "no rule takes states away")],
            false => found,
        }
    }

    /// Each rule that takes something that is needed, with what it takes.
    fn hits<'a>(&self, dangers: &'a [Danger]) -> Vec<(&'a Danger, Vec<Kept>)> {
        let is_store = self.target.layout != Layout::S3;
        // Under it there are no states.
        let own = format!("{}.stateward/", self.target.listed());
        let hit = |danger: &'a Danger| {
            let mut kept = self.target.kept();
            kept.retain(|kept| {
                let is_of_use = match (&danger.deed, kept.kind) {
                    // A store keeps its versions itself, and nobody wants an old lock.
                    (Deed::Forgets { .. }, Kind::Lock) => false,
                    (Deed::Forgets { .. }, _) => !is_store,
                    // No lock has so many bytes.
                    (_, Kind::Lock) => danger.sizes.0.is_none(),
                    (_, Kind::State) if is_store => !danger.prefix.starts_with(&own),
                    _ => true,
                };
                is_of_use && kept.names.any_begins(&danger.prefix)
            });
            kept.dedup_by(|one, other| one.told == other.told);
            (!kept.is_empty()).then_some((danger, kept))
        };
        dangers.iter().filter(|danger| !self.target.is_probes(&danger.prefix)).filter_map(hit).collect()
    }

    /// How many bytes the state has now, where there is one alone and it can be read.
    async fn state_size(&self, bucket: &Bucket) -> Option<i64> {
        let answer = bucket.reading(&self.target.object()?).range("bytes=0-0").send().await.ok()?;
        answer.content_range?.rsplit('/').next()?.parse().ok()
    }
}

fn told(danger: &Danger, hit: &[Kept], size: Option<i64>, bucket: &str) -> Finding {
    let has = |kind| hit.iter().any(|kept| kept.kind == kind);
    let what: Vec<&str> = hit.iter().map(|kept| kept.told.as_str()).collect();
    let title = format!("{} {}", danger.rule(), danger.deed.to(&what.join(" and ")));
    let shown = format!("`aws s3api get-bucket-lifecycle-configuration --bucket {}` shows it", typed(bucket));
    let fix = match &danger.deed {
        Deed::Forgets { .. } => {
            format!(
                "have whoever keeps the rule leave more: a higher `NewerNoncurrentVersions`, or more `NoncurrentDays`. {shown}"
            )
        }
        _ => format!(
            "have whoever keeps the rule take these names out of it (`Filter`), or limit it to old versions (`NoncurrentVersionExpiration`). {shown}"
        ),
    };
    let is_taken = match has(Kind::Store) {
        // Among its objects are some of any size.
        true => Some(true),
        false => danger.takes(size),
    };
    let is_lost = !matches!(danger.deed, Deed::Forgets { .. })
        && (has(Kind::Store) || has(Kind::State))
        && is_taken == Some(true);
    let mut found = match is_lost {
        true => Finding::fail(CHECK, title, why(&danger.deed, hit), fix),
        false => Finding::warn(CHECK, title, why(&danger.deed, hit), fix),
    };
    if let Some(sizes) = danger.of_sizes() {
        found.add(&format!("it takes {sizes} alone"));
        match size {
            Some(size) if has(Kind::State) => found.add(&format!("the state has {size} now")),
            _ => {}
        }
    }
    found
}

fn why(deed: &Deed, hit: &[Kept]) -> &'static str {
    let has = |kind| hit.iter().any(|kept| kept.kind == kind);
    match deed {
        Deed::Deletes(_) if has(Kind::Store) => {
            "a store writes most of its objects once, and needs them for ever: without them its states cannot be read"
        }
        Deed::Deletes(_) if has(Kind::State) || has(Kind::Others) => {
            "what no apply changes for so long is gone: Terraform then finds no state, and would create everything anew. \
             A bucket that keeps versions still has it as an old one, another has nothing"
        }
        Deed::Deletes(_) => "a run that takes longer loses its lock, and another one can begin beside it",
        Deed::Archives(..) => {
            "nobody can read what lies there before it is restored, which takes minutes to days: until then every plan and apply fails"
        }
        Deed::Forgets { .. } => {
            "what was overwritten or deleted by mistake can be brought back for so long alone, and one apply may write a state many times"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told_of(target: &Target) -> Vec<String> {
        target.kept().iter().map(|kept| format!("{:?} {:?}", kept.kind, kept.names)).collect()
    }

    #[test]
    fn the_doctors_own_names() {
        let mut target = Target::new("states", "net/prod.tfstate");
        assert!(target.is_probes("env:/stateward-doctor-"));
        assert!(!target.is_probes("env:/state") && !target.is_probes(""));
        target.workspace_key_prefix = String::new();
        assert!(target.is_probes("stateward-doctor-") && !target.is_probes(""));
        for (key, own, other) in [("team", "team/.stateward/doctor/", "team/"), ("", ".stateward/doctor/", "")] {
            let store = Target { layout: Layout::Stateward, ..Target::new("states", key) };
            assert!(store.is_probes(own) && !store.is_probes(other));
            assert!(store.is_probes(&format!("{other}stateward-doctor-")));
            assert_eq!(store.is_probes("env:/stateward-doctor-"), !key.is_empty(), "the prefix is listed with all");
        }
    }

    #[test]
    fn what_is_needed_in_a_bucket() {
        let mut target = Target::new("states", "net/prod.tfstate");
        assert_eq!(
            told_of(&target),
            [r#"State One("net/prod.tfstate")"#, r#"Others Between("env:/", "net/prod.tfstate")"#]
        );
        target.workspace = "dev".to_owned();
        target.use_lockfile = true;
        assert_eq!(
            told_of(&target),
            [
                r#"State One("env:/dev/net/prod.tfstate")"#,
                r#"Lock One("env:/dev/net/prod.tfstate.tflock")"#,
                r#"Others Between("env:/", "net/prod.tfstate")"#,
                r#"Others One("net/prod.tfstate")"#
            ]
        );
        let mut store = Target::new("states", "team");
        store.layout = Layout::Stateward;
        assert_eq!(
            told_of(&store),
            [
                r#"Store Under("team/.stateward/records/")"#,
                r#"Store Under("team/.stateward/packs/")"#,
                r#"Store Under("team/.stateward/meta/")"#,
                r#"State Under("team/")"#,
                r#"State Between("env:/", "team/")"#
            ]
        );
        store.shares = false;
        assert_eq!(told_of(&store).len(), 3);
    }
}
