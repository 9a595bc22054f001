//! The HTTP client, whose errors say which host was not reached, and why in a few words: the SDK's say neither.

use std::error::Error;
use std::io::{self, ErrorKind};

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use url::Url;

pub(crate) const NO_ANSWER: &str = "no answer came in time (i/o timeout)";

/// A request that was not answered.
#[derive(Debug, thiserror::Error)]
#[error("{method} \"{place}\": {reason}")]
pub(crate) struct Unreached {
    method: String,
    /// Scheme, host and port.
    place: String,
    reason: String,
    source: Box<dyn Error + Send + Sync>,
}

/// The client that the SDK has by itself, with errors that name the host.
pub(crate) fn client() -> SharedHttpClient {
    let client = Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.build()
    });
    SharedHttpClient::new(Naming(client))
}

#[derive(Debug)]
struct Naming<T>(T);

impl HttpClient for Naming<SharedHttpClient> {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Naming(self.0.http_connector(settings, components)))
    }
}

impl HttpConnector for Naming<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let method = request.method().to_owned();
        let place = Url::parse(request.uri()).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move { answer.await.map_err(|error| named(error, method, place)) })
    }
}

/// The same error, which the SDK tries again as before.
fn named(error: ConnectorError, method: String, place: String) -> ConnectorError {
    let again = match (error.is_timeout(), error.is_io(), error.is_user()) {
        (true, ..) => ConnectorError::timeout,
        (_, true, _) => ConnectorError::io,
        (.., true) => ConnectorError::user,
        _ => {
            let kind = error.as_other();
            return ConnectorError::other(unreached(error, method, place).into(), kind);
        }
    };
    let connection = error.connection_metadata().cloned();
    let error = again(unreached(error, method, place).into());
    match connection {
        Some(connection) => error.with_connection(connection),
        None => error,
    }
}

fn unreached(error: ConnectorError, method: String, place: String) -> Unreached {
    let reason = reason(&error);
    Unreached { method, place, reason, source: error.into_source() }
}

/// What went wrong, in the words of the error that all the others come from, or in those that Go has for it.
pub(crate) fn reason(error: &(dyn Error + 'static)) -> String {
    let Some(last) = sources(error).last() else { return String::new() };
    let is_timeout = |error: &(dyn Error + 'static)| {
        let ours = error.downcast_ref::<ConnectorError>().is_some_and(ConnectorError::is_timeout);
        ours || error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::TimedOut)
    };
    let text = last.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    if sources(error).any(is_timeout) {
        return NO_ANSWER.to_owned();
    }
    if is_unknown_host(error) {
        return format!("no such host ({text})");
    }
    match sources(error).find_map(|error| error.downcast_ref::<io::Error>()).map(kind) {
        // What is said before TLS is agreed on.
        Some(ErrorKind::InvalidData) if text.contains("certificate") => format!("certificate verify failed: {text}"),
        Some(ErrorKind::InvalidData) => format!("TLS handshake failed: {text}"),
        Some(ErrorKind::ConnectionRefused) => "connection refused".to_owned(),
        Some(ErrorKind::ConnectionReset) => "connection reset by peer".to_owned(),
        _ => text.to_owned(),
    }
}

/// The kind of the innermost: TLS wraps its own in others.
fn kind(error: &io::Error) -> ErrorKind {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    inner.map_or_else(|| error.kind(), kind)
}

/// Whether the host's name was not found.
pub(crate) fn is_unknown_host(error: &(dyn Error + 'static)) -> bool {
    sources(error).any(|source| source.to_string() == "dns error")
}

pub(crate) fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Outer(&'static str, #[source] io::Error);

    #[test]
    fn reasons_are_few_words_that_are_known_to_explain() {
        let of = |kind, text: &str| reason(&Outer("client error (Connect)", io::Error::new(kind, text.to_owned())));
        assert_eq!(of(ErrorKind::ConnectionRefused, "Connection refused (os error 111)"), "connection refused");
        assert_eq!(of(ErrorKind::TimedOut, "x"), NO_ANSWER);
        let tls = of(ErrorKind::InvalidData, "invalid peer certificate: UnknownIssuer");
        assert_eq!(tls, "certificate verify failed: invalid peer certificate: UnknownIssuer");
        let dns =
            Outer("dns error", io::Error::other("failed to lookup address information: Name or service not known"));
        assert!(reason(&dns).starts_with("no such host (failed to lookup"), "{}", reason(&dns));
    }
}
