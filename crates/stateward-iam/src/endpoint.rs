//! The policies of VPC endpoints: alone, or as AWS's command line prints those of several services.

use crate::eval::Named;
use crate::json::{self, Node, Value};
use crate::policy::{Policy, PolicyError, PolicyKind};
use crate::printed::decode_sent;

/// Why it is not known which policy the requests meet at their endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// A policy, or what is around it, cannot be read.
    #[error("{name}: {error}")]
    Policy {
        /// The file, and the endpoint in it.
        name: String,
        /// What is wrong; places are in the file, or in the policy where that is one string.
        error: Box<PolicyError>,
    },
    /// Part of an endpoint was left out when it was printed.
    #[error("the endpoint `{endpoint}` in `{file}` has no `{lacking}`")]
    Cut {
        /// Where.
        file: String,
        /// Which.
        endpoint: String,
        /// What it has in AWS's answer.
        lacking: &'static str,
    },
    /// Requests go through one of them.
    #[error("`{one}` and `{other}` are both endpoints of `{service}`, with different policies")]
    Differ {
        /// Of what.
        service: String,
        /// One.
        one: String,
        /// Another.
        other: String,
    },
    /// Of other services alone.
    #[error("no endpoint of {} is among them: {}", listed(wanted, " or "), of(found))]
    OfOthers {
        /// The services that requests go to.
        wanted: Vec<String>,
        /// Those that have an endpoint.
        found: Vec<String>,
    },
}

fn listed(services: &[String], between: &str) -> String {
    services.iter().map(|service| format!("`{service}`")).collect::<Vec<_>>().join(between)
}

fn of(services: &[String]) -> String {
    if services.is_empty() {
        "there are none at all".to_owned()
    } else {
        format!("they are of {}", listed(services, ", "))
    }
}

impl EndpointError {
    /// What to do about it.
    pub fn advice(&self) -> String {
        let print = "aws ec2 describe-vpc-endpoints";
        match self {
            Self::Policy { .. } => {
                format!(
                    "give the policy as AWS has it, or what `{print}` prints; nothing is said about what cannot be read exactly"
                )
            }
            Self::Cut { .. } => format!("print it whole: `{print}` without `--query`"),
            Self::Differ { .. } => {
                format!("print the one that requests go through: `{print} --vpc-endpoint-ids ID`")
            }
            Self::OfOthers { wanted, .. } => {
                let names: Vec<String> =
                    wanted.iter().map(|service| format!("com.amazonaws.REGION.{service}")).collect();
                format!(
                    "print those of the Region that state is kept in: `{print} --filters Name=service-name,Values={}`",
                    names.join(",")
                )
            }
        }
    }
}

/// The policies of endpoints in files, each a name and its text: a policy alone, which has a say about requests to any service, or what
/// `aws ec2 describe-vpc-endpoints` prints, of which each has a say about requests to its own. `services` are those that requests go to.
pub fn endpoint_policies(files: &[(&str, &str)], services: &[&str]) -> Result<Vec<Named>, EndpointError> {
    let mut reading = Reading { services, kept: Vec::new(), others: Vec::new() };
    for (file, text) in files {
        reading.file(file, text)?;
    }
    if reading.kept.is_empty() && !files.is_empty() {
        reading.others.sort_unstable();
        reading.others.dedup();
        let wanted = services.iter().map(|service| (*service).to_owned()).collect();
        return Err(EndpointError::OfOthers { wanted, found: reading.others });
    }
    Ok(reading.kept.into_iter().map(|kept| kept.named).collect())
}

struct Reading<'s> {
    services: &'s [&'s str],
    kept: Vec<Kept>,
    /// Services that nothing is asked of.
    others: Vec<String>,
}

struct Kept {
    endpoint: String,
    /// What the document says, however it is written.
    meaning: Option<serde_json::Value>,
    named: Named,
}

