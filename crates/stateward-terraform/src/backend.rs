//! Where a configuration keeps its state, and what an apply of it needs, as far as its own files say.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::hcl::{self, Found, Said};
use crate::json;
use crate::override_file;
use crate::s3_arguments::Complaint;
use crate::tool::Tool;
use crate::workdir::{self, WorkdirError};

/// Arguments by their names, those of blocks within as `block.name`; `None` for a value that is not written out.
pub type Arguments = BTreeMap<String, Option<String>>;

/// A backend, as a block or the cache of `init` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// `backend "KIND" {…}`.
    Block {
        /// `s3`, `http`, `local`, …
        kind: String,
        /// What stands in it.
        arguments: Arguments,
    },
    /// `cloud {…}`.
    Cloud {
        /// What stands in it.
        arguments: Arguments,
    },
}

impl Backend {
    /// Its name in messages: `backend "s3"`, `cloud`.
    pub fn title(&self) -> String {
        match self {
            Self::Block { kind, .. } => format!("backend \"{kind}\""),
            Self::Cloud { .. } => "cloud".to_owned(),
        }
    }

    /// The kind of a `backend` block.
    pub fn kind(&self) -> Option<&str> {
        match self {
            Self::Block { kind, .. } => Some(kind),
            Self::Cloud { .. } => None,
        }
    }

    /// What stands in it.
    pub fn arguments(&self) -> &Arguments {
        match self {
            Self::Block { arguments, .. } | Self::Cloud { arguments } => arguments,
        }
    }

    /// An argument that is written out.
    pub fn argument(&self, name: &str) -> Option<&str> {
        self.arguments().get(name)?.as_deref().filter(|text| !text.is_empty())
    }

    /// With arguments that count more than its own: what the command line adds.
    #[must_use]
    pub fn with(mut self, arguments: &Arguments) -> Self {
        self.arguments_mut().extend(arguments.clone());
        self
    }

    /// With what it leaves out, as far as another of its kind has it: what `init` noted, or the environment says.
    #[must_use]
    pub fn filled(self, from: &Self) -> Self {
        if self.title() == from.title() {
            // What is there and not written out, such as a variable, `init` has been told.
            let is_open = |name: &String| self.arguments().get(name).is_none_or(Option::is_none);
            let known = from.arguments().iter().filter(|(name, text)| text.is_some() && is_open(name));
            let known: Arguments = known.map(|(name, text)| (name.clone(), text.clone())).collect();
            return self.with(&known);
        }
        self
    }

    fn arguments_mut(&mut self) -> &mut Arguments {
        match self {
            Self::Block { arguments, .. } | Self::Cloud { arguments } => arguments,
        }
    }

    /// The addresses that are fixed in an `http` backend, so that the environment does not count.
    pub fn fixed_address(&self) -> Option<&'static str> {
        const ADDRESSES: [&str; 3] = ["address", "lock_address", "unlock_address"];
        ADDRESSES.into_iter().find(|name| self.kind() == Some("http") && self.arguments().contains_key(*name))
    }

    /// The arguments that say where the state is, each with what it is where it is left out; of kinds whose states are read here.
    pub fn places(&self) -> &'static [(&'static str, &'static str)] {
        match self.kind() {
            Some("s3") => &[("bucket", ""), ("key", ""), ("workspace_key_prefix", "env:")],
            Some("http") => &[("address", "")],
            Some("local") => &[("path", "terraform.tfstate"), ("workspace_dir", "terraform.tfstate.d")],
            _ => &[],
        }
    }

    /// The argument in which two backends do not name the same place, and what each of them says; `None` where they may be the same.
    /// What `self` leaves out may have come from the command line.
    pub fn differs(&self, noted: &Self) -> Option<Difference> {
        if self.title() != noted.title() {
            return Some(Difference { argument: None, here: self.title(), noted: noted.title() });
        }
        self.places().iter().find_map(|&(name, usual)| {
            let (here, noted) = (self.argument(name)?, noted.argument(name).unwrap_or(usual));
            let difference = Difference { argument: Some(name), here: here.to_owned(), noted: noted.to_owned() };
            (here != noted).then_some(difference)
        })
    }

    /// The arguments that are not as another one of its kind has them. What is not written out, and lists, whose order says nothing, are
    /// passed over.
    pub fn others(&self, noted: &Self) -> Vec<&str> {
        let is_listed =
            |name: &str| name.rsplit('.').next().is_some_and(|end| end.bytes().all(|byte| byte.is_ascii_digit()));
        let differs = |(name, text): &(&String, &Option<String>)| {
            let noted = noted.arguments().get(*name).and_then(Option::as_deref);
            let is_same =
                |text: &str| noted == Some(text) || flag(text).is_some() && flag(text) == noted.and_then(flag);
            text.as_deref().is_some_and(|text| !is_same(text)) && !is_listed(name)
        };
        self.arguments().iter().filter(differs).map(|(name, _)| name.as_str()).collect()
    }

    /// What this backend calls the state: the argument that holds the name, and the name. Its own words, which need not be a name here.
    ///
    /// A `local` backend has none: the same file name in every directory says nothing.
    pub fn state_name(&self) -> Option<(&'static str, String)> {
        let argument = match self {
            Self::Cloud { .. } => "workspaces.name",
            Self::Block { kind, .. } => match kind.as_str() {
                "s3" | "azurerm" | "oci" => "key",
                "cos" | "oss" | "gcs" => "prefix",
                "consul" => "path",
                "kubernetes" => "secret_suffix",
                "remote" => "workspaces.name",
                "http" => return Some(("address", name_in_address(self.argument("address")?)?)),
                _ => return None,
            },
        };
        let name = self.argument(argument)?;
        Some((argument, name.trim_matches('/').to_owned()))
    }
}

