//! The end of a run that somebody breaks off: nothing more is sent, and what is on its way arrives before it is removed.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;

use super::{Finding, Patient};

/// So long what is on its way has for its answer, a little more than a request has.
const PATIENCE: Duration = Duration::from_secs(12);

/// Lets requests through until it is closed. Clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<AtomicBool>);

impl Gate {
    fn close(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub(crate) fn open(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// Somebody broke off.
#[derive(Debug, thiserror::Error)]
#[error("it was interrupted")]
struct Closed;

/// Whether a request was kept here. What is sent more than once may have been done before.
pub(crate) fn is_closed(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source()).any(<dyn Error>::is::<Closed>)
}

#[dyn_dispatch_hint]
impl Intercept for Gate {
    fn name(&self) -> &'static str {
        "Gate"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.0.load(Ordering::SeqCst) { Err(Closed.into()) } else { Ok(()) }
    }
}

impl Patient {
    /// Runs all checks, unless it is broken off; then nothing more is sent, and what is on its way is waited for, for a time: a write
    /// that arrives behind its removal would stay. What there may be is to be [cleaned](Self::clean) in any case.
    pub async fn examine_until(&self, interrupt: impl Future) -> Option<Vec<Finding>> {
        let mut examining = Box::pin(self.examine());
        tokio::select! {
            found = &mut examining => return Some(found),
            _ = interrupt => self.gate.close(),
        }
        drop(tokio::time::timeout(PATIENCE, examining).await);
        None
    }
}
