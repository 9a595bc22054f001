//! Who signed a request, and whether they did.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as Signer;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::ask::Service;
use crate::incoming::Incoming;
use crate::world::Credentials;

/// What a signed request says of its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) access_key: String,
    pub(crate) region: String,
    /// As it is named in signatures.
    pub(crate) service: String,
    pub(crate) token: Option<String>,
    /// When it was signed.
    pub(crate) time: Timestamp,
    signed_headers: Vec<String>,
    signature: String,
}

/// A header that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Claim {
    /// `None` where the request is not signed.
    pub(crate) fn of(request: &Incoming) -> Option<Result<Self, Malformed>> {
        request.header("authorization").map(|header| Self::parse(header, request).ok_or(Malformed))
    }

    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html>
    fn parse(header: &str, request: &Incoming) -> Option<Self> {
        let parts = header.strip_prefix("AWS4-HMAC-SHA256")?;
        let part = |name: &str| {
            let mut parts = parts.split(',').filter_map(|part| part.trim().split_once('='));
            parts.find(|(own, _)| *own == name).map(|(_, value)| value)
        };
        let mut scope = part("Credential")?.rsplitn(5, '/');
        let (end, service, region, date, access_key) =
            (scope.next()?, scope.next()?, scope.next()?, scope.next()?, scope.next()?);
        let time = parse_time(request.header("x-amz-date")?)?;
        let scoped = end == "aws4_request" && request.header("x-amz-date")?.starts_with(date);
        let mut signed_headers: Vec<String> = part("SignedHeaders")?.split(';').map(str::to_owned).collect();
        signed_headers.retain(|name| name != "x-amz-date");
        scoped.then(|| Self {
            access_key: access_key.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            token: request.header("x-amz-security-token").map(str::to_owned),
            time,
            signed_headers,
            signature: part("Signature").unwrap_or_default().to_owned(),
        })
    }

    /// For a request of the lab's own.
    pub(crate) fn ours(service: Service, region: &str, time: Timestamp) -> Self {
        Self {
            access_key: String::new(),
            region: region.to_owned(),
            service: service.name().to_owned(),
            token: None,
            time,
            signed_headers: vec!["host".to_owned()],
            signature: String::new(),
        }
    }

    /// Whether the request was signed with this secret and is as it was signed, its body too.
    pub(crate) fn is_by(&self, credentials: &Credentials, request: &Incoming) -> bool {
        let expected = self.signature_by(credentials, request);
        let same = expected.is_some_and(|own| own.as_bytes().ct_eq(self.signature.as_bytes()).into());
        same && self.body_is_as_signed(credentials, request)
    }

    fn signature_by(&self, credentials: &Credentials, request: &Incoming) -> Option<String> {
        let mut headers = Vec::new();
        for name in &self.signed_headers {
            let before = headers.len();
            headers.extend(request.headers.iter().filter(|(own, _)| own == name));
            // What was signed must be there.
            if headers.len() == before {
                return None;
            }
        }
        signature(request, &headers, credentials, self)
    }

    fn body_is_as_signed(&self, credentials: &Credentials, request: &Incoming) -> bool {
        let Some(hash) = request.header("x-amz-content-sha256") else { return true };
        match hash {
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" | "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => {
                self.chunks_are_signed(credentials, &request.body).is_some()
            }
            "UNSIGNED-PAYLOAD" | "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => true,
            hash => hash.eq_ignore_ascii_case(&hex::encode(Sha256::digest(&request.body))),
        }
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>
    fn chunks_are_signed(&self, credentials: &Credentials, body: &[u8]) -> Option<()> {
        let identity = identity(credentials);
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(system_time(self.time))
            .settings(())
            .build()
            .ok()?;
        let day = self.time.strftime("%Y%m%d").to_string();
        let key =
            v4::generate_signing_key(&credentials.secret_key, system_time(self.time), &self.region, &self.service);
        let scope = format!("{day}/{}/{}/aws4_request", self.region, params.name());
        let (mut rest, mut before) = (body, self.signature.clone());
        loop {
            let line = rest.windows(2).position(|pair| pair == b"\r\n")?;
            let head = std::str::from_utf8(rest.get(..line)?).ok()?;
            let (length, signed) = head.split_once(";chunk-signature=")?;
            let length = usize::from_str_radix(length, 16).ok()?;
            let start = line + 2;
            let data = rest.get(start..start.checked_add(length)?)?;
            let text = format!(
                "AWS4-HMAC-SHA256-PAYLOAD\n{}\n{scope}\n{before}\n{}\n{}",
                self.time.strftime("%Y%m%dT%H%M%SZ"),
                hex::encode(Sha256::digest(b"")),
                hex::encode(Sha256::digest(data)),
            );
            let own = v4::calculate_signature(&key, text.as_bytes());
            if !bool::from(own.as_bytes().ct_eq(signed.as_bytes())) {
                return None;
            }
            if length == 0 {
                return Some(());
            }
            before = own;
            rest = rest.get(start + length + 2..)?;
        }
    }

    /// The request's header, signed anew by somebody else.
    pub(crate) fn signed_anew(&self, credentials: &Credentials, request: &Incoming) -> Option<String> {
        let names: Vec<&str> = self.signed_headers.iter().map(String::as_str).collect();
        let kept = |name: &str| names.contains(&name) && name != "x-amz-security-token";
        let headers: Vec<&(String, String)> = request.headers.iter().filter(|(name, _)| kept(name)).collect();
        let signature = signature(request, &headers, credentials, self)?;
        let mut names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).chain(["x-amz-date"]).collect();
        names.sort_unstable();
        names.dedup();
        Some(format!(
            "AWS4-HMAC-SHA256 Credential={}/{}/{}/{}/aws4_request, SignedHeaders={}, Signature={signature}",
            credentials.access_key,
            self.time.strftime("%Y%m%d"),
            self.region,
            self.service,
            names.join(";"),
        ))
    }
}

