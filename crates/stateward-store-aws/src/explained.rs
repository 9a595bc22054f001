//! Why there are no credentials, in words of our own: the SDK's say of each link of its chain that it "was not enabled".

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};

/// Why there are no credentials; what the SDK said of it is the source.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Explained {
    why: String,
    source: CredentialsError,
}

/// A provider, and why it gives none if it gives none.
#[derive(Debug)]
pub(crate) struct Explaining {
    pub(crate) inner: SharedCredentialsProvider,
    pub(crate) why: String,
}

impl ProvideCredentials for Explaining {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            self.inner.provide_credentials().await.map_err(|source| match source {
                CredentialsError::CredentialsNotLoaded(_) => {
                    CredentialsError::not_loaded(Explained { why: self.why.clone(), source })
                }
                other => other,
            })
        })
    }
}
