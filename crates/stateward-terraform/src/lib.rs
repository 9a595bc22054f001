//! What touches the command lines of Terraform and `OpenTofu`: backend blocks, override files, running them, and Terraform's own layouts.

pub mod workdir;
