//! Answers in the form in which each service gives them.

use std::fmt::Write;

use crate::ask::Service;
use crate::caller::second;
use crate::web_identity::Claims;
use crate::world::Session;

/// An answer, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

/// An error that a service answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// More elements of S3's document.
    pub(crate) details: Vec<(&'static str, String)>,
    /// More headers.
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Refused {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: Vec::new(), headers: Vec::new() }
    }

    /// For a lack of rights.
    pub(crate) fn denied(service: Service, message: String) -> Self {
        match service {
            Service::Dynamodb | Service::Kms | Service::Organizations => {
                Self::new(400, "AccessDeniedException", message)
            }
            Service::S3 | Service::Sts | Service::Iam => Self::new(403, "AccessDenied", message),
        }
    }

    /// What the lab itself cannot do; no service of AWS says so in these words.
    pub(crate) fn not_understood(message: impl Into<String>) -> Self {
        Self::new(501, "NotImplemented", message)
    }

    pub(crate) fn answer(&self, service: Service, request_id: &str, method: &str) -> Answer {
        let body = match service {
            Service::S3 => self.s3(request_id),
            Service::Sts => self.query("https://sts.amazonaws.com/doc/2011-06-15/", request_id),
            Service::Iam => self.query("https://iam.amazonaws.com/doc/2010-05-08/", request_id),
            Service::Dynamodb if self.code == "ValidationException" => self.json("com.amazon.coral.validate#"),
            Service::Dynamodb => self.json("com.amazon.coral.service#"),
            Service::Kms | Service::Organizations => self.json(""),
        };
        let kind = kind(service);
        let id = if service == Service::S3 { "x-amz-request-id" } else { "x-amzn-requestid" };
        let mut headers = vec![("content-type", kind.to_owned()), (id, request_id.to_owned())];
        // The answer to a HEAD has no body: its reader learns the status alone.
        let body = if method == "HEAD" { String::new() } else { body };
        if service == Service::S3 {
            headers.push(("x-amz-id-2", request_id.to_lowercase()));
        }
        headers.extend(self.headers.iter().cloned());
        Answer { status: self.status, headers, body }
    }

    fn s3(&self, request_id: &str) -> String {
        let mut body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message>",
            self.code,
            escaped(&self.message)
        );
        for (name, value) in &self.details {
            // Writing to a string cannot fail.
            let _ = write!(body, "<{name}>{}</{name}>", escaped(value));
        }
        let host = request_id.to_lowercase();
        let _ = write!(body, "<RequestId>{request_id}</RequestId><HostId>{host}</HostId></Error>");
        body
    }

    fn query(&self, namespace: &str, request_id: &str) -> String {
        format!(
            "<ErrorResponse xmlns=\"{namespace}\">\n  <Error>\n    <Type>Sender</Type>\n    <Code>{}</Code>\n    <Message>{}</Message>\n  </Error>\n  <RequestId>{request_id}</RequestId>\n</ErrorResponse>\n",
            self.code,
            escaped(&self.message)
        )
    }

    fn json(&self, namespace: &str) -> String {
        let member = if self.code == "AccessDeniedException" { "Message" } else { "message" };
        serde_json::json!({ "__type": format!("{namespace}{}", self.code), member: self.message }).to_string()
    }
}

/// What a service's answers are.
fn kind(service: Service) -> &'static str {
    match service {
        Service::S3 => "application/xml",
        Service::Sts | Service::Iam => "text/xml",
        Service::Dynamodb => "application/x-amz-json-1.0",
        Service::Kms | Service::Organizations => "application/x-amz-json-1.1",
    }
}

/// What a service answers that speaks JSON.
pub(crate) fn json(service: Service, body: &serde_json::Value) -> Answer {
    Answer { status: 200, headers: vec![("content-type", kind(service).to_owned())], body: body.to_string() }
}

/// Text in XML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A document as a bucket's policy is answered.
pub(crate) fn policy(document: &str) -> Answer {
    Answer { status: 200, headers: vec![("content-type", "application/json".to_owned())], body: document.to_owned() }
}

pub(crate) fn nothing() -> Answer {
    Answer { status: 204, headers: Vec::new(), body: String::new() }
}

fn sts(operation: &str, result: &str, request_id: &str) -> Answer {
    let body = format!(
        "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <{operation}Result>\n{result}  </{operation}Result>\n  <ResponseMetadata>\n    <RequestId>{request_id}</RequestId>\n  </ResponseMetadata>\n</{operation}Response>\n"
    );
    let headers = vec![("content-type", "text/xml".to_owned()), ("x-amzn-requestid", request_id.to_owned())];
    Answer { status: 200, headers, body }
}

pub(crate) fn caller_identity(arn: &str, id: &str, account: &str, request_id: &str) -> Answer {
    let result = format!(
        "    <Arn>{}</Arn>\n    <UserId>{}</UserId>\n    <Account>{account}</Account>\n",
        escaped(arn),
        escaped(id)
    );
    sts("GetCallerIdentity", &result, request_id)
}

/// `token` is what an identity provider's said, where there was one.
pub(crate) fn assumed(session: &Session, id: &str, token: Option<&Claims>, request_id: &str) -> Answer {
    let credentials = &session.credentials;
    let result = format!(
        "    <AssumedRoleUser>\n      <Arn>{}</Arn>\n      <AssumedRoleId>{}</AssumedRoleId>\n    </AssumedRoleUser>\n    <Credentials>\n      <AccessKeyId>{}</AccessKeyId>\n      <SecretAccessKey>{}</SecretAccessKey>\n      <SessionToken>{}</SessionToken>\n      <Expiration>{}</Expiration>\n    </Credentials>\n",
        escaped(&session.arn()),
        escaped(id),
        credentials.access_key,
        credentials.secret_key,
        credentials.token.as_deref().unwrap_or_default(),
        second(session.expires),
    );
    let Some(token) = token else { return sts("AssumeRole", &result, request_id) };
    let result = format!(
        "{result}    <SubjectFromWebIdentityToken>{}</SubjectFromWebIdentityToken>\n    <Audience>{}</Audience>\n    <Provider>{}</Provider>\n",
        escaped(token.subject()),
        escaped(token.audience()),
        escaped(&token.provider(&session.role)),
    );
    sts("AssumeRoleWithWebIdentity", &result, request_id)
}
