//! The servers that do what is allowed.

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;

use crate::ask::Service;
use crate::config::Upstream;
use crate::incoming::Incoming;
use crate::sign::Claim;
use crate::world::Credentials;

/// Why a request could not be passed on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error("the request is allowed, and the lab was given no server that would do it")]
    Missing,
    #[error("{url} does not answer: {error}")]
    Silent { url: String, error: hyper_util::client::legacy::Error },
    #[error("{url} broke off in its answer: {error}")]
    Broken { url: String, error: hyper::Error },
    #[error("the request cannot be passed on: {0}")]
    Request(#[from] http::Error),
}

#[derive(Debug)]
pub(crate) struct Upstreams {
    config: Option<Upstream>,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// An answer from upstream, whole.
#[derive(Debug)]
pub(crate) struct Reply {
    head: http::response::Parts,
    body: Bytes,
}

impl Reply {
    pub(crate) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    pub(crate) fn is_success(&self) -> bool {
        self.head.status.is_success()
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }
}

impl From<Reply> for http::Response<Full<Bytes>> {
    fn from(reply: Reply) -> Self {
        let mut head = reply.head;
        // What is between two neighbours only. The body's length stays: the answer to a HEAD has no other.
        head.headers.remove(CONNECTION);
        head.headers.remove(TRANSFER_ENCODING);
        Self::from_parts(head, Full::new(reply.body))
    }
}

impl Upstreams {
    pub(crate) fn new(config: Option<Upstream>) -> Self {
        let client = Client::builder(TokioExecutor::new()).http1_preserve_header_case(true).build_http();
        Self { config, client }
    }

    /// Passes a request on, signed as upstream wants it, and done in an account where it knows several as moto does.
    pub(crate) async fn forward(
        &self,
        service: Service,
        request: &Incoming,
        claim: Option<&Claim>,
        account: Option<&str>,
        now: Timestamp,
    ) -> Result<Reply, UpstreamError> {
        let config = self.config.as_ref().ok_or(UpstreamError::Missing)?;
        let own = own(config);
        let base = match (&config.dynamodb, service) {
            (Some(url), Service::Dynamodb) => url,
            _ => &config.url,
        };
        let base = base.trim_end_matches('/');
        let authorization = match claim {
            Some(claim) => claim.signed_anew(&own, request),
            None => None,
        };
        let (request, authorization) = match authorization {
            Some(authorization) => (request.clone(), Some(authorization)),
            None => signed_by_us(service, request.clone(), &own, "us-east-1", now),
        };
        let passed_on = outgoing(&request, base, authorization, account)?;
        self.send(passed_on, base).await
    }

    async fn send(&self, request: Request<Full<Bytes>>, base: &str) -> Result<Reply, UpstreamError> {
        let answer = self.client.request(request).await;
        let (head, body) = answer.map_err(|error| UpstreamError::Silent { url: base.to_owned(), error })?.into_parts();
        let body = body.collect().await.map_err(|error| UpstreamError::Broken { url: base.to_owned(), error })?;
        Ok(Reply { head, body: body.to_bytes() })
    }

    /// Asks IAM for something.
    pub(crate) async fn iam(
        &self,
        account: &str,
        parameters: &[(&str, String)],
        now: Timestamp,
    ) -> Result<Reply, UpstreamError> {
        let config = self.config.as_ref().ok_or(UpstreamError::Missing)?;
        let base = config.url.trim_end_matches('/');
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        let request = ours(base, &headers, body);
        let (request, authorization) = signed_by_us(Service::Iam, request, &own(config), "us-east-1", now);
        self.send(outgoing(&request, base, authorization, Some(account))?, base).await
    }

    /// The name of a table's partition key; `None` where there is no such table.
    pub(crate) async fn partition_key(
        &self,
        table: &str,
        region: &str,
        account: Option<&str>,
        now: Timestamp,
    ) -> Option<String> {
        let config = self.config.as_ref()?;
        let base = config.dynamodb.as_ref().unwrap_or(&config.url).trim_end_matches('/');
        let own = own(config);
        let headers =
            [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", "DynamoDB_20120810.DescribeTable")];
        let request = ours(base, &headers, serde_json::json!({ "TableName": table }).to_string());
        let (request, authorization) = signed_by_us(Service::Dynamodb, request, &own, region, now);
        let reply = self.send(outgoing(&request, base, authorization, account).ok()?, base).await.ok()?;
        let table: serde_json::Value = serde_json::from_slice(reply.body()).ok()?;
        let schema = table.pointer("/Table/KeySchema")?.as_array()?;
        let hash = schema.iter().find(|key| key.get("KeyType").and_then(|kind| kind.as_str()) == Some("HASH"))?;
        hash.get("AttributeName")?.as_str().map(str::to_owned)
    }
}

/// What requests to an upstream are signed with.
fn own(config: &Upstream) -> Credentials {
    Credentials { access_key: config.access_key.clone(), secret_key: config.secret_key.clone(), token: None }
}

/// A request of the lab's own.
fn ours(base: &str, headers: &[(&str, &str)], body: String) -> Incoming {
    let host = ("host", base.rsplit("//").next().unwrap_or_default());
    let headers = std::iter::once(&host).chain(headers);
    Incoming {
        method: "POST".to_owned(),
        path: "/".to_owned(),
        query: String::new(),
        headers: headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: body.into(),
        from: String::new(),
    }
}

/// A request that nobody signed, or not in a way that can be repeated.
fn signed_by_us(
    service: Service,
    mut request: Incoming,
    own: &Credentials,
    region: &str,
    now: Timestamp,
) -> (Incoming, Option<String>) {
    let claim = Claim::ours(service, region, now);
    request.headers.retain(|(name, _)| name != "x-amz-date");
    request.headers.push(("x-amz-date".to_owned(), now.strftime("%Y%m%dT%H%M%SZ").to_string()));
    let authorization = claim.signed_anew(own, &request);
    (request, authorization)
}

fn outgoing(
    request: &Incoming,
    base: &str,
    authorization: Option<String>,
    account: Option<&str>,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        headers.append(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?);
    }
    for own in [CONNECTION, TRANSFER_ENCODING, CONTENT_LENGTH, EXPECT, AUTHORIZATION] {
        headers.remove(own);
    }
    headers.remove("x-amz-security-token");
    if let Some(authorization) = authorization {
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&authorization)?);
    }
    if let Some(account) = account.filter(|account| !account.is_empty()) {
        headers.insert("x-moto-account-id", HeaderValue::from_str(account)?);
    }
    let mut outgoing = Request::new(Full::new(request.body.clone()));
    *outgoing.method_mut() = Method::from_bytes(request.method.as_bytes())?;
    *outgoing.uri_mut() = Uri::try_from(format!("{base}{}{query}", request.path))?;
    *outgoing.headers_mut() = headers;
    Ok(outgoing)
}
