//! What stands in the place.

use stateward_store::Result;
use stateward_store::outside::{Mark, Spot};
use stateward_store_aws::{LISTED_MAX, Listed, Names};

use super::Inner;
use super::spots::{Kind, is_default};

impl Inner {
    /// Shows everything of Terraform's to `look`.
    pub(super) async fn each(&self, mut look: impl FnMut(Kind, Listed)) -> Result<()> {
        for prefix in self.spots.listings() {
            self.each_below(prefix, |listed| {
                if let Some(kind) = self.spots.of(&listed.name) {
                    look(kind, listed);
                }
            })
            .await?;
        }
        Ok(())
    }

    /// The states under one name, in any workspace: nothing else is listed, so that no more need be allowed than Terraform itself needs.
    pub(super) async fn states_named(&self, name: &str) -> Result<Vec<(Spot, Mark)>> {
        let mut states = Vec::new();
        let own = format!("{}{name}", self.spots.states());
        for (prefix, of_default) in [(own, true), (self.spots.workspaces(), false)] {
            self.each_below(prefix, |listed| match self.spots.of(&listed.name) {
                // What lies below both prefixes is seen twice, and counts once.
                Some(Kind::State(at)) if at.name == name && is_default(&at) == of_default => {
                    states.push((at, Mark::new(listed.tag)));
                }
                _ => {}
            })
            .await?;
        }
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
