//! What the doctor is to look at.

use std::io::ErrorKind;
use std::path::Path;

use stateward_aws::doctor::{Given, Refused, Target, TargetError};
use stateward_iam::Layout;
use stateward_store_aws::Access;
use stateward_store_dynamodb as dynamodb;
use stateward_store_s3 as s3;
use stateward_terraform::{
    Arguments, Backend, Configuration, Declared, Place, Tool, backend_config, cached, data_dir, selected_workspace,
    unknown_names,
};

use super::super::Context;
use crate::cli::DoctorArgs;
use crate::config::StoreUrl;
use crate::failure::{Failure, Result};
use crate::output;

/// `doctor` takes flags, `state repair` and `lock inspect` take URLs.
const NAME_IT: &str = "give the directory of a configuration with `backend \"s3\"`, or the place itself: `--bucket` and `--key`, \
                       or `s3://BUCKET/KEY`";
const NOT_FOUND: &str = "it is not known where the state is kept";

/// Where the state is kept, by what was given, the store's settings or a directory.
pub(super) fn target(context: &Context, args: &DoctorArgs) -> Result<Target> {
    let mut target = match (&args.bucket, &args.key) {
        (Some(bucket), Some(key)) => of_arguments(context, args, bucket, key)?,
        _ if args.dir.is_none() && context.config.is_from_flag("store") => of_store(&context.settings().store)?,
        _ if args.dir.is_none() && is_of_environment(context) => {
            output::note(
                "looking at the store that `STATEWARD_STORE` names; `--dir .` looks at the configuration here\n",
            );
            of_store(&context.settings().store)?
        }
        _ => {
            let directory = args.dir.as_deref().unwrap_or(Path::new("."));
            of_directory(context, directory, &args.backend_config, args.workspace.as_deref())?
        }
    };
    if let Some(region) = &args.region {
        target.access.region = Some(region.clone());
    }
    if let Some(profile) = &args.profile {
        target.access.profile = Some(profile.clone());
        target.access.keys = None;
    }
    Ok(target)
}

/// Whether the environment names a store on AWS. One that is a file is no reason not to look at what the directory says.
fn is_of_environment(context: &Context) -> bool {
    let is_on_aws = matches!(context.settings().store, StoreUrl::S3(_) | StoreUrl::DynamoDb(_));
    is_on_aws && context.config.is_from_variable("store")
}

/// With what a backend takes from the environment.
pub(in crate::commands) fn given(context: &Context) -> Given {
    let mut given = Given::default();
    given.read(|name| context.environment.get(name).map(str::to_owned));
    given
}

fn of_arguments(context: &Context, args: &DoctorArgs, bucket: &str, key: &str) -> Result<Target> {
    let place = [("bucket", bucket), ("key", key)].map(|(name, value)| (name.to_owned(), Some(value.to_owned())));
    let mut arguments = Arguments::from(place);
    arguments.extend(args.lock_table.clone().map(|table| ("dynamodb_table".to_owned(), Some(table))));
    if args.use_lockfile {
        arguments.insert("use_lockfile".to_owned(), Some("true".to_owned()));
    }
    let mut given = given(context);
    given.add(&arguments);
    add_backend_config(&mut given, &args.backend_config)?;
    given.target(args.workspace.as_deref()).map_err(|error| no_target(&error))
}

fn of_store(store: &StoreUrl) -> Result<Target> {
    let refused = |why: String| Failure::usage(NOT_FOUND, why, "put the store's URL right");
    match store {
        StoreUrl::S3(url) => {
            let options = s3::Options::from_url(url).map_err(|error| refused(error.to_string()))?;
            let mut target = Target::new(options.bucket, options.prefix);
            target.layout = Layout::Stateward;
            target.shares = options.sharing.is_some();
            if let Some(sharing) = options.sharing {
                target.workspace_key_prefix = sharing.workspace_key_prefix;
                target.lock_table = sharing.lock_table;
                target.use_lockfile = sharing.use_lockfile;
            }
            target.objects = options.objects;
            target.endpoints.s3.clone_from(&options.access.endpoint);
            target.endpoints.dynamodb = options.dynamodb_endpoint;
            target.access = options.access;
            Ok(target)
        }
        StoreUrl::DynamoDb(url) => {
            let options = dynamodb::Options::from_url(url).map_err(|error| refused(error.to_string()))?;
            let mut target = Target::new(options.state_table, "");
            target.layout = Layout::StatewardDynamodb;
            target.workspace_key_prefix = options.workspace_key_prefix;
            target.lock_table = options.lock_table;
            target.endpoints.dynamodb.clone_from(&options.access.endpoint);
            target.blobs = options.blobs.map(|blobs| blobs_as_store(blobs, &options.access));
            target.access = options.access;
            Ok(target)
        }
        _ => Err(Failure::usage(
            "there is nothing on AWS to look at",
            format!("the store is `{store}`"),
            "give `--store s3://…`, `--store dynamodb://…`, `--bucket` and `--key`, or `--dir`",
        )),
    }
}

