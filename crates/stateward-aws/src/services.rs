//! The clients of the services.

use aws_config::SdkConfig;
use aws_sdk_s3::config::Builder;

/// One client for each service, made from one configuration ([`stateward_store_aws::configuration`]).
#[derive(Debug, Clone)]
pub struct Services {
    /// Who calls, and roles.
    pub sts: aws_sdk_sts::Client,
    /// Buckets and objects.
    pub s3: aws_sdk_s3::Client,
    /// Tables and items.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Keys.
    pub kms: aws_sdk_kms::Client,
    /// Roles, users and their policies.
    pub iam: aws_sdk_iam::Client,
    /// The organization and its policies.
    pub organizations: aws_sdk_organizations::Client,
    /// What AWS noted of refused requests.
    pub toolbox: aws_sdk_iamtoolbox::Client,
    /// The record of calls.
    pub trail: aws_sdk_cloudtrail::Client,
}

/// How buckets are named in the address of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// In the host's name, as AWS wants it.
    #[default]
    Host,
    /// In the path, as many other servers want it.
    Path,
}

impl Layout {
    /// Of all that speak S3 AWS itself has buckets in the host's name; whatever is asked in its place, for all services or for S3 alone,
    /// seldom does.
    pub fn of(configuration: &SdkConfig) -> Self {
        if stateward_store_aws::s3_endpoint(configuration).is_some() { Self::Path } else { Self::Host }
    }
}

impl Services {
    /// The same, with buckets and keys of this Region.
    pub(crate) fn in_region(&self, region: &str) -> Self {
        let s3 = self.s3.config().to_builder().region(aws_sdk_s3::config::Region::new(region.to_owned())).build();
        let kms = self.kms.config().to_builder().region(aws_sdk_kms::config::Region::new(region.to_owned())).build();
        Self { s3: aws_sdk_s3::Client::from_conf(s3), kms: aws_sdk_kms::Client::from_conf(kms), ..self.clone() }
    }

    /// The clients. No request is sent.
    pub fn new(configuration: &SdkConfig, layout: Layout) -> Self {
        let s3 = Builder::from(configuration).force_path_style(layout == Layout::Path).build();
        Self {
            sts: aws_sdk_sts::Client::new(configuration),
            s3: aws_sdk_s3::Client::from_conf(s3),
            dynamodb: aws_sdk_dynamodb::Client::new(configuration),
            kms: aws_sdk_kms::Client::new(configuration),
            iam: aws_sdk_iam::Client::new(configuration),
            organizations: aws_sdk_organizations::Client::new(configuration),
            toolbox: aws_sdk_iamtoolbox::Client::new(configuration),
            trail: aws_sdk_cloudtrail::Client::new(configuration),
        }
    }
}
