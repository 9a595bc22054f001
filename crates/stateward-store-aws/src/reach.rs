//! The HTTP client, whose errors say which host was not reached, and why in a few words: the SDK's say neither.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use url::Url;

pub(crate) const NO_ANSWER: &str = "no answer came in time (i/o timeout)";

/// How it is told that somebody else answered.
pub(crate) const NOT_THERE: &str = "so what answers there is no";

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

/// Somebody else answered: a web page, or a redirect to one.
#[derive(Debug, thiserror::Error)]
#[error("{method} \"{place}\": {came} came in place of an answer, {NOT_THERE} service of AWS")]
pub(crate) struct Foreign {
    method: String,
    /// Scheme, host and port.
    place: String,
    came: String,
}

/// Whether it was somebody else than a service of AWS, or one like them, who answered.
pub fn is_foreign(error: &(dyn Error + 'static)) -> bool {
    sources(error).any(|source| source.downcast_ref::<Foreign>().is_some())
}

/// Whether a service gave the answer an id, as all of AWS do.
pub fn has_id(answer: &HttpResponse) -> bool {
    ["x-amz-request-id", "x-amzn-requestid", "x-amz-id-2"].iter().any(|id| answer.headers().get(id).is_some())
}

/// What came, where it is no answer of a service: those have an id, and redirect nobody to a page. What stands before a service may
/// answer by a page that it has none; that passes.
fn page(answer: &HttpResponse) -> Option<String> {
    let header = |name: &str| answer.headers().get(name);
    let status = answer.status().as_u16();
    if has_id(answer) || status >= 500 {
        return None;
    }
    let is_html =
        header("content-type").is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"));
    match (status, header("location").and_then(|to| Url::parse(to).ok())) {
        (302 | 303, Some(to)) => Some(format!("a redirect to {}", to.origin().ascii_serialization())),
        (302 | 303, None) => Some(format!("a redirect (status {status})")),
        _ if is_html => Some(format!("a web page (HTML, status {status})")),
        _ => None,
    }
}

/// The client that the SDK has by itself, with errors that name the host. It trusts the certificates of the bundle alone, where there is one.
pub(crate) fn client(bundle: Option<PathBuf>) -> SharedHttpClient {
    let tls = match bundle.map(|path| trusting(&path).map_err(|why| Bundle { path, why })).transpose() {
        Ok(tls) => tls,
        Err(bundle) => return SharedHttpClient::new(bundle),
    };
    let client = Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        if let Some(tls) = &tls {
            connector = connector.tls_context(tls.clone());
        }
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.build()
    });
    SharedHttpClient::new(Naming { inner: client, silences: Arc::default() })
}

fn trusting(path: &Path) -> Result<TlsContext, String> {
    let pem = std::fs::read(path).map_err(|error| error.to_string())?;
    let certificates = certificates(&pem);
    if certificates.is_empty() {
        return Err("there is no certificate (PEM) in it".to_owned());
    }
    let trusted = certificates.into_iter().fold(TrustStore::empty(), TrustStore::with_pem_certificate);
    TlsContext::builder().with_trust_store(trusted).build().map_err(|error| error.to_string())
}

/// The certificates that can be read, each as PEM: as Go does, others are passed over. The client would not come back from one of those.
fn certificates(pem: &[u8]) -> Vec<String> {
    let all = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    let usable = all.filter(|certificate| RootCertStore::empty().add(certificate.clone()).is_ok());
    let text = |certificate: CertificateDer<'_>| {
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64_STANDARD.encode(certificate))
    };
    usable.map(text).collect()
}

/// A bundle of certificates that cannot be used, in place of a client.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the file of trusted certificates `{}` (`AWS_CA_BUNDLE`, `custom_ca_bundle`) cannot be used: {why}", path.display())]
struct Bundle {
    path: PathBuf,
    why: String,
}

impl HttpClient for Bundle {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Bundle {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(Err(ConnectorError::user(self.clone().into())))
    }
}

/// A request with no more bytes than this is with the service as soon as it is sent.
const SMALL_MAX: u64 = 64 << 10;
/// So long a service may take to begin the answer to a small request; and once more, where it gave none the first time. Whoever is
/// connected and says nothing is told of within both.
const SILENCE: Duration = Duration::from_secs(15);
const SILENCE_AGAIN: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct Naming<T> {
    inner: T,
    /// How many small requests one after the other got no answer in time.
    silences: Arc<AtomicU32>,
}