/// The bucket of a store's blobs, as the URL of a store there: the doctor can look at that.
fn blobs_as_store(blobs: dynamodb::Blobs, access: &Access) -> String {
    let mut options = s3::Options::new(blobs.place.bucket, blobs.place.prefix);
    let region = blobs.region.or_else(|| access.region.clone());
    options.access = Access { region, endpoint: blobs.endpoint, ..access.clone() };
    options.objects = blobs.objects;
    options.sharing = None;
    options.url()
}

/// The target that the configuration in a directory names.
pub(in crate::commands) fn of_directory(
    context: &Context,
    directory: &Path,
    backend_config: &[String],
    workspace: Option<&str>,
) -> Result<Target> {
    let declared = of_either_tool(directory)?;
    let data_dir = data_dir(directory, context.environment.get("TF_DATA_DIR"));
    let cached = noted(&data_dir, NOT_FOUND)?;
    let refused = declared.as_ref().map(|declared| refused(directory, declared)).unwrap_or_default();
    let place = declared.as_ref().map(|declared| at(directory, &declared.place));
    let declared = declared.map(|declared| declared.backend);
    let Some(counts) = declared.as_ref().or(cached.as_ref()) else {
        return Err(Failure::usage(NOT_FOUND, format!("`{}` has no `backend` block", directory.display()), NAME_IT));
    };
    if counts.kind() != Some("s3") {
        return Err(Failure::usage(
            "there is nothing on AWS to look at",
            format!("`{}` keeps its state in {}", directory.display(), counts.title()),
            NAME_IT,
        ));
    }
    let extra = extra_arguments(backend_config)?;
    let mut given = given(context);
    if let Some(noted) = &cached
        && do_notes_count(declared.as_ref(), &extra, noted)?
    {
        given.add(noted.arguments());
    }
    declared.iter().map(Backend::arguments).chain(&extra).for_each(|arguments| given.add(arguments));
    let selected =
        || context.environment.get("TF_WORKSPACE").map(str::to_owned).or_else(|| selected_workspace(&data_dir));
    let workspace = workspace.map(str::to_owned).or_else(selected);
    let of_flags = extra.iter().flat_map(unknown_names);
    let of_flags = of_flags.map(|fault| Refused { place: "--backend-config".to_owned(), fault });
    let refused: Vec<Refused> = refused.into_iter().chain(of_flags).collect();
    match given.target(workspace.as_deref()) {
        Ok(target) => Ok(Target { refused, ..target }),
        Err(error) => Err(nowhere(&error, &refused, place.as_deref())),
    }
}

/// For what Terraform refuses a block, by file and line.
fn refused(directory: &Path, declared: &Declared) -> Vec<Refused> {
    let place = |line| at(directory, &Place { line, ..declared.place.clone() });
    let each = declared.complaints.iter();
    each.map(|complaint| Refused { place: place(complaint.line), fault: complaint.fault.clone() }).collect()
}

fn at(directory: &Path, place: &Place) -> String {
    let shown = if directory == Path::new(".") { Path::new("") } else { directory };
    shown.join(place.to_string()).display().to_string()
}

/// A backend that names no target: what Terraform refuses of it is mostly why.
fn nowhere(error: &TargetError, refused: &[Refused], place: Option<&str>) -> Failure {
    match (refused.first(), place) {
        (Some(Refused { place, fault }), _) => {
            Failure::usage(NOT_FOUND, format!("{place}: {fault}: {}", fault.why()), fault.advice())
        }
        (None, Some(place)) => Failure::usage(NOT_FOUND, format!("{place}: {error}"), error.advice()),
        (None, None) => no_target(error),
    }
}

