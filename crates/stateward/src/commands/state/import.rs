//! `stateward state import`.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use stateward_client::transfer::{Copied, Export, Files, LeftOut, Origin, Place, Snapshots, copy, fetch};
use stateward_client::{Connection, Secret};
use stateward_core::{Error, Kind, NameError, StateId, Workspace};
use stateward_terraform::workdir::{Backend, LocalState, WorkdirError, local_states};

use super::bucket::S3State;
use super::transfer::{Doing, Report, follow, nothing_there};
use crate::cli::ImportArgs;
use crate::commands::doctor::given;
use crate::commands::{Context, TOOL};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::input::Input;
use crate::output;
use crate::output::progress::Progress;
use crate::store::Missing;

/// What a refusal begins with.
pub(super) const NOT_IMPORTED: &str = "the state was not imported";
/// For any backend that we cannot read ourselves: Terraform can.
const BY_HAND: &str = "where Terraform uses it, run: terraform state pull | stateward state import NAME -";

pub(super) async fn run(context: &Context, args: &ImportArgs) -> Result<Exit> {
    let found = find(context, &args.source).await?;
    let connection = context.connect(Missing::Make).await?;
    match found {
        Found::Export(export) => {
            if args.workspace.is_some() {
                let next =
                    format!("leave `--workspace` out, and name what it shall be here: `{}@WORKSPACE`", args.name.name);
                return Err(Failure::usage(NOT_IMPORTED, "an export holds one state of one workspace", next));
            }
            let mut report = Report::new(context, Doing::Import, 1);
            let outcome = take_in(&*connection, &export, &args.name).await;
            report.add(export.name(), &args.name, outcome)?;
            report.end()
        }
        Found::Place(place) => from_place(context, args, &*place, &*connection).await,
    }
}

async fn from_place(
    context: &Context,
    args: &ImportArgs,
    place: &dyn Place,
    connection: &dyn Connection,
) -> Result<Exit> {
    let there = match (place.workspaces().await, &args.workspace) {
        // Others may have names that are none here.
        (Err(error), Some(wanted)) if error.kind() == Kind::Invalid => vec![wanted.clone()],
        (there, _) => there?,
    };
    let pairs = pairs(&there, &args.name, args.workspace.as_ref(), &place.name())?;
    let mut report = Report::new(context, Doing::Import, pairs.len());
    for (workspace, target) in pairs {
        let outcome = one(connection, place, workspace, args.with_versions, &target).await;
        report.add(place.name(), &target, outcome)?;
    }
    report.end()
}

async fn one(
    connection: &dyn Connection,
    place: &dyn Place,
    workspace: Workspace,
    with_versions: bool,
    target: &StateId,
) -> Result<Copied> {
    let looked = {
        let (progress, name) = (Progress::work("importing"), place.name());
        let mut follow = follow(&progress, Doing::Import, &name);
        Snapshots::look(place, workspace, with_versions, &mut follow).await?
    };
    let copied = take_in(connection, &looked, target).await?;
    for LeftOut { id, why } in &looked.left_out {
        output::note(&format!("left out, since it is no state: the old version {id} ({why})\n"));
    }
    if with_versions && copied.versions == 1 && looked.left_out.is_empty() {
        output::note(&format!("{} keeps no older versions\n", place.name()));
    }
    Ok(copied)
}

async fn take_in(connection: &dyn Connection, origin: &dyn Origin, target: &StateId) -> Result<Copied> {
    let (progress, name) = (Progress::work("importing"), target.to_string());
    let mut follow = follow(&progress, Doing::Import, &name);
    Ok(copy(origin, connection, target, &mut follow).await?)
}

/// Which workspaces of a place become which states.
fn pairs(
    there: &[Workspace],
    name: &StateId,
    wanted: Option<&Workspace>,
    place: &str,
) -> Result<Vec<(Workspace, StateId)>> {
    let into = |workspace: &Workspace| StateId { name: name.name.clone(), workspace: workspace.clone() };
    // A file has one state and no workspace: it is what the name says.
    let only_default = matches!(there, [only] if only.is_default());
    let wanted = wanted.or((!name.workspace.is_default() && !only_default).then_some(&name.workspace));
    let Some(wanted) = wanted else {
        return Ok(match only_default {
            true => vec![(Workspace::default(), name.clone())],
            false => there.iter().map(|workspace| (workspace.clone(), into(workspace))).collect(),
        });
    };
    if !there.contains(wanted) {
        let names: Vec<&str> = there.iter().map(Workspace::as_str).collect();
        let why = format!("{place} has no workspace `{wanted}`, but {}", names.join(", "));
        return Err(nothing_there(NOT_IMPORTED.to_owned(), &why, "name one of those with `--workspace`"));
    }
    let target = if name.workspace.is_default() { into(wanted) } else { name.clone() };
    Ok(vec![(wanted.clone(), target)])
}

/// Where states come from.
enum Found {
    Export(Export),
    Place(Box<dyn Place>),
}

async fn find(context: &Context, source: &Path) -> Result<Found> {
    if source == Path::new("-") {
        let input = Input::standard(true, NOT_IMPORTED)?;
        return Ok(one_file("standard input", None, input));
    }
    let scheme = source.to_str().and_then(|text| text.split_once("://")).map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("http" | "https") => return from_http(context, &source.to_string_lossy(), (None, None)).await,
        Some("s3") => return Ok(Found::Place(Box::new(S3State::from_url(&source.to_string_lossy()).await?))),
        Some(scheme) => return Err(not_yet(&format!("`{scheme}` URLs")).into()),
        None => {}
    }
    if !source.is_dir() {
        let input = Input::file(source, NOT_IMPORTED)?;
        return Ok(one_file(&shown(source), written(source), input));
    }
    if let Some(export) = Export::read(source).await? {
        return Ok(Found::Export(export));
    }
    from_directory(context, source).await
}

