//! A state of a store or server of ours, as a backend block means it.

use std::fmt;

use stateward_client::Connection;
use stateward_core::{Result, StateId, StateName, StatesQuery, Workspace};

/// A state with its workspaces; or one of them alone, which is the default one to Terraform.
pub(super) struct Ours {
    pub(super) name: StateName,
    /// The workspace that the block's address names.
    pub(super) only: Option<Workspace>,
}

impl Ours {
    /// What Terraform calls by this workspace.
    pub(super) fn id(&self, workspace: &Workspace) -> StateId {
        StateId { name: self.name.clone(), workspace: self.only.as_ref().unwrap_or(workspace).clone() }
    }

    /// The workspaces in which there is a state, as Terraform calls them.
    pub(super) async fn workspaces(&self, connection: &dyn Connection) -> Result<Vec<Workspace>> {
        let query = StatesQuery { prefix: format!("{}@", self.name), ..StatesQuery::default() };
        let found = connection.states(&query).await?.items.into_iter().filter(|item| item.state == self.name);
        Ok(match &self.only {
            None => found.map(|item| item.workspace).collect(),
            Some(only) => found.filter(|item| item.workspace == *only).map(|_| Workspace::default()).collect(),
        })
    }
}

/// As `stateward run --state` takes it.
impl fmt::Display for Ours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id(&Workspace::default()).fmt(f)
    }
}