/// Whether what `init` noted counts: what a block leaves to `-backend-config` is known from there alone. Where the two differ, Terraform
/// uses what was noted if `-backend-config` said so, and wants another `init` if the block was changed since; which it is, is not to be seen.
fn do_notes_count(declared: Option<&Backend>, extra: &[Arguments], noted: &Backend) -> Result<bool> {
    let Some(declared) = declared else { return Ok(true) };
    let said = extra.iter().fold(declared.clone(), Backend::with);
    if said.title() != noted.title() {
        output::note(&format!(
            "`terraform init` noted {}, and its notes do not count here: Terraform wants `init` to be run again\n",
            noted.title()
        ));
        return Ok(false);
    }
    let others = said.others(noted);
    let is_told = |name: &str| extra.iter().any(|arguments| arguments.contains_key(name));
    let (told, open): (Vec<&str>, Vec<&str>) = others.into_iter().partition(|name| is_told(name));
    if let Some(first) = open.first() {
        return Err(Failure::usage(
            NOT_FOUND,
            format!(
                "{} as `terraform init` noted: either `-backend-config` said otherwise, and Terraform uses that, or the block was changed since",
                not(&open)
            ),
            format!("say which counts with `--backend-config {first}=VALUE`, or run `terraform init`"),
        ));
    }
    // What is added here was not noted because it is no part of what `init` was told, which holds all the same.
    let told: Vec<&str> = told.into_iter().filter(|name| noted.argument(name).is_some()).collect();
    if !told.is_empty() {
        output::note(&format!(
            "{} as `terraform init` noted, and its notes do not count here: say what the block leaves out, too\n",
            not(&told)
        ));
    }
    Ok(told.is_empty())
}

/// `` `key` and `region` are not ``.
fn not(names: &[&str]) -> String {
    let listed = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
    format!("{listed} {} not", if names.len() == 1 { "is" } else { "are" })
}

/// The backend of a directory, whichever tool finds it there. Refused where each finds another one.
fn of_either_tool(directory: &Path) -> Result<Option<Declared>> {
    let read = |tool| Ok::<_, Failure>(configuration(directory, tool, NOT_FOUND)?.declared);
    match (read(Tool::Terraform)?, read(Tool::OpenTofu)?) {
        (Some(one), Some(other)) if one.backend != other.backend => {
            let why = format!("Terraform finds its backend in {}, and OpenTofu in {}", one.place, other.place);
            Err(Failure::usage(NOT_FOUND, why, NAME_IT))
        }
        (one, other) => Ok(one.or(other)),
    }
}

/// What `init` noted in a data directory.
pub(in crate::commands) fn noted(data_dir: &Path, refusal: &str) -> Result<Option<Backend>> {
    cached(data_dir).map_err(|error| {
        let next = "put that right, or delete the file and run `terraform init`, which writes it";
        Failure::usage(refusal, error.to_string(), next)
    })
}

/// The configuration in a directory as a tool reads it, as far as it says where the state is. `refusal` is what a message begins with.
pub(in crate::commands) fn configuration(directory: &Path, tool: Tool, refusal: &str) -> Result<Configuration> {
    let configuration = Configuration::read(directory, tool).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            Failure::usage(refusal, format!("`{}`: no such directory", directory.display()), "check the directory")
        }
        _ => Failure::file("the configuration cannot be read", directory, &error, "check the directory"),
    })?;
    if let Some((file, why)) = configuration.unreadable.first() {
        let file = directory.join(file);
        let why = format!("`{}`: {why}", file.display());
        return Err(Failure::usage(refusal, why, "put the file right: `terraform validate` says more"));
    }
    if let (Some(declared), Some(other)) = (&configuration.declared, &configuration.duplicate) {
        let why = format!("{} declares a backend, and {other} another one: Terraform takes one alone", declared.place);
        return Err(Failure::usage(refusal, why, "take one of the blocks out"));
    }
    Ok(configuration)
}

fn add_backend_config(given: &mut Given, arguments: &[String]) -> Result<()> {
    extra_arguments(arguments)?.iter().for_each(|arguments| given.add(arguments));
    Ok(())
}

/// What `--backend-config` says, as `init` takes it: a later one counts more.
pub(in crate::commands) fn extra_arguments(arguments: &[String]) -> Result<Vec<Arguments>> {
    let read = |argument: &String| {
        backend_config(argument, Path::new("")).map_err(|why| {
            let next = "give a file of `NAME = VALUE` lines, as `terraform init` takes it, or `NAME=VALUE` itself";
            Failure::usage("the backend's arguments cannot be read", why, next)
        })
    };
    arguments.iter().map(read).collect()
}

pub(super) fn no_target(error: &TargetError) -> Failure {
    Failure::usage(NOT_FOUND, error.to_string(), error.advice())
}
