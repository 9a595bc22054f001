//! What stands in the place.

use stateward_store::Result;
use stateward_store::outside::{Mark, Spot};
use stateward_store_aws::{LISTED_MAX, Listed, Names};

use super::Inner;
use super::spots::Kind;

impl Inner {
    /// Shows everything of Terraform's to `look`, that of the default workspace first.
    pub(super) async fn each(&self, mut look: impl FnMut(Kind, Listed)) -> Result<()> {
        self.each_below(self.spots.states(), |listed| {
            if let Some(kind) = self.spots.in_default(&listed.name) {
                look(kind, listed);
            }
        })
        .await?;
        self.each_below(self.spots.workspaces(), |listed| {
            if let Some(kind) = self.spots.in_workspace(&listed.name) {
                look(kind, listed);
            }
        })
        .await
    }

    /// The states under one name, in any workspace: nothing else is listed, so that no more need be allowed than Terraform itself needs.
    pub(super) async fn states_named(&self, name: &str) -> Result<Vec<(Spot, Mark)>> {
        let mut states = Vec::new();
        let mut take = |kind: Option<Kind>, listed: Listed| match kind {
            Some(Kind::State(at)) if at.name == name => states.push((at, Mark::new(listed.tag))),
            _ => {}
        };
        let own = format!("{}{name}", self.spots.states());
        self.each_below(own, |listed| take(self.spots.in_default(&listed.name), listed)).await?;
        self.each_below(self.spots.workspaces(), |listed| take(self.spots.in_workspace(&listed.name), listed)).await?;
        Ok(states)
    }

    async fn each_below(&self, prefix: String, mut look: impl FnMut(Listed)) -> Result<()> {
        let mut names = Names { prefix, after: None, limit: LISTED_MAX };
        loop {
            let page = self.bucket.list(&names).await?;
            names.after = page.objects.last().map(|last| last.name.clone());
            let more = page.more && names.after.is_some();
            for listed in page.objects {
                look(listed);
            }
            if !more {
                return Ok(());
            }
        }
    }

    /// All states.
    pub(super) async fn states(&self) -> Result<Vec<(Spot, Mark)>> {
        let mut states = Vec::new();
        self.each(|kind, listed| {
            if let Kind::State(at) = kind {
                states.push((at, Mark::new(listed.tag)));
            }
        })
        .await?;
        Ok(states)
    }
}
