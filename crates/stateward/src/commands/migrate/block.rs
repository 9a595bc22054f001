//! Backend blocks: which one belongs to a place, and how it gets into the configuration.

use stateward_client::ServerUrl;
use stateward_core::{Kind, StateName, Workspace};
use stateward_store_aws::Access;
use stateward_store_s3::{Encryption, Options};
use stateward_terraform::{Change, Edit, EditError, Value, Written};

use super::NOT_MOVED;
use super::setting::Setting;
use super::told::Block;
use crate::failure::{Failure, Result};

/// The block of Terraform's own `s3` backend, with the key in place of a store's prefix.
pub(super) fn s3(options: &Options) -> Written {
    let mut arguments = vec![("bucket", Value::from(options.bucket.as_str())), ("key", options.prefix.as_str().into())];
    let mut text = |name, text: &Option<String>| arguments.extend(text.as_deref().map(|text| (name, text.into())));
    let access = &options.access;
    text("region", &access.region);
    text("profile", &access.profile);
    text("acl", &options.objects.acl);
    let sharing = options.sharing.clone().unwrap_or_default();
    text("workspace_key_prefix", &Some(sharing.workspace_key_prefix).filter(|prefix| prefix != "env:"));
    text("dynamodb_table", &sharing.lock_table);
    let is_other = access.endpoint.is_some();
    let mut flag = |name, is_set: bool| arguments.extend(is_set.then_some((name, Value::Flag(true))));
    flag("use_lockfile", sharing.use_lockfile);
    flag("encrypt", matches!(options.objects.encryption, Encryption::S3 | Encryption::Kms { .. }));
    flag("use_path_style", options.objects.path_style);
    flag("skip_s3_checksum", options.objects.skip_checksum);
    // Only AWS itself can answer what is asked there.
    flag("skip_credentials_validation", is_other);
    flag("skip_requesting_account_id", is_other);
    flag("skip_region_validation", is_other);
    flag("skip_metadata_api_check", is_other || access.skip_metadata_api_check);
    if access.max_retries != Access::default().max_retries {
        arguments.push(("max_retries", Value::Number(access.max_retries)));
    }
    for (name, files) in [
        ("shared_credentials_files", &access.shared_credentials_files),
        ("shared_config_files", &access.shared_config_files),
    ] {
        if !files.is_empty() {
            arguments.push((name, Value::List(files.iter().map(|file| file.display().to_string()).collect())));
        }
    }
    if let Encryption::Kms { key } = &options.objects.encryption {
        arguments.push(("kms_key_id", key.as_str().into()));
    }
    let texts = |pairs: &[(&str, &Option<String>)]| {
        let pairs = pairs.iter().filter_map(|(name, text)| Some(((*name).to_owned(), (*text).clone()?)));
        Value::Texts(pairs.collect())
    };
    if let Some(role) = &access.role {
        let arn = Some(role.arn.clone());
        let (session, external) = (&role.session_name, &role.external_id);
        let pairs =
            [("role_arn", &arn), ("session_name", session), ("external_id", external), ("policy", &role.policy)];
        arguments.push(("assume_role", texts(&pairs)));
    }
    let endpoints = [("s3", &access.endpoint), ("dynamodb", &options.dynamodb_endpoint), ("sts", &access.sts_endpoint)];
    if endpoints.iter().any(|(_, url)| url.is_some()) {
        arguments.push(("endpoints", texts(&endpoints)));
    }
    Written {
        kind: "s3".to_owned(),
        arguments: arguments.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    }
}

/// Options of a URL for which Terraform's backend has no argument.
pub(super) fn without_argument(options: &Options) -> Vec<String> {
    let tags = options.objects.tags.iter().map(|(name, _)| format!("`tag.{name}`"));
    // A key of the customer would be a secret in the block; Terraform has it from `AWS_SSE_CUSTOMER_KEY` as well.
    let key =
        matches!(options.objects.encryption, Encryption::Customer(_)).then(|| "`sse_customer_key_file`".to_owned());
    tags.chain(key).collect()
}

