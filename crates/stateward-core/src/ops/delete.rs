//! Deleting a state, and bringing it back.

use super::write::refused;
use crate::access::{Caller, Right};
use crate::audit::{AuditItem, Deed};
use crate::backend::{Backend, Step};
use crate::control::{Deleted, Head};
use crate::error::{Error, Kind, Result};
use crate::locks;
use crate::name::StateId;
use crate::version::Version;

impl Backend {
    /// Deletes a state; its history stays, and `undelete` brings it back. Refused while somebody else holds it. Deleting what is
    /// not there is fine: the answer is `None`.
    pub async fn delete(&self, caller: &Caller, state: &StateId, lock_id: Option<&str>) -> Result<Option<Version>> {
        self.audited(caller, state, "DELETE", async {
            caller.demand(&[Right::Delete], state)?;
            match lock_id {
                Some(_) => self.try_delete(caller, state, lock_id).await,
                None => {
                    self.alone_outside(caller, state, "delete", Box::pin(self.try_delete(caller, state, None))).await
                }
            }
        })
        .await
    }

    async fn try_delete(&self, caller: &Caller, state: &StateId, lock_id: Option<&str>) -> Result<Option<Version>> {
        let before = self.place_before(state).await?;
        let deleted = self
            .update(state, None, |control, moment| {
                locks::may_write(control, lock_id, moment.now).map_err(refused)?;
                let Some(head) = control.head.take() else { return Ok(Step::Keep(None)) };
                let version = head.version;
                let audit = AuditItem {
                    version: Some(version.to_string()),
                    serial: Some(head.serial),
                    lock_id: lock_id.map(str::to_owned),
                    ..AuditItem::by(caller, moment.now, Deed::Delete, Some(state))
                };
                control.deleted = Some(Deleted { head, at: moment.now, who: caller.name.clone() });
                Ok(Step::Publish(Some(version), audit.into()))
            })
            .await?;
        self.follow_outside(state, before).await?;
        Ok(deleted)
    }

    /// Brings a deleted state back as it was.
    pub async fn undelete(&self, caller: &Caller, state: &StateId) -> Result<Version> {
        self.audited(caller, state, "undelete", async {
            caller.demand(&[Right::Delete], state)?;
            self.known(state).await?;
            self.alone_outside(caller, state, "undelete", Box::pin(self.try_undelete(caller, state))).await
        })
        .await
    }

    async fn try_undelete(&self, caller: &Caller, state: &StateId) -> Result<Version> {
        let before = self.place_before(state).await?;
        let version = self
            .update(state, None, |control, moment| {
                locks::may_write(control, None, moment.now).map_err(refused)?;
                let Some(deleted) = control.deleted.take() else {
                    return Err(Error::new(
                        Kind::Conflict,
                        "nothing was undeleted",
                        format!("`{state}` is not deleted"),
                        "to go back to an old version, use `stateward state restore`",
                    ));
                };
                let version = deleted.head.version;
                let audit = AuditItem {
                    version: Some(version.to_string()),
                    serial: Some(deleted.head.serial),
                    ..AuditItem::by(caller, moment.now, Deed::Undelete, Some(state))
                };
                control.head = Some(Head { mark: None, ..deleted.head });
                Ok(Step::Publish(version, audit.into()))
            })
            .await?;
        self.follow_outside(state, before).await?;
        Ok(version)
    }
}
