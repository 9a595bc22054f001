//! What answers say beside what was asked for: the time at the other end.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::Now;

/// Notes by how much our clock is ahead of a service's. Clones note together.
#[derive(Clone)]
pub(crate) struct Watch {
    now: Now,
    ahead: Arc<Mutex<Option<i64>>>,
}

impl Watch {
    pub(crate) fn new(now: Now) -> Self {
        Self { now, ahead: Arc::default() }
    }

    /// Seconds by which our clock is ahead; `None` before there was an answer.
    pub(crate) fn ahead(&self) -> Option<i64> {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, theirs: Timestamp) {
        let ahead = (self.now)().as_second() - theirs.as_second();
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(ahead);
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Watch").field(&self.ahead()).finish()
    }
}

#[dyn_dispatch_hint]
impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "Watch"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        if let Some(theirs) = date.and_then(|date| rfc2822::DateTimeParser::new().parse_timestamp(date).ok()) {
            self.note(theirs);
        }
        Ok(())
    }
}