/// The block for a server.
pub(super) fn server(server: &ServerUrl, name: &StateName, workspace: Option<&Workspace>) -> Written {
    let query = workspace.map(|workspace| format!("?workspace={workspace}")).unwrap_or_default();
    let address = format!("{server}/state/{name}{query}");
    let arguments = ["address", "lock_address", "unlock_address"];
    let arguments = arguments.map(|name| (name.to_owned(), Value::from(address.as_str()))).to_vec();
    Written { kind: "http".to_owned(), arguments }
}

/// The block for a store that `stateward run` works on.
pub(super) fn store() -> Written {
    Written { kind: "http".to_owned(), arguments: Vec::new() }
}

/// A block on its way into the files, or to a person.
pub(super) enum Writing {
    File(Edit),
    Person(Block),
}

impl Writing {
    /// Works out what becomes of the files; nothing is written yet.
    pub(super) fn plan(setting: &Setting, change: &Change, print: bool) -> Result<Self> {
        if print {
            return Ok(Self::Person(Block { file: file(setting), is_written: false, text: text(change) }));
        }
        let edit = Edit::plan(&setting.directory, &setting.configuration, change).map_err(|error| refused(&error))?;
        edit.can_be_written().map_err(|error| refused(&error))?;
        Ok(Self::File(edit))
    }

    /// Nothing is to be written.
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::File(edit) if edit.is_done())
    }

    /// The step, as it is told.
    pub(super) fn step(&self, what: &str) -> String {
        match self {
            Self::File(edit) => format!("write `{}`: {what}", edit.path.display()),
            Self::Person(_) => format!("print the block, which is yours to write: {what}"),
        }
    }

    pub(super) fn write(&self) -> Result<()> {
        match self {
            Self::File(edit) if !edit.is_done() => edit.write().map_err(|error| unwritten(&error)),
            Self::File(_) | Self::Person(_) => Ok(()),
        }
    }

    pub(super) fn told(self, change: &Change) -> Block {
        match self {
            Self::File(edit) => Block { file: edit.path.display().to_string(), is_written: true, text: text(change) },
            Self::Person(block) => block,
        }
    }
}

fn file(setting: &Setting) -> String {
    let declared = setting.configuration.declared.as_ref();
    let name = declared.map_or("backend.tf", |declared| declared.place.file.as_str());
    setting.directory.join(name).display().to_string()
}

/// For a person to put in.
fn text(change: &Change) -> String {
    match change {
        Change::Replace(written) => written.to_file(),
        Change::Arguments(arguments) => {
            let line = |(name, value): &(String, Option<Value>)| match value {
                Some(Value::Flag(flag)) => format!("set {name} = {flag}\n"),
                Some(Value::Text(text)) => format!("set {name} = \"{text}\"\n"),
                Some(Value::Number(number)) => format!("set {name} = {number}\n"),
                Some(Value::Texts(_) | Value::List(_)) => format!("set {name}\n"),
                None => format!("take out {name}\n"),
            };
            arguments.iter().map(line).collect()
        }
    }
}

const PRINT: &str = "with `--print` the block is printed, and yours to put in";

/// Nothing has been done yet.
fn refused(error: &EditError) -> Failure {
    match error {
        EditError::Io { path, error } => Failure::file(NOT_MOVED, path, error, format!("put that right; or {PRINT}")),
        _ => Failure::usage(NOT_MOVED, error.to_string(), PRINT),
    }
}

/// All else is done: it comes last.
fn unwritten(error: &EditError) -> Failure {
    const WHAT: &str = "the block was not written";
    let next = "look at the file, and run the same command again: what is done is not done twice";
    match error {
        EditError::Overtaken { .. } => stateward_core::Error::new(Kind::Conflict, WHAT, error.to_string(), next).into(),
        EditError::Io { path, error } => Failure::file(WHAT, path, error, next),
        _ => Failure::usage(WHAT, error.to_string(), PRINT),
    }
}
