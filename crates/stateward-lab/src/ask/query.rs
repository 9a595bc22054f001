//! The query protocol of STS and IAM: parameters in the body, or in the address.

use crate::incoming::Incoming;

/// The parameters of a request, decoded.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn of(request: &Incoming) -> Self {
        let body = url::form_urlencoded::parse(&request.body).into_owned();
        Self(request.parameters().chain(body).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// `NAME.member.1.Key` and `NAME.member.1.Value`, in their order.
    pub(crate) fn pairs(&self, name: &str) -> Vec<(String, String)> {
        let member = |number: usize, part: &str| self.get(&format!("{name}.member.{number}.{part}")).map(str::to_owned);
        (1..).map_while(|number| Some((member(number, "Key")?, member(number, "Value").unwrap_or_default()))).collect()
    }
}
