//! What is set beside the target: which of two counts, and where an address comes from.

use std::collections::BTreeMap;

use stateward_store_aws::{Source, Who};

use super::{Finding, Patient};

/// What whoever runs this has set.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Variables of the environment by their names, `AWS_…`; of those that hold secrets, something in place of their values.
    pub variables: BTreeMap<String, String>,
    /// The flags that count more than the target: `--profile`, `--region`.
    pub flags: Vec<&'static str>,
    /// The state as `state repair` and `lock inspect` take it, where that is no URL.
    pub place: Option<Place>,
}

/// A directory, and what goes with it.
#[derive(Debug, Clone)]
pub struct Place {
    /// As it is typed, without secrets.
    pub argument: String,
    /// The arguments of the backend that were left out of it.
    pub hidden: Vec<String>,
}

impl Place {
    /// What it does not say, and where that is to be said.
    pub fn unsaid(&self) -> Option<String> {
        let names: Vec<String> = self.hidden.iter().map(|name| format!("`{name}`")).collect();
        let last = names.last()?;
        let all = match &names[..names.len() - 1] {
            [] => last.clone(),
            others => format!("{} and {last}", others.join(", ")),
        };
        Some(format!("secrets are not printed: put {all} into a file and add `--backend-config FILE`"))
    }
}

const OF_REGION: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];
/// Services with the ends of their variables.
const SERVICES: [&str; 5] = ["s3", "dynamodb", "sts", "iam", "kms"];

impl Surroundings {
    /// A variable that is set.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        self.variables.contains_key(name)
    }
}

impl Patient {
    /// The state, as `state repair` and `lock inspect` take it.
    pub(super) fn place(&self) -> String {
        let place = self.options.surroundings.place.as_ref();
        place.map_or_else(|| self.target.argument(), |place| place.argument.clone())
    }

    /// What to do, with commands on that [place](Self::place): what it does not say is told behind them.
    pub(super) fn with_unsaid(&self, fix: String) -> String {
        let unsaid = match &self.options.surroundings.place {
            Some(place) => place.unsaid(),
            None => self.target.unsaid(),
        };
        match unsaid {
            Some(unsaid) => format!("{fix} ({unsaid})"),
            None => fix,
        }
    }

    /// What says something: a flag, or what names the target.
    fn says(&self, flag: &str) -> String {
        match self.options.surroundings.flags.iter().find(|given| **given == flag) {
            Some(flag) => format!("`{flag}`"),
            None => self.target.said_by().to_owned(),
        }
    }

    /// Who one is, of all that says so.
    pub(super) fn who(&self) -> Who<'_> {
        Who::of(&self.target.access, |name| self.options.surroundings.variable(name).map(str::to_owned))
    }

    /// What counts, where neither the keys of the environment do nor what is usual.
    pub(super) fn named(&self, who: &Who<'_>) -> Option<String> {
        match &who.source {
            Source::Keys(_) => Some(format!("`access_key` of {}", self.target.said_by())),
            Source::WebIdentity(_) => Some(format!("`assume_role_with_web_identity` of {}", self.target.said_by())),
            Source::Profile(profile) => Some(format!("the profile `{profile}` ({} names it)", self.says("--profile"))),
            Source::TokenFile(file) => Some(format!("the web identity of `{}`", file.name)),
            Source::Environment(..) | Source::Usual => None,
        }
    }

    /// What is named beside what counts and has to be there all the same: a profile, and what names it.
    pub(super) fn required_beside(&self, who: &Who<'_>) -> Option<String> {
        let profile = who.required_beside()?;
        let by = match self.target.access.profile {
            Some(_) => self.says("--profile"),
            None => "`AWS_PROFILE`".to_owned(),
        };
        Some(format!("the profile `{profile}`, which {by} names,"))
    }

    /// The Region of the environment, where another one counts.
    pub(super) fn other_region(&self) -> Option<String> {
        let region = self.target.access.region.as_deref()?;
        let surroundings = &self.options.surroundings;
        let name = OF_REGION.into_iter().find(|name| surroundings.is_set(name))?;
        let other = surroundings.variable(name).filter(|other| *other != region)?;
        Some(format!("{} says so; `{name}` is `{other}`, and does not count", self.says("--region")))
    }

    /// The URLs in place of AWS's own, each with what names it.
    fn endpoints(&self) -> Vec<(&str, String)> {
        let own = &self.target.endpoints;
        let surroundings = &self.options.surroundings;
        let of = |service: &str| {
            let url = match service {
                "s3" => &own.s3,
                "dynamodb" => &own.dynamodb,
                "sts" => &self.target.access.sts_endpoint,
                "iam" => &own.iam,
                _ => &own.kms,
            };
            let old = format!("AWS_{}_ENDPOINT", service.to_uppercase());
            let argument = url.as_deref().map(|url| match surroundings.variable(&old) == Some(url) {
                true => (url, format!("`{old}`")),
                false => (url, format!("`endpoints.{service}` of {}", self.target.said_by())),
            });
            let variable = |name: String| Some((surroundings.variable(&name)?, format!("`{name}`")));
            argument
                .or_else(|| variable(format!("AWS_ENDPOINT_URL_{}", service.to_uppercase())))
                .or_else(|| variable("AWS_ENDPOINT_URL".to_owned()))
                .or_else(|| Some((self.configuration.endpoint_url()?, "the shared configuration".to_owned())))
        };
        SERVICES.into_iter().filter_map(of).collect()
    }

    /// Adds to what is said of an endpoint that does not answer where its address comes from.
    pub(super) fn with_origins(&self, found: &mut [Finding]) {
        let endpoints = self.endpoints();
        for finding in found.iter_mut().filter(|finding| matches!(finding.check.as_str(), "endpoint" | "credentials")) {
            let why = finding.why.clone().unwrap_or_default();
            // The bucket's name may stand before the host.
            let is_asked = |url: &str| why.contains(&format!("{}\"", host_of(url)));
            let is_no_url = |url: &str| why.contains("endpoint must contain scheme") && !url.contains("://");
            let is_meant = |(url, _): &&(&str, String)| is_asked(url) || is_no_url(url);
            if let Some((url, by)) = endpoints.iter().find(is_meant) {
                finding.add(&format!("{by} says that it is at {url}"));
            }
        }
    }
}

/// `127.0.0.1:9000` of `http://127.0.0.1:9000/s3`.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

/// What is set in the environment and does not count, for something else does.
pub(super) fn passed_over(who: &Who<'_>) -> Option<String> {
    let set: Vec<String> = who.passed_over.iter().map(|name| format!("`{name}`")).collect();
    let does = if set.len() == 1 { "is set, too, and does" } else { "are set, too, and do" };
    (!set.is_empty()).then(|| format!("{} {does} not count, as for Terraform", set.join(" and ")))
}