impl Reading<'_> {
    fn file(&mut self, file: &str, text: &str) -> Result<(), EndpointError> {
        let whole = |error| EndpointError::Policy { name: format!("`{file}`"), error: Box::new(error) };
        let node = json::parse(text).map_err(|error| whole(PolicyError::json(error)))?;
        let policy = match printed(&node) {
            None => Policy::parse_printed(text, PolicyKind::VpcEndpoint),
            // As if it stood alone: of which service it is was cut off.
            Some([endpoint])
                if endpoint.get("ServiceName").is_none()
                    && let Some(document) = endpoint.get("PolicyDocument") =>
            {
                Policy::from_printed(text, document, PolicyKind::VpcEndpoint)
            }
            Some(endpoints) => {
                return endpoints.iter().try_for_each(|endpoint| self.endpoint(file, text, endpoint, endpoints.len()));
            }
        };
        let named = Named { name: file.to_owned(), policy: policy.map_err(whole)? };
        self.kept.push(Kept { endpoint: file.to_owned(), meaning: None, named });
        Ok(())
    }

    /// One of those that a file prints.
    fn endpoint(&mut self, file: &str, text: &str, endpoint: &Node<'_>, of: usize) -> Result<(), EndpointError> {
        let id = endpoint.string("VpcEndpointId").unwrap_or("without an ID");
        let cut = |lacking| EndpointError::Cut { file: file.to_owned(), endpoint: id.to_owned(), lacking };
        let service = service_of(endpoint.string("ServiceName").ok_or_else(|| cut("ServiceName"))?);
        if !self.services.contains(&service) {
            self.others.push(service.to_owned());
            return Ok(());
        }
        let document = endpoint.get("PolicyDocument").ok_or_else(|| cut("PolicyDocument"))?;
        let malformed = |error| EndpointError::Policy { name: format!("`{file}` ({id})"), error: Box::new(error) };
        let policy = Policy::from_printed(text, document, PolicyKind::VpcEndpoint).map_err(malformed)?;
        let policy = Policy { service: Some(service.into()), ..policy };
        let name = if of > 1 { format!("{file} ({id})") } else { file.to_owned() };
        self.keep(Kept { endpoint: id.to_owned(), meaning: meaning(text, document), named: Named { name, policy } })
    }

    /// Endpoints of one service have one say, where they say the same.
    fn keep(&mut self, kept: Kept) -> Result<(), EndpointError> {
        let service = &kept.named.policy.service;
        match self.kept.iter().find(|known| known.named.policy.service == *service) {
            Some(known) if known.meaning == kept.meaning => {}
            Some(known) => {
                let (service, one) = (service.as_deref().unwrap_or_default().to_owned(), known.endpoint.clone());
                return Err(EndpointError::Differ { service, one, other: kept.endpoint });
            }
            None => self.kept.push(kept),
        }
        Ok(())
    }
}

/// The endpoints that a text prints, as a list, as one that was just made, or as one that was asked for by `--query`.
fn printed<'n, 't>(node: &'n Node<'t>) -> Option<&'n [Node<'t>]> {
    let is_endpoint = |node: &Node<'_>| node.get("ServiceName").is_some();
    match (node.get("VpcEndpoints"), node.get("VpcEndpoint"), &node.value) {
        (Some(Node { value: Value::Array(endpoints), .. }), _, _) | (None, None, Value::Array(endpoints)) => {
            Some(endpoints)
        }
        (None, Some(endpoint), _) => Some(std::slice::from_ref(endpoint)),
        _ => is_endpoint(node).then(|| std::slice::from_ref(node)),
    }
}

/// `s3` of `com.amazonaws.eu-west-1.s3`: it stands behind the Region. By FIPS it is the same service.
fn service_of(name: &str) -> &str {
    let is_region = |label: &str| {
        let number = label.rsplit_once('-').filter(|(place, _)| place.contains('-')).map(|(_, number)| number);
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let region = name.split('.').find(|label| is_region(label));
    let service = region.and_then(|region| name.split_once(region)?.1.strip_prefix('.')).unwrap_or(name);
    service.strip_suffix("-fips").unwrap_or(service)
}

fn meaning(text: &str, document: &Node<'_>) -> Option<serde_json::Value> {
    match &document.value {
        Value::String(sent) => serde_json::from_str(&decode_sent(sent)).ok(),
        _ => serde_json::from_str(text.get(document.at..document.end)?).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::service_of;

    #[test]
    fn the_service_of_a_name() {
        for (name, service) in [
            ("com.amazonaws.eu-west-1.s3", "s3"),
            ("com.amazonaws.us-gov-west-1.dynamodb", "dynamodb"),
            ("com.amazonaws.us-east-1.kms-fips", "kms"),
            ("cn.com.amazonaws.cn-north-1.ecr.api", "ecr.api"),
            ("com.amazonaws.vpce.eu-west-1.vpce-svc-0a1b", "vpce-svc-0a1b"),
            ("com.amazonaws.s3-global.accesspoint", "com.amazonaws.s3-global.accesspoint"),
            ("eu-west-1", "eu-west-1"),
            ("", ""),
        ] {
            assert_eq!(service_of(name), service, "{name}");
        }
    }
}
