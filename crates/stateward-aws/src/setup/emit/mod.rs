//! The set-up as code, for those who have another tool do it.
//!
//! Nothing is asked. The plan is done on paper, from nothing there: the requests that it takes are what [`Format::Json`] tells, and what is
//! there in the end is what the templates declare. So what is emitted is what set-up would have made, and set-up finds nothing to do
//! about it.

mod calls;
mod cloudformation;
mod hcl;
mod paper;
mod shape;
mod terraform;
pub(super) mod unknown;

use aws_sdk_s3::error::BuildError;

use super::{Action, Item, Wanted, plan};

/// How the set-up is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Resources of Terraform's AWS provider, as `terraform fmt` writes them.
    Terraform,
    /// A template as JSON, which is YAML too: `CloudFormation`, CDK's `CfnInclude` and Pulumi's import read it as it is.
    CloudFormation,
    /// The requests in their order, for a script: `{"schema": 1, "items": [{"service", "operation", "parameters"}]}`. Names and parameters
    /// are those of AWS's own interface, which boto3's clients and `aws --cli-input-json` take as they are. `${account}`, `${partition}`,
    /// and `${key_id}`, which is what `CreateKey` answers, or `DescribeKey` of the alias that was given, are to be filled in.
    Json,
}

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
pub enum EmitError {
    /// Something stands in the way: the environments would not be kept apart, for one.
    #[error("{}: {}", .0.resource, .0.why)]
    Refused(Box<Item>),
    /// A stack makes buckets in its own Region.
    #[error("a template of CloudFormation makes what is in one Region, and the copy goes to {0}")]
    OtherRegion(String),
    /// Something that is wanted makes no request.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// Writes what would have been made. `wanted` need say neither account nor partition; without a Region the templates take that in which
/// they are used.
///
/// # Errors
///
/// Why there is none.
pub fn emit(wanted: &Wanted, format: Format) -> Result<String, EmitError> {
    let elsewhere = wanted.replica.as_ref().and_then(|replica| replica.region.as_ref());
    if let Some(region) = elsewhere.filter(|region| format == Format::CloudFormation && **region != wanted.region) {
        return Err(EmitError::OtherRegion(region.clone()));
    }
    can_be(wanted)?;
    let paper = paper::Paper::of(unknown::stand_in(wanted))?;
    Ok(match format {
        Format::Terraform => terraform::write(wanted, &paper),
        Format::CloudFormation => cloudformation::write(&paper),
        Format::Json => calls::write(&paper),
    })
}

/// Looks whether the plan refuses something, environments tried on each other as they will be. What stands on AWS beside them is not known.
fn can_be(wanted: &Wanted) -> Result<(), EmitError> {
    let paper = paper::Paper::of(unknown::known(wanted))?;
    let items = plan(&paper.wanted, &paper.found);
    match items.into_iter().find(|item| item.action == Action::Refuse) {
        Some(item) => Err(EmitError::Refused(Box::new(item))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
