//! What S3 answers before it asks any policy: that a bucket is in another Region, or somebody else's than was expected.

use crate::answer::Refused;
use crate::incoming::Incoming;
use crate::world::World;

/// How a request names a bucket.
pub(crate) struct Addressed<'a> {
    pub(crate) request: &'a Incoming,
    /// AWS's name for what is asked.
    pub(crate) operation: &'a str,
    /// The Region in the signature, whose endpoint the lab stands for. Nobody who does not sign names one.
    pub(crate) region: Option<&'a str>,
    /// The caller's account.
    pub(crate) account: Option<&'a str>,
}

impl Addressed<'_> {
    /// Why S3 does not go on.
    pub(crate) fn refused(&self, world: &World) -> Option<Refused> {
        let (name, _) = self.request.bucket_and_key();
        let bucket = world.buckets.get(&name);
        let owner = bucket.and_then(|bucket| bucket.account.as_deref());
        if self.operation == "CreateBucket" {
            return owner.filter(|owner| self.account != Some(*owner)).map(|_| taken(&name));
        }
        let region = bucket.and_then(|bucket| bucket.region.as_deref());
        let elsewhere = region.filter(|region| self.region.is_some_and(|asked| asked != *region));
        if let Some(region) = elsewhere {
            return Some(moved(&name, region));
        }
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
        let expected = self.request.header("x-amz-expected-bucket-owner")?;
        let owned = owner.or(self.account) == Some(expected);
        (!owned).then(|| Refused::new(403, "AccessDenied", "Access Denied"))
    }
}

fn taken(name: &str) -> Refused {
    let message = "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Select a different name and try again.";
    Refused { details: vec![("BucketName", name.to_owned())], ..Refused::new(409, "BucketAlreadyExists", message) }
}

/// There is no `Location`: where to go stands in the document, and the Region in a header, which the answer to a HEAD has too.
fn moved(name: &str, region: &str) -> Refused {
    let message = "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.";
    let endpoint = format!("{name}.s3.{region}.amazonaws.com");
    Refused {
        headers: vec![("x-amz-bucket-region", region.to_owned())],
        details: vec![("Endpoint", endpoint), ("Bucket", name.to_owned())],
        ..Refused::new(301, "PermanentRedirect", message)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Config;
    use crate::incoming::tests::incoming;

    #[test]
    fn buckets_that_are_not_reached() {
        let config = json!({ "buckets": [{ "name": "b", "account": "111111111111", "region": "eu-west-1" }] });
        let config: Config = config.to_string().parse().expect("a configuration");
        let world = config.compile(&|_| unreachable!()).expect("a world");
        let code = |line: &str, operation: &str, region: Option<&str>, account: &str, expected: Option<&str>| {
            let headers: Vec<_> = expected.map(|owner| ("x-amz-expected-bucket-owner", owner)).into_iter().collect();
            let request = incoming(line, &headers, "");
            let addressed = Addressed { request: &request, operation, region, account: Some(account) };
            addressed.refused(&world).map(|refused| refused.code)
        };
        let (ours, theirs, here) = ("111111111111", "222222222222", Some("eu-west-1"));
        assert_eq!(code("GET /b/k", "GetObject", here, theirs, None), None, "policies decide");
        assert_eq!(code("GET /b/k", "GetObject", Some("us-east-1"), ours, None), Some("PermanentRedirect"));
        assert_eq!(code("GET /b/k", "GetObject", None, ours, None), None);
        assert_eq!(code("GET /b/k", "GetObject", here, ours, Some(ours)), None);
        assert_eq!(code("GET /b/k", "GetObject", here, theirs, Some(theirs)), Some("AccessDenied"));
        assert_eq!(code("GET /c/k", "GetObject", Some("us-east-1"), theirs, Some(theirs)), None, "nobody described it");
        assert_eq!(code("GET /c/k", "GetObject", here, theirs, Some(ours)), Some("AccessDenied"));
        assert_eq!(code("PUT /b", "CreateBucket", Some("us-east-1"), ours, None), None, "the server behind says that");
        assert_eq!(code("PUT /b", "CreateBucket", here, theirs, None), Some("BucketAlreadyExists"));
        assert_eq!(code("PUT /c", "CreateBucket", here, theirs, None), None);
    }
}