impl HttpClient for Naming<SharedHttpClient> {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Naming { inner, silences: Arc::clone(&self.silences) })
    }
}

impl HttpConnector for Naming<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let method = request.method().to_owned();
        let place = Url::parse(request.uri()).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        let is_small = request.body().content_length().is_some_and(|length| length <= SMALL_MAX);
        let answer = self.inner.call(request);
        if !is_small {
            return HttpConnectorFuture::new(async move { understood(answer.await, method, place) });
        }
        let silences = Arc::clone(&self.silences);
        HttpConnectorFuture::new(async move {
            let before = silences.load(Ordering::Relaxed);
            let limit = if before == 1 { SILENCE_AGAIN } else { SILENCE };
            let Ok(answer) = tokio::time::timeout(limit, answer).await else {
                silences.fetch_add(1, Ordering::Relaxed);
                return Err(silent(before, method, place));
            };
            silences.store(0, Ordering::Relaxed);
            understood(answer, method, place)
        })
    }
}

/// An answer of the service; that of somebody else is an error, as one that did not come.
fn understood(
    answer: Result<HttpResponse, ConnectorError>,
    method: String,
    place: String,
) -> Result<HttpResponse, ConnectorError> {
    let answer = answer.map_err(|error| named(error, method.clone(), place.clone()))?;
    match page(&answer) {
        Some(came) => Err(ConnectorError::other(Foreign { method, place, came }.into(), None)),
        None => Ok(answer),
    }
}

/// A service that is there and says nothing: the SDK tries once more, on another connection, and not again.
fn silent(before: u32, method: String, place: String) -> ConnectorError {
    let source = Box::new(io::Error::from(ErrorKind::TimedOut));
    let unreached = Unreached { method, place, reason: NO_ANSWER.to_owned(), source };
    match before {
        0 => ConnectorError::timeout(unreached.into()),
        _ => ConnectorError::other(unreached.into(), None),
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
    use aws_sdk_s3::primitives::SdkBody;
    use aws_smithy_runtime_api::http::StatusCode;

    use super::*;

    #[test]
    fn a_page_is_no_answer_of_a_service() {
        let of = |status: u16, headers: &[(&'static str, &'static str)]| {
            let mut answer = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::empty());
            headers.iter().for_each(|(name, value)| drop(answer.headers_mut().insert(*name, *value)));
            page(&answer)
        };
        let html = ("content-type", "Text/HTML; charset=utf-8");
        for status in [200, 401, 403, 404] {
            assert_eq!(of(status, &[html]), Some(format!("a web page (HTML, status {status})")));
        }
        assert_eq!(of(200, &[html, ("x-amz-request-id", "A")]), None, "an object may be a page");
        assert_eq!(of(502, &[html]), None, "what stands before a service says that it does not answer");
        assert_eq!(of(200, &[("content-type", "application/xml")]), None);
        assert_eq!(of(307, &[("location", "https://b.s3.eu-west-1.amazonaws.com/")]), None, "the Region is another");
        let portal = ("location", "https://login.example/start?token=hidden");
        assert_eq!(of(302, &[portal]).as_deref(), Some("a redirect to https://login.example"));
    }

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

    /// A root that nobody trusts; the other half is no certificate.
    const BUNDLE: &str = include_str!("../tests/data/bundle.pem");

    #[test]
    fn of_a_bundle_what_is_a_certificate() {
        assert_eq!(BUNDLE.matches("BEGIN CERTIFICATE").count(), 2);
        assert_eq!(certificates(BUNDLE.as_bytes()).len(), 1);
        assert_eq!(certificates(b"nothing").len(), 0);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bundle.pem");
        assert!(trusting(&path).is_ok());
        let error = trusting(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml").as_path()).unwrap_err();
        assert!(error.contains("no certificate"), "{error}");
    }

    #[tokio::test]
    async fn a_bundle_that_cannot_be_used_is_told() {
        use crate::{Access, configuration};

        let access = Access {
            region: Some("eu-west-1".into()),
            endpoint: None,
            keys: Some(aws_credential_types::Credentials::for_tests()),
            ca_bundle: Some("/nonexistent/ca.pem".into()),
            max_retries: 0,
            ..Access::default()
        };
        let configuration = configuration(&access).await;
        let client = aws_sdk_sts::Client::new(&configuration);
        let error = client.get_caller_identity().send().await.unwrap_err();
        let why = reason(&error);
        assert!(why.contains("`/nonexistent/ca.pem`"), "{why}");
    }
}
