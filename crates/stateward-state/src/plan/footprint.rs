//! From a plan to what applying it writes and reads.

use std::collections::{BTreeSet, HashSet};

use super::error::{ShowError, Whole};
use super::file::PlanFile;
use super::place::{Place, Places};
use super::resolve::Resolver;
use super::show::{Change, Show};

/// What applying a plan writes and reads of the state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Footprint {
    /// The instances that applying may write: what is created, read, updated, replaced, destroyed, forgotten, imported or
    /// moved (both addresses), and what planning has refreshed. Each stands for its deposed objects too.
    pub write: Places,
    /// What the outcome depends on: what the written parts refer to in the configuration (through locals, variables,
    /// outputs, data sources, `for_each`, `count`, `depends_on`, providers and conditions) and in the state. Some of
    /// what is written is in here too.
    pub read: Places,
    /// The names of the root outputs that applying may write.
    pub outputs: BTreeSet<String>,
    /// Why the sets above do not hold the plan: then the whole state is needed, and they are empty.
    pub whole: Option<Whole>,
}

impl Footprint {
    /// The footprint of a plan: `file` is the plan, `show` what `terraform show -json` says of it. Both must be of the same plan.
    /// Where this fails, as where [`Footprint::whole`] is set, the whole state has to be locked.
    ///
    /// What applying writes is judged by the plan, not by the configuration: an instance that the plan leaves as it is may
    /// refer to what is written, and is then neither written nor what it refers to read.
    pub fn of(file: &PlanFile, show: &[u8]) -> Result<Self, ShowError> {
        let show = Show::read(show)?;
        let whole = |whole| Self { whole: Some(whole), ..Self::default() };
        if let Some(reason) = show.whole {
            return Ok(whole(reason));
        }
        if show.configuration.get("root_module").is_none() {
            return Ok(whole(Whole::NoConfiguration));
        }
        Ok(Self::build(file, &show).unwrap_or_else(whole))
    }

    fn build(file: &PlanFile, show: &Show) -> Result<Self, Whole> {
        let mut footprint = Self::default();
        let mut written = HashSet::new();
        for resource in show.resource_changes.iter().chain(&show.resource_drift) {
            if resource.mode.as_deref() == Some("ephemeral") {
                continue;
            }
            if writes(&resource.change, &resource.address)? || resource.previous_address.is_some() {
                written.insert(resource.address.as_str());
                written.extend(resource.previous_address.as_deref());
            }
        }
        for (name, change) in &show.output_changes {
            if writes(change, name)? {
                footprint.outputs.insert(name.clone());
            }
        }
        for address in file.refreshed() {
            match address.strip_prefix("output.") {
                Some(name) => drop(footprint.outputs.insert(name.to_owned())),
                None => drop(written.insert(address)),
            }
        }
        for address in &written {
            footprint.write.insert(place(address)?);
        }
        footprint.read_configuration(file, show);
        for resource in show.prior_state.resources().filter(|resource| written.contains(resource.address.as_str())) {
            for dependency in &resource.depends_on {
                footprint.read.insert(place(dependency)?);
            }
        }
        Ok(footprint)
    }

    fn read_configuration(&mut self, file: &PlanFile, show: &Show) {
        let mut resolver = Resolver::new(&show.configuration, file.sources());
        for place in self.write.iter() {
            resolver.written(place);
        }
        for name in &self.outputs {
            resolver.output(name);
        }
        let mut targets = self.write.clone();
        targets.extend(self.outputs.iter().map(|name| Place::output(name)));
        self.read = resolver.finish(&targets);
    }

    /// Whether the run holds an instance or output (`output.NAME`) for itself, as
    /// [`Merge::mine`](crate::edit::Merge::mine) asks.
    pub fn writes(&self, address: &str) -> bool {
        match address.strip_prefix("output.") {
            Some(name) => self.outputs.contains(name),
            None => self.write.covers(address),
        }
    }
}

fn place(address: &str) -> Result<Place, Whole> {
    Place::parse(address).map_err(|error| Whole::UnknownAddress { address: error.0 })
}

/// Whether a change is one; it may also be to do nothing.
fn writes(change: &Change, address: &str) -> Result<bool, Whole> {
    let mut writes = change.importing.is_some();
    for action in &change.actions {
        match action.as_str() {
            "no-op" => {}
            "create" | "read" | "update" | "delete" | "forget" => writes = true,
            _ => return Err(Whole::UnknownAction { address: address.to_owned(), action: action.clone() }),
        }
    }
    Ok(writes)
}
