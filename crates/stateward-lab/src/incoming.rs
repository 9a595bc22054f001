//! A request as it came in.

use bytes::Bytes;
use percent_encoding::percent_decode_str;

/// A request as it came in, its body whole.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    /// In capitals.
    pub(crate) method: String,
    /// As it was sent, percent signs and all.
    pub(crate) path: String,
    /// What follows the question mark, as it was sent.
    pub(crate) query: String,
    /// Names in lower case, in the order in which they came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    /// The client's address.
    pub(crate) from: String,
}

impl Incoming {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The parameters of the query, decoded.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, String)> + '_ {
        url::form_urlencoded::parse(self.query.as_bytes()).into_owned()
    }

    /// A parameter of the query; empty where it has no value.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        self.parameters().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// The operation of a protocol that names it in a header: `DynamoDB_20120810.PutItem`.
    pub(crate) fn target(&self) -> Option<&str> {
        self.header("x-amz-target")?.rsplit('.').next()
    }

    /// With the bucket in the path, where the host's name has it.
    pub(crate) fn with_bucket_in_path(mut self) -> Self {
        if let Some(bucket) = self.header("host").and_then(bucket_of_host) {
            self.path = format!("/{bucket}{}", self.path);
        }
        self
    }

    /// The bucket and the key of a path, decoded; both may be empty.
    pub(crate) fn bucket_and_key(&self) -> (String, String) {
        let path = self.path.strip_prefix('/').unwrap_or(&self.path);
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        (decoded(bucket), decoded(key))
    }
}

/// The bucket in `BUCKET.s3.REGION.amazonaws.com:PORT` and `BUCKET.localhost:PORT`.
fn bucket_of_host(host: &str) -> Option<String> {
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    let of_aws = [".s3.", ".s3-"].iter().filter_map(|mark| name.find(mark)).min();
    let end = of_aws.or_else(|| name.strip_suffix(".localhost").map(str::len))?;
    name.get(..end).filter(|bucket| !bucket.is_empty()).map(str::to_owned)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A request in short: method and target, headers, body.
    pub(crate) fn incoming(line: &str, headers: &[(&str, &str)], body: &str) -> Incoming {
        let (method, target) = line.split_once(' ').expect("a method and a target");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Incoming {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            from: "203.0.113.9".to_owned(),
        }
    }

    #[test]
    fn a_bucket_is_found_in_the_host_or_the_path() {
        for (host, target, expected) in [
            ("127.0.0.1:4566", "/b/a/k%20x", ("b", "a/k x")),
            ("localhost:4566", "/b", ("b", "")),
            ("b.localhost:4566", "/a/k", ("b", "a/k")),
            ("b.c.s3.eu-west-1.amazonaws.com", "/a", ("b.c", "a")),
            ("s3.eu-west-1.amazonaws.com", "/b/a", ("b", "a")),
            ("127.0.0.1", "/", ("", "")),
        ] {
            let request = incoming(&format!("GET {target}"), &[("host", host)], "").with_bucket_in_path();
            let (bucket, key) = request.bucket_and_key();
            assert_eq!((bucket.as_str(), key.as_str()), expected, "{host} {target}");
        }
    }
}
