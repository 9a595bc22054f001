//! What touches the command lines of Terraform and `OpenTofu`: recognising them ([`Invocation`]), reading where a configuration keeps its
//! state ([`Configuration`]), putting our backend in its place for a run ([`OverrideFile`], [`RunDir`]), running them ([`Child`]), and what
//! they leave in a directory ([`workdir`]); writing backend blocks ([`Edit`]); taking an `apply` apart into a plan and the apply of that
//! plan ([`Apply`]).

mod apply;
mod backend;
mod child;
mod edit;
mod environment;
mod hcl;
mod json;
mod mounts;
mod nearest;
mod override_file;
pub mod rights;
mod run_dir;
mod s3_arguments;
mod s3_locks;
mod tool;
mod values;
pub mod workdir;

pub use apply::{Apply, GivenValues, Whose};
pub use backend::{
    Arguments, Backend, Configuration, Declared, Difference, Ephemeral, Place, backend_config, cached, data_dir, flag,
    selected_workspace, terragrunt_dependency, workspace_in_address,
};
pub use child::{Changes, Child, Signals, Terminal};
pub use edit::{Change, Edit, EditError, Value, Written};
pub use environment::{Addresses, REMOVED, variables};
pub use nearest::nearest;
pub use override_file::{OverrideError, OverrideFile};
pub use run_dir::{InitError, RunDir};
pub use s3_arguments::{Complaint, Fault as ArgumentFault, unknown_names};
pub use s3_locks::{LockStep, NoWay, S3Locks, WantedLock, arguments as lock_arguments};
pub use tool::{Invocation, Need, Tool};
pub use values::Values;