/// What a text comes to where Terraform wants a flag.
pub fn flag(text: &str) -> Option<bool> {
    match text {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

/// The state in an address of a server of ours: what follows `/state/`, and the workspace in the query.
fn name_in_address(address: &str) -> Option<String> {
    let path = address.split('?').next()?;
    let name = path.split_once("/state/")?.1;
    let workspace = workspace_in_address(address);
    Some(workspace.map_or_else(|| name.to_owned(), |workspace| format!("{name}@{workspace}")))
}

/// The workspace that an address of a server of ours names in its query.
pub fn workspace_in_address(address: &str) -> Option<&str> {
    let (path, query) = address.split_once('?')?;
    path.contains("/state/").then(|| query.split('&').find_map(|pair| pair.strip_prefix("workspace=")))?
}

/// Where two backends are not the same place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The argument; `None` where they are of different kinds.
    pub argument: Option<&'static str>,
    /// What the one says.
    pub here: String,
    /// What the other says.
    pub noted: String,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file's name.
    pub file: String,
    /// The line, from 1 on.
    pub line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A backend and where it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The backend.
    pub backend: Backend,
    /// Where.
    pub place: Place,
    /// For what Terraform refuses it; of the `s3` backend alone.
    pub complaints: Vec<Complaint>,
}

/// A variable whose value no plan keeps: whoever applies a saved plan gives it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ephemeral {
    /// Its name.
    pub name: String,
    /// Whether it may be left out.
    pub has_default: bool,
}

/// What a directory's configuration files say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Configuration {
    /// The backend that counts: the last in the override files, else that of the other files.
    pub declared: Option<Declared>,
    /// Where another backend is declared beside that one, which Terraform refuses.
    pub duplicate: Option<Place>,
    /// Where `terraform.workspace` is used.
    pub workspace: Option<Place>,
    /// Where `OpenTofu` is told to encrypt what it stores.
    pub encryption: Option<Place>,
    /// The ephemeral variables.
    pub ephemeral: Vec<Ephemeral>,
    /// Files that could not be read, and why.
    pub unreadable: Vec<(String, String)>,
    /// Whether there are any files at all.
    pub is_empty: bool,
}

impl Configuration {
    /// Reads a directory's files, as the tool would choose them. Our own [override file](crate::OverrideFile) does not count.
    pub fn read(directory: &Path, tool: Tool) -> io::Result<Self> {
        let names = Self::files(directory, tool)?;
        let mut found = Self { is_empty: names.is_empty(), ..Self::default() };
        for name in names {
            match fs::read_to_string(directory.join(&name)) {
                Ok(text) if name == override_file::NAME && override_file::is_ours(&text) => {}
                Ok(text) => found.take(&name, &text),
                Err(error) => found.unreadable.push((name, error.to_string())),
            }
        }
        Ok(found)
    }