/// A directory in which Terraform works.
async fn from_directory(context: &Context, directory: &Path) -> Result<Found> {
    let data_dir = context.environment.get("TF_DATA_DIR").map(Path::new);
    let backend = Backend::of(directory, data_dir).map_err(|error| unreadable(&error))?;
    match &backend {
        Some(backend) if backend.kind == "http" => {
            let Some(address) = backend.text("address").or(context.environment.get("TF_HTTP_ADDRESS")) else {
                let why = format!("the `http` backend of `{}` got its address from elsewhere", directory.display());
                return Err(Failure::usage(
                    NOT_IMPORTED,
                    why,
                    "set `TF_HTTP_ADDRESS` as for Terraform, or give the address itself",
                ));
            };
            from_http(context, address, (backend.text("username"), backend.text("password"))).await
        }
        Some(backend) if backend.kind == "s3" => {
            let noted = backend.clone().into();
            Ok(Found::Place(Box::new(S3State::from_backend(given(context), &noted).await?)))
        }
        Some(backend) if backend.kind != "local" => {
            Err(not_yet(&format!("states in `{}` backends", backend.kind)).into())
        }
        local => {
            let states = local_states(directory, local.as_ref()).map_err(|error| unreadable(&error))?;
            if states.is_empty() {
                let why = format!("`{}` has no `terraform.tfstate`, no workspaces and no export", directory.display());
                return Err(nothing_there(NOT_IMPORTED.to_owned(), &why, BY_HAND));
            }
            let mut files = Files::new(shown(directory));
            for LocalState { workspace, path, .. } in states {
                let name = workspace.parse().map_err(|error: NameError| {
                    let why = format!("its workspace `{workspace}` can have no such name here: {error}");
                    Failure::usage(NOT_IMPORTED, why, format!("import its file by itself: {}", path.display()))
                })?;
                files = files.with(name, written(&path), Box::new(Input::file(&path, NOT_IMPORTED)?));
            }
            Ok(Found::Place(Box::new(files)))
        }
    }
}

/// `login` is what the backend's block says; the rest comes from the environment, as for Terraform.
async fn from_http(context: &Context, address: &str, login: (Option<&str>, Option<&str>)) -> Result<Found> {
    let or_variable = |argument: Option<&str>, name| argument.or(context.environment.get(name)).map(str::to_owned);
    let (name, password) = (or_variable(login.0, "TF_HTTP_USERNAME"), or_variable(login.1, "TF_HTTP_PASSWORD"));
    let login = name.zip(password).map(|(name, password)| (name, Secret::new(password)));
    let fetched = fetch(address, login.as_ref().map(|(name, password)| (name.as_str(), password)), TOOL).await?;
    Ok(one_file(&fetched.address, None, Input::copy_of(fetched.body).await?))
}

fn one_file(name: &str, written: Option<Timestamp>, input: Input) -> Found {
    Found::Place(Box::new(Files::new(name).with(Workspace::default(), written, Box::new(input))))
}

/// A path that still says where it was when it is read elsewhere.
fn shown(path: &Path) -> String {
    fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path)).display().to_string()
}

fn written(path: &Path) -> Option<Timestamp> {
    let modified = fs::metadata(path).and_then(|found| found.modified()).ok()?;
    Timestamp::try_from(modified).ok()
}

fn not_yet(what: &str) -> Error {
    let why = format!("this version does not read {what} itself");
    Error::new(Kind::Unsupported, NOT_IMPORTED, why, BY_HAND)
}

fn unreadable(error: &WorkdirError) -> Error {
    let next = "check the directory, and that you may read it";
    Error::new(Kind::Invalid, NOT_IMPORTED, error.to_string(), next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(there: &[&str], name: &str, wanted: Option<&str>) -> Option<Vec<(String, String)>> {
        let there: Vec<Workspace> = there.iter().map(|name| name.parse().unwrap()).collect();
        let wanted = wanted.map(|name| name.parse().unwrap());
        let pairs = pairs(&there, &name.parse().unwrap(), wanted.as_ref(), "the place").ok()?;
        Some(pairs.into_iter().map(|(from, to)| (from.to_string(), to.to_string())).collect())
    }

    fn pair(from: &str, to: &str) -> (String, String) {
        (from.to_owned(), to.to_owned())
    }

    #[test]
    fn workspaces_keep_their_names_unless_told() {
        assert_eq!(of(&["default"], "a", None), Some(vec![pair("default", "a")]));
        assert_eq!(of(&["default"], "a@dev", None), Some(vec![pair("default", "a@dev")]));
        assert_eq!(of(&["default", "dev"], "a", None), Some(vec![pair("default", "a"), pair("dev", "a@dev")]));
        assert_eq!(of(&["default", "dev"], "a@dev", None), Some(vec![pair("dev", "a@dev")]));
        assert_eq!(of(&["default", "dev"], "a", Some("dev")), Some(vec![pair("dev", "a@dev")]));
        assert_eq!(of(&["default", "dev"], "a@test", Some("dev")), Some(vec![pair("dev", "a@test")]));
        assert_eq!(of(&["default", "dev"], "a", Some("default")), Some(vec![pair("default", "a")]));
        assert_eq!(of(&["dev"], "a", None), Some(vec![pair("dev", "a@dev")]));
        assert_eq!((of(&["default", "dev"], "a@test", None), of(&["dev"], "a", Some("x"))), (None, None));
    }
}
