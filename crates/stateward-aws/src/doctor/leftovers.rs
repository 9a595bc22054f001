//! What a doctor has left that was killed, so that it could not remove it.

use aws_sdk_s3::primitives::DateTime;
use stateward_store_aws::Bucket;

use super::finding::in_words;
use super::probes::{CONTENT, Probe};
use super::state::time;
use super::target::typed;
use super::{Finding, Patient, Reached, Target};

const CHECK: &str = "leftovers";
/// In seconds: what is younger may be of a doctor at work.
const OLD: i64 = 60 * 60;
/// Digits of what makes a name one of its own.
const DIGITS: usize = 24;

/// Whether nobody but a doctor has a name, and none at work: by what makes it its own, and when it was made.
fn is_left(key: &str, made: Option<DateTime>, target: &Target, room: &str, now: i64) -> bool {
    let (id, _) = key.strip_prefix(room).and_then(|rest| rest.split_at_checked(DIGITS)).unwrap_or_default();
    let is_id = id.len() == DIGITS && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_old = made.and_then(time).is_some_and(|made| made.as_second() + OLD < now);
    let is_own = |name: &String| key == name || key.strip_suffix(".tflock") == Some(name.as_str());
    is_id && target.probes(id).iter().any(is_own) && is_old
}

impl Patient {
    /// Removes what was left; where nothing may be written, tells of it. Whoever may not list those names is told nothing.
    pub(super) async fn leftovers(&self, reached: Reached) -> Vec<Finding> {
        let (Ok(bucket), now) = (self.reached(reached, CHECK), (self.options.now)().as_second()) else {
            return Vec::new();
        };
        let mut left = Vec::new();
        for room in self.target.probe_rooms() {
            let is_left = |key: &str, made| is_left(key, made, &self.target, &room, now);
            left.extend(objects(bucket, &room, is_left).await);
            left.extend(uploads(bucket, &room, is_left).await);
        }
        if left.is_empty() {
            return Vec::new();
        }
        vec![self.removed(bucket, &left).await]
    }

    async fn removed(&self, bucket: &Bucket, left: &[Probe]) -> Finding {
        let title = format!("{} of a doctor that could not remove them", count(left));
        let all: Vec<String> = left.iter().map(|probe| self.called(probe)).collect();
        let mut why = format!("nobody needs them any more: {}", all.join(", "));
        let mut stays: Vec<&Probe> = left.iter().collect();
        if !self.options.read_only {
            stays.clear();
            for probe in left {
                let removed = match probe {
                    Probe::Upload(name, Some(id)) => self.abort_upload(bucket, name, id).await,
                    Probe::Object(name) | Probe::Upload(name, None) => self.wipe(bucket, name).await,
                    Probe::Item(_) => Ok(()),
                };
                if let Err(failed) = removed {
                    why = in_words(&failed);
                    stays.push(probe);
                }
            }
        }
        match stays.first() {
            None => Finding::ok(CHECK, format!("removed: {title}")),
            Some(first) => {
                let fix = by_hand(bucket, first);
                let fix =
                    if self.options.read_only { format!("run this without `--read-only`, or: {fix}") } else { fix };
                Finding::warn(CHECK, title, why, fix)
            }
        }
    }
}

/// By its size, too, an object is one that a doctor has written.
async fn objects(bucket: &Bucket, room: &str, is_left: impl Fn(&str, Option<DateTime>) -> bool) -> Vec<Probe> {
    let listed = bucket.client.list_objects_v2().bucket(&bucket.name).prefix(room).send().await;
    let listed = listed.ok().and_then(|listed| listed.contents).unwrap_or_default();
    let own = listed.into_iter().filter(|object| object.size == i64::try_from(CONTENT.len()).ok());
    own.filter_map(|one| Some(one.key).filter(|key| is_left(key.as_deref().unwrap_or_default(), one.last_modified))?)
        .map(Probe::Object)
        .collect()
}

/// Uploads that were begun and not given up.
async fn uploads(bucket: &Bucket, room: &str, is_left: impl Fn(&str, Option<DateTime>) -> bool) -> Vec<Probe> {
    let listed = bucket.client.list_multipart_uploads().bucket(&bucket.name).prefix(room).send().await;
    let listed = listed.ok().and_then(|listed| listed.uploads).unwrap_or_default();
    let left = listed.into_iter().filter_map(|upload| {
        let (key, id) = (upload.key?, upload.upload_id?);
        is_left(&key, upload.initiated).then_some(Probe::Upload(key, Some(id)))
    });
    left.collect()
}

/// The command that removes one.
fn by_hand(bucket: &Bucket, probe: &Probe) -> String {
    match probe {
        Probe::Upload(name, Some(id)) => format!(
            "aws s3api abort-multipart-upload --bucket {} --key {} --upload-id {}",
            typed(&bucket.name),
            typed(name),
            typed(id)
        ),
        Probe::Object(name) | Probe::Upload(name, None) => {
            format!("aws s3 rm {}", typed(&format!("s3://{}/{name}", bucket.name)))
        }
        Probe::Item(_) => String::new(),
    }
}

fn count(left: &[Probe]) -> String {
    let uploads = left.iter().filter(|probe| matches!(probe, Probe::Upload(..))).count();
    let of = |number: usize, what: &str| match number {
        0 => None,
        1 => Some(format!("1 {what}")),
        number => Some(format!("{number} {what}s")),
    };
    let both = [of(left.len() - uploads, "object"), of(uploads, "upload")];
    both.into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use stateward_iam::Layout;

    use super::*;

    #[test]
    fn what_is_certainly_the_doctors_own() {
        const ID: &str = "09b31fc04a5d07034302f94a";
        const NOW: i64 = 1_800_000_000;
        let of = |target: &Target, key: &str, made: i64| {
            let made = Some(DateTime::from_secs(made));
            target.probe_rooms().iter().any(|room| is_left(key, made, target, room, NOW))
        };
        let state = Target::new("states", "net/prod.tfstate");
        let lock = format!("env:/stateward-doctor-{ID}/net/prod.tfstate.tflock");
        let old = NOW - 2 * OLD;
        assert!(of(&state, &lock, old));
        assert!(!of(&state, &lock, NOW - 60), "it may be at work");
        for other in ["blog", "09b31fc04a5d07034302f94", "09B31FC04A5D07034302F94A", ""] {
            assert!(!of(&state, &format!("env:/stateward-doctor-{other}/net/prod.tfstate"), old), "{other}");
        }
        assert!(!of(&state, &format!("env:/stateward-doctor-{ID}/other.tfstate"), old));
        for (key, own) in
            [("team", "team/.stateward/doctor/"), ("", ".stateward/doctor/"), ("team", "team/stateward-doctor-")]
        {
            let store = Target { layout: Layout::Stateward, ..Target::new("states", key) };
            assert!(of(&store, &format!("{own}{ID}"), old), "{own}");
            assert!(!of(&store, &format!("{own}{ID}/more"), old), "{own}");
        }
        let store = Target { layout: Layout::Stateward, ..Target::new("states", "team") };
        let in_workspace = |own: &str| format!("env:/stateward-doctor-{ID}/team/stateward-doctor-{own}");
        assert!(of(&store, &in_workspace(ID), old));
        assert!(!of(&store, &in_workspace("else"), old));
    }
}
