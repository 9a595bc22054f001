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
