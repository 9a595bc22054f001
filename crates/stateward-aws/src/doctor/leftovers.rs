//! What a doctor has left that was killed, so that it could not remove it.

use aws_sdk_s3::types::Object;
use stateward_store_aws::Bucket;

use super::finding::in_words;
use super::probes::CONTENT;
use super::state::time;
use super::target::typed;
use super::{Finding, Patient, Reached, Target};

const CHECK: &str = "leftovers";
/// In seconds: what is younger may be of a doctor at work.
const OLD: i64 = 60 * 60;
/// Digits of what makes a name one of its own.
const DIGITS: usize = 24;

/// Whether nobody but a doctor has written an object: by its name, its size and that whoever was at work is long done.
fn is_left(object: &Object, target: &Target, room: &str, now: i64) -> bool {
    let Some(key) = object.key() else { return false };
    let (id, _) = key.strip_prefix(room).and_then(|rest| rest.split_at_checked(DIGITS)).unwrap_or_default();
    let is_id = id.len() == DIGITS && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_old = object.last_modified.and_then(time).is_some_and(|written| written.as_second() + OLD < now);
    let is_own = |name: &String| key == name || key.strip_suffix(".tflock") == Some(name.as_str());
    is_id && target.probes(id).iter().any(is_own) && object.size == i64::try_from(CONTENT.len()).ok() && is_old
}

impl Patient {
    /// Removes what was left; where nothing may be written, tells of it. Whoever may not list those names is told nothing.
    pub(super) async fn leftovers(&self, reached: Reached) -> Vec<Finding> {
        let (Ok(bucket), now) = (self.reached(reached, CHECK), (self.options.now)().as_second()) else {
            return Vec::new();
        };
        let mut left = Vec::new();
        for room in self.target.probe_rooms() {
            let listed = bucket.client.list_objects_v2().bucket(&bucket.name).prefix(&room).send().await;
            let listed = listed.ok().and_then(|listed| listed.contents).unwrap_or_default();
            let is_left = |object: &Object| is_left(object, &self.target, &room, now);
            left.extend(listed.into_iter().filter(is_left).filter_map(|one| one.key));
        }
        if left.is_empty() {
            return Vec::new();
        }
        vec![self.removed(bucket, &left).await]
    }

    async fn removed(&self, bucket: &Bucket, left: &[String]) -> Finding {
        let title = format!("{} of a doctor that could not remove them", count(left.len()));
        let place = |name: &String| format!("s3://{}/{name}", bucket.name);
        let mut why = format!("nobody needs them any more: {}", left.iter().map(place).collect::<Vec<_>>().join(", "));
        let mut stays: Vec<&String> = left.iter().collect();
        if !self.options.read_only {
            stays.clear();
            for name in left {
                if let Err(failed) = self.wipe(bucket, name).await {
                    why = in_words(&failed);
                    stays.push(name);
                }
            }
        }
        match stays.first() {
            None => Finding::ok(CHECK, format!("removed: {title}")),
            Some(first) => {
                let fix = format!("aws s3 rm {}", typed(&place(first)));
                let fix =
                    if self.options.read_only { format!("run this without `--read-only`, or: {fix}") } else { fix };
                Finding::warn(CHECK, title, why, fix)
            }
        }
    }
}

fn count(objects: usize) -> String {
    if objects == 1 { "1 object".to_owned() } else { format!("{objects} objects") }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::primitives::DateTime;
    use stateward_iam::Layout;

    use super::*;

    #[test]
    fn what_is_certainly_the_doctors_own() {
        const ID: &str = "09b31fc04a5d07034302f94a";
        const NOW: i64 = 1_800_000_000;
        let size = i64::try_from(CONTENT.len()).expect("a size");
        let of = |target: &Target, key: &str, size: i64, written: i64| {
            let object = Object::builder().key(key).size(size).last_modified(DateTime::from_secs(written)).build();
            target.probe_rooms().iter().any(|room| is_left(&object, target, room, NOW))
        };
        let state = Target::new("states", "net/prod.tfstate");
        let lock = format!("env:/stateward-doctor-{ID}/net/prod.tfstate.tflock");
        let old = NOW - 2 * OLD;
        assert!(of(&state, &lock, size, old));
        assert!(!of(&state, &lock, size, NOW - 60), "it may be at work");
        assert!(!of(&state, &lock, size + 1, old), "it writes something else");
        for other in ["blog", "09b31fc04a5d07034302f94", "09B31FC04A5D07034302F94A", ""] {
            assert!(!of(&state, &format!("env:/stateward-doctor-{other}/net/prod.tfstate"), size, old), "{other}");
        }
        assert!(!of(&state, &format!("env:/stateward-doctor-{ID}/other.tfstate"), size, old));
        for (key, own) in
            [("team", "team/.stateward/doctor/"), ("", ".stateward/doctor/"), ("team", "team/stateward-doctor-")]
        {
            let store = Target { layout: Layout::Stateward, ..Target::new("states", key) };
            assert!(of(&store, &format!("{own}{ID}"), size, old), "{own}");
            assert!(!of(&store, &format!("{own}{ID}/more"), size, old), "{own}");
        }
        let store = Target { layout: Layout::Stateward, ..Target::new("states", "team") };
        let in_workspace = |own: &str| format!("env:/stateward-doctor-{ID}/team/stateward-doctor-{own}");
        assert!(of(&store, &in_workspace(ID), size, old));
        assert!(!of(&store, &in_workspace("else"), size, old));
    }
}
