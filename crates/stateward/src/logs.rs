//! Structured logs on standard error.

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Settings};
use crate::failure::{Failure, Result};

/// What AWS's libraries say in passing we say again, in our words, where it matters.
const WITHOUT_AWS: &str = "aws_config=error,aws_runtime=error,aws_credential_types=error,aws_smithy_runtime=error";

/// Starts logging. A server tells what it does; other commands only what went wrong.
pub(crate) fn start(settings: &Settings, is_server: bool) -> Result<()> {
    let usual = format!("{},{WITHOUT_AWS}", if is_server { "info" } else { "warn" });
    let filter = settings.log.as_deref().unwrap_or(&usual);
    let filter = EnvFilter::builder().parse(filter).map_err(|error| {
        Failure::usage(
            "the setting `log` is wrong",
            error.to_string(),
            "write a level, or a filter such as `info,stateward_server=debug`",
        )
    })?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start, as by tests in one process, changes nothing.
    let _started = match settings.log_format {
        LogFormat::Json => logs.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
        LogFormat::Text => logs.with_ansi(ansi()).with_target(false).try_init(),
    };
    Ok(())
}

fn ansi() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}
