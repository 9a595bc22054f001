//! What `terraform show -json PLANFILE` says, as far as it is needed: values are skipped, so nothing of them is kept.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::{ShowError, Whole};

/// The parts that are known, whether they matter here or not. Another one may say that applying does something else.
const PARTS: &[&str] = &[
    "format_version",
    "terraform_version",
    "variables",
    "planned_values",
    "proposed_unknown",
    "resource_drift",
    "resource_changes",
    "deferred_changes",
    "output_changes",
    "prior_state",
    "configuration",
    "relevant_attributes",
    "checks",
    "timestamp",
    "applyable",
    "complete",
    "errored",
    "action_invocations",
    "deferred_action_invocations",
];

/// A described plan.
#[derive(Debug, Default)]
pub(super) struct Show {
    pub(super) resource_changes: Vec<ResourceChange>,
    pub(super) resource_drift: Vec<ResourceChange>,
    pub(super) output_changes: BTreeMap<String, Change>,
    pub(super) prior_state: PriorState,
    pub(super) configuration: Value,
    pub(super) whole: Option<Whole>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ResourceChange {
    pub(super) address: String,
    pub(super) previous_address: Option<String>,
    pub(super) mode: Option<String>,
    pub(super) change: Change,
}

#[derive(Debug, Deserialize)]
pub(super) struct Change {
    pub(super) actions: Vec<String>,
    pub(super) importing: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct PriorState {
    values: Option<PriorValues>,
}

#[derive(Debug, Deserialize)]
struct PriorValues {
    root_module: Option<PriorModule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PriorModule {
    resources: Vec<PriorResource>,
    child_modules: Vec<Self>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PriorResource {
    pub(super) address: String,
    #[serde(default)]
    pub(super) depends_on: Vec<String>,
}

impl PriorState {
    /// The resources of all modules.
    pub(super) fn resources(&self) -> impl Iterator<Item = &PriorResource> {
        let root = self.values.as_ref().and_then(|values| values.root_module.as_ref());
        let mut open: Vec<&PriorModule> = root.into_iter().collect();
        std::iter::from_fn(move || {
            let module = open.pop()?;
            open.extend(&module.child_modules);
            Some(module.resources.iter())
        })
        .flatten()
    }
}

type Parts<'a> = HashMap<String, &'a RawValue>;

fn part<T: Default + DeserializeOwned>(parts: &Parts<'_>, name: &str) -> Result<T, ShowError> {
    let Some(raw) = parts.get(name) else { return Ok(T::default()) };
    serde_json::from_str::<Option<T>>(raw.get()).map(Option::unwrap_or_default).map_err(|error| ShowError::new(&error))
}

impl Show {
    /// Reads the description.
    pub(super) fn read(text: &[u8]) -> Result<Self, ShowError> {
        let parts: Parts<'_> = serde_json::from_slice(text).map_err(|error| ShowError::new(&error))?;
        let version: Option<String> = part(&parts, "format_version")?;
        let Some(version) = version else {
            return Err(ShowError { what: "it has no `format_version`", line: 0, column: 0 });
        };
        if version.split('.').next() != Some("1") {
            return Ok(Self { whole: Some(Whole::UnknownFormat { version }), ..Self::default() });
        }
        if parts.contains_key("values") && !parts.contains_key("configuration") {
            return Err(ShowError { what: "it describes a state and not a plan", line: 0, column: 0 });
        }
        if let Some(whole) = whole(&parts)? {
            return Ok(Self { whole: Some(whole), ..Self::default() });
        }
        Ok(Self {
            resource_changes: part(&parts, "resource_changes")?,
            resource_drift: part(&parts, "resource_drift")?,
            output_changes: part(&parts, "output_changes")?,
            prior_state: part(&parts, "prior_state")?,
            configuration: part(&parts, "configuration")?,
            whole: None,
        })
    }
}

/// What makes resources of no use before any is looked at.
fn whole(parts: &Parts<'_>) -> Result<Option<Whole>, ShowError> {
    let some = |name| Ok(!part::<Vec<serde::de::IgnoredAny>>(parts, name)?.is_empty());
    let unknown = parts.keys().filter(|name| !PARTS.contains(&name.as_str())).min();
    Ok(if let Some(part) = unknown {
        Some(Whole::UnknownPart { part: part.clone() })
    } else if part(parts, "errored")? {
        Some(Whole::Errored)
    } else if some("deferred_changes")? {
        Some(Whole::Deferred)
    } else if some("action_invocations")? || some("deferred_action_invocations")? {
        Some(Whole::Actions)
    } else {
        None
    })
}