fn identity(credentials: &Credentials) -> Identity {
    // The token is an ordinary header here.
    Signer::new(&credentials.access_key, &credentials.secret_key, None, None, "lab").into()
}

fn signature(
    request: &Incoming,
    headers: &[&(String, String)],
    credentials: &Credentials,
    claim: &Claim,
) -> Option<String> {
    let mut settings = SigningSettings::default();
    settings.excluded_headers = Some(Vec::new());
    settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
    if claim.service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    let identity = identity(credentials);
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&claim.region)
        .name(&claim.service)
        .time(system_time(claim.time))
        .settings(settings)
        .build()
        .ok()?;
    let host = request.header("host").unwrap_or("localhost");
    let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
    let body = match request.header("x-amz-content-sha256") {
        Some(hash) => SignableBody::Precomputed(hash.to_owned()),
        None => SignableBody::Bytes(&request.body),
    };
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let uri = format!("http://{host}{}{query}", request.path);
    let signable = SignableRequest::new(&request.method, uri, headers, body).ok()?;
    Some(sign(signable, &params.into()).ok()?.into_parts().1)
}

fn system_time(time: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(time.as_second()).unwrap_or_default())
}

/// `20260131T235959Z`.
fn parse_time(text: &str) -> Option<Timestamp> {
    let time = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incoming::tests::incoming;

    fn credentials(secret_key: &str) -> Credentials {
        Credentials { access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(), secret_key: secret_key.to_owned(), token: None }
    }

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    /// The example of <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>.
    fn chunked() -> Incoming {
        let headers = [
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class,Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
            ),
            ("content-encoding", "aws-chunked"),
            ("content-length", "66824"),
            ("host", "s3.amazonaws.com"),
            ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-decoded-content-length", "66560"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ];
        let chunk = |length: usize, signature: &str| {
            format!("{length:x};chunk-signature={signature}\r\n{}\r\n", "a".repeat(length))
        };
        let body = [
            chunk(65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
            chunk(1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
            chunk(0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
        ];
        incoming("PUT /examplebucket/chunkObject.txt", &headers, &body.concat())
    }

    fn claim(request: &Incoming) -> Claim {
        Claim::of(request).expect("signed").expect("well-formed")
    }

    #[test]
    fn a_body_in_signed_chunks_is_as_it_was_signed() {
        let request = chunked();
        let claim = claim(&request);
        assert!(claim.is_by(&credentials(SECRET), &request));
        assert!(!claim.is_by(&credentials("another"), &request));
        let mut changed = request.clone();
        changed.body = String::from_utf8_lossy(&request.body).replacen("aa", "ab", 1).into();
        assert!(!claim.is_by(&credentials(SECRET), &changed));
        let mut cut = request.clone();
        cut.body = request.body.slice(..70_000.min(request.body.len() - 100));
        assert!(!claim.is_by(&credentials(SECRET), &cut));
    }

    #[test]
    fn nothing_that_was_signed_may_change() {
        let body = r#"{"TableName":"locks"}"#;
        let time = Timestamp::from_second(1_780_000_000).expect("a time");
        let date = time.strftime("%Y%m%dT%H%M%SZ").to_string();
        let headers = [("host", "127.0.0.1:4566"), ("x-amz-date", date.as_str()), ("x-amz-target", "DynamoDB.GetItem")];
        let mut request = incoming("POST /", &headers, body);
        let own = credentials(SECRET);
        let signed_headers = vec!["host".to_owned(), "x-amz-target".to_owned()];
        let unsigned = Claim { signed_headers, ..Claim::ours(Service::Dynamodb, "eu-west-1", time) };
        let authorization = unsigned.signed_anew(&own, &request).expect("signed");
        request.headers.push(("authorization".to_owned(), authorization));
        let claim = claim(&request);
        assert_eq!((claim.service.as_str(), claim.region.as_str(), claim.time), ("dynamodb", "eu-west-1", time));
        assert!(claim.is_by(&own, &request));
        let changes: [fn(&mut Incoming); 5] = [
            |request| request.body = "{}".into(),
            |request| request.query = "a=b".to_owned(),
            |request| request.method = "PUT".to_owned(),
            |request| request.headers[2].1 = "DynamoDB.PutItem".to_owned(),
            |request| request.headers.retain(|(name, _)| name != "x-amz-target"),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = request.clone();
            change(&mut changed);
            assert!(!claim.is_by(&own, &changed), "change {number}");
        }
    }

    #[test]
    fn what_is_no_signature() {
        let date = [("x-amz-date", "20130524T000000Z")];
        for header in [
            "AWS 0PN5J17HBGZHT7JJ3X82:frJIUN8DYpKDtOLCwo//yllqDzg=",
            "AWS4-HMAC-SHA256 Credential=AKIA/20130524/us-east-1/s3, SignedHeaders=host, Signature=0",
            "AWS4-HMAC-SHA256 Credential=AKIA/20130525/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0",
            "AWS4-HMAC-SHA256",
        ] {
            let request = incoming("GET /", &[("authorization", header), date[0]], "");
            assert_eq!(Claim::of(&request), Some(Err(Malformed)), "{header}");
        }
        assert_eq!(Claim::of(&incoming("GET /", &date, "")), None);
    }
}