    /// The names of the files that the tool would read, those that override others last.
    pub(crate) fn files(directory: &Path, tool: Tool) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                names.extend(entry.file_name().into_string().ok());
            }
        }
        Ok(chosen(names, tool))
    }

    /// Files come in the order in which they count.
    fn take(&mut self, name: &str, text: &str) {
        let is_json = stem(name).is_some_and(|(_, extension)| extension.contains("json"));
        let said = if is_json { json::read(text) } else { hcl::read(text) };
        let place = |line| Place { file: name.to_owned(), line };
        match said {
            Ok(Said { backends, workspace, encryption, ephemeral }) => {
                for Found { backend, line, complaints } in backends {
                    if !is_override(name) && self.declared.is_some() {
                        self.duplicate.get_or_insert(place(line));
                    }
                    if is_override(name) || self.declared.is_none() {
                        self.declared = Some(Declared { backend, place: place(line), complaints });
                    }
                }
                self.workspace = self.workspace.take().or(workspace.map(place));
                self.encryption = self.encryption.take().or(encryption.map(place));
                self.ephemeral.extend(ephemeral);
            }
            Err(why) => self.unreadable.push((name.to_owned(), why)),
        }
    }

    /// The backend of an override file that counts more than ours, because its name sorts behind.
    pub fn beyond_override(&self) -> Option<&Declared> {
        self.declared
            .as_ref()
            .filter(|declared| is_override(&declared.place.file) && declared.place.file.as_str() > override_file::NAME)
    }
}

/// The files that the tool would read, those that override others last.
fn chosen(mut names: Vec<String>, tool: Tool) -> Vec<String> {
    let is_ignored =
        |name: &str| name.starts_with('.') || name.ends_with('~') || (name.starts_with('#') && name.ends_with('#'));
    let is_ours =
        |name: &str| stem(name).is_some_and(|(_, extension)| !extension.starts_with(".tofu") || tool == Tool::OpenTofu);
    names.retain(|name| !is_ignored(name) && is_ours(name));
    // OpenTofu takes `a.tofu` in place of `a.tf`.
    let hides = |name: &String| {
        let (stem, extension) = stem(name)?;
        Some(format!("{stem}.tf{}", extension.strip_prefix(".tofu")?))
    };
    let hidden: Vec<String> = names.iter().filter_map(hides).collect();
    names.retain(|name| !hidden.contains(name));
    names.sort_by(|a, b| (is_override(a), a).cmp(&(is_override(b), b)));
    names
}

fn stem(name: &str) -> Option<(&str, &str)> {
    [".tf", ".tf.json", ".tofu", ".tofu.json"]
        .into_iter()
        .find_map(|extension| Some((name.strip_suffix(extension)?, extension)))
}

pub(crate) fn is_override(name: &str) -> bool {
    stem(name).is_some_and(|(stem, _)| stem == "override" || stem.ends_with("_override"))
}

/// What `init` noted of the backend in a data directory (`.terraform`); `None` where it has not been run, or for the `local` backend
/// without a block.
pub fn cached(data_dir: &Path) -> Result<Option<Backend>, WorkdirError> {
    Ok(workdir::Backend::of(Path::new(""), Some(data_dir))?.map(Backend::from))
}

impl From<workdir::Backend> for Backend {
    fn from(noted: workdir::Backend) -> Self {
        let arguments = json::arguments(&noted.config);
        if noted.kind == "cloud" { Self::Cloud { arguments } } else { Self::Block { kind: noted.kind, arguments } }
    }
}

/// Reads what `-backend-config` names: `NAME=VALUE`, or the path of a file, relative to a directory.
pub fn backend_config(argument: &str, directory: &Path) -> Result<Arguments, String> {
    if let Some((name, value)) = argument.split_once('=') {
        let (name, value) = (name.trim().to_owned(), value.trim().trim_matches('"').to_owned());
        return Ok(Arguments::from([(name, Some(value))]));
    }
    let path = directory.join(argument);
    let text = fs::read_to_string(&path).map_err(|error| format!("`{}`: {error}", path.display()))?;
    hcl::settings(&text).map_err(|why| format!("`{}`: {why}", path.display()))
}

/// Where Terragrunt is told to ask for the outputs of another directory, as far as the file of a directory itself says.
pub fn terragrunt_dependency(directory: &Path) -> Option<Place> {
    const FILE: &str = "terragrunt.hcl";
    let text = fs::read_to_string(directory.join(FILE)).ok()?;
    hcl::block(&text, "dependency").map(|line| Place { file: FILE.to_owned(), line })
}

/// The workspace that was last selected in a data directory, unless it is the default one.
pub fn selected_workspace(data_dir: &Path) -> Option<String> {
    let name = fs::read_to_string(data_dir.join("environment")).ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty() && name != "default")
}

/// The directory in which a tool keeps what it has downloaded and noted: `TF_DATA_DIR`, or `.terraform`.
pub fn data_dir(directory: &Path, variable: Option<&str>) -> PathBuf {
    directory.join(variable.unwrap_or(".terraform"))
}

#[cfg(test)]
mod tests;
