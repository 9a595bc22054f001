//! Carrying a decision out, under Terraform's own lock.

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use stateward_state::edit::with_serial;
use stateward_state::scan::scan;
use stateward_store::StoreError;
use stateward_store::outside::{BytesPlace, LockInfo, LockPlace, Seen, Spot, Taken};
use stateward_store_s3::TerraformPlace;

use super::decide::{Decision, DigestStep, Plan, Wish, decide};
use super::facts::{Facts, look_knowing, md5_of, whole};

/// Why a repair was not carried out, or not to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepairError {
    /// Somebody holds the state's lock.
    #[error("the state is locked")]
    Locked(Bytes),
    /// What was found under the lock is not what was decided about.
    #[error("what stands there has changed since it was looked at")]
    Changed,
    /// What stands there then is not what was written.
    #[error("what was written cannot be read back: {0}")]
    NotThere(String),
    /// All was done, but for the lock.
    #[error("all was done, and then the lock could not be given back: {0}")]
    LockLeft(StoreError),
    /// The storage did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a repair came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Done {
    /// The MD5 of what stands there, which is the digest; null where nothing does.
    pub md5: Option<String>,
    /// Its serial.
    pub serial: Option<u64>,
}

/// A repair of one state.
#[derive(Debug)]
pub struct Repair<'a> {
    /// Where the state is kept.
    pub place: &'a TerraformPlace,
    /// Which state.
    pub at: &'a Spot,
    /// What was asked for.
    pub wish: Wish<'a>,
    /// Who asks; stands in the lock.
    pub who: &'a str,
    /// The version of the program; stands in the lock.
    pub tool: &'a str,
    /// Now; stands in the lock.
    pub now: Timestamp,
}

const OPERATION: &str = "state-repair";

impl Repair<'_> {
    /// Carries out a plan that was made of what was looked at: takes Terraform's lock, sees that the plan still is what is to be done, writes the object and then the digest,
    /// reads both back, and gives the lock back.
    ///
    /// The lock's ID depends on what is repaired and by whom, so that a repair that was killed takes its own lock up again. Each
    /// step is done only to what was looked at.
    pub async fn carry_out(&self, looked: &Facts, plan: &Plan) -> Result<Done, RepairError> {
        let info = self.lock_info();
        let raw = serde_json::to_vec(&info).unwrap_or_default();
        let locks = self.place.takes_locks();
        if locks && let Taken::Held(holder) = self.place.lock(self.at, &info.id, &raw).await? {
            return Err(RepairError::Locked(holder));
        }
        let done = self.under_lock(looked, plan).await;
        if locks {
            let unlocked = self.place.unlock(self.at, &info.id, &raw).await;
            return done.and_then(|done| unlocked.map(|()| done).map_err(RepairError::LockLeft));
        }
        done
    }

    /// Gives back the lock that an earlier repair of this kind left when it was killed after all else was done; true where there was one.
    pub async fn give_back(&self) -> Result<bool, RepairError> {
        let info = self.lock_info();
        let standing = if self.place.takes_locks() { self.place.standing_locks(self.at).await? } else { Vec::new() };
        if standing.iter().all(|lock| lock.id.as_ref() != Some(&info.id)) {
            return Ok(false);
        }
        let raw = serde_json::to_vec(&info).unwrap_or_default();
        self.place.unlock(self.at, &info.id, &raw).await?;
        Ok(true)
    }

    async fn under_lock(&self, looked: &Facts, plan: &Plan) -> Result<Done, RepairError> {
        let facts = look_knowing(self.place, self.at, self.wish.version, &looked.older).await?;
        let is_same = facts.mark == looked.mark && facts.digest == looked.digest;
        if !is_same || decide(&facts, self.wish) != Decision::Repair(plan.clone()) {
            return Err(RepairError::Changed);
        }
        let mut md5 = facts.current.as_ref().map(|current| current.md5.clone());
        if let Some(write) = &plan.write {
            let body = self.body(write.version.as_deref(), &write.md5).await?;
            let body = match write.serial {
                None => body,
                Some(serial) => renumbered(&body, serial)?,
            };
            md5 = Some(md5_of(&body));
            self.place.replace_bytes(self.at, facts.mark.as_ref(), body).await?;
        }
        let digest = match plan.digest {
            DigestStep::OfObject => md5.as_deref(),
            DigestStep::Remove => None,
        };
        if facts.digest.as_deref() != digest {
            self.place.replace_digest(self.at, facts.digest.as_deref(), digest).await?;
        }
        self.verify(&facts, md5).await
    }

    /// The bytes of a version, or those that stand there, which have this MD5.
    async fn body(&self, version: Option<&str>, md5: &str) -> Result<Bytes, RepairError> {
        let incoming = match version {
            Some(version) => self.place.read_version(self.at, version).await?,
            None => match self.place.read_unchecked(self.at).await? {
                Seen::Bytes(incoming) => incoming,
                Seen::Absent | Seen::Same => return Err(RepairError::Changed),
            },
        };
        let body = whole(incoming).await?;
        if md5_of(&body) == md5 { Ok(body) } else { Err(RepairError::Changed) }
    }

    /// Reads what stands there as Terraform would.
    async fn verify(&self, facts: &Facts, md5: Option<String>) -> Result<Done, RepairError> {
        let body = match self.place.read(self.at, None).await? {
            Seen::Bytes(incoming) => Some(whole(incoming).await?),
            Seen::Absent | Seen::Same => None,
        };
        let there = body.as_deref().map(md5_of);
        if there != md5 {
            let nothing = || "nothing".to_owned();
            let (there, wanted) = (there.unwrap_or_else(nothing), md5.unwrap_or_else(nothing));
            return Err(RepairError::NotThere(format!("`{}` is {there}, and should be {wanted}", facts.object)));
        }
        let serial = body.and_then(|body| scan(&body, [0; 32]).ok()).map(|summary| summary.serial);
        Ok(Done { md5, serial })
    }

    fn lock_info(&self) -> LockInfo {
        let path = format!("{}/{}", self.place.bucket(), self.place.object(self.at));
        let hex = md5_of(format!("{OPERATION}\n{path}\n{}", self.who).as_bytes());
        LockInfo {
            // In the form of a UUID, as Terraform's own are.
            id: format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]),
            operation: OPERATION.to_owned(),
            who: self.who.to_owned(),
            version: self.tool.to_owned(),
            created: self.now.to_string(),
            path,
            ..LockInfo::default()
        }
    }
}

fn renumbered(body: &Bytes, serial: u64) -> Result<Bytes, RepairError> {
    // It was read as a state before it was decided about.
    let summary = scan(body, [0; 32]).map_err(|_| RepairError::Changed)?;
    Ok(with_serial(body, &summary.spans, serial).into())
}
