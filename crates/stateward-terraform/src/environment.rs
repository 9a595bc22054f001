//! The environment in which a tool finds its state. Pure.

/// Where a run's state is, for the tools' `http` backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// To read and write the state.
    pub state: String,
    /// To take its lock and give it back.
    pub lock: String,
}

/// Tries after the first that a tool makes before it gives up on saving a state, unless the user has chosen another number. They
/// take about half a minute; the tools' own 2 take three seconds.
const RETRIES: &str = "5";

/// Variables that would make a tool ask otherwise, or for something else. The workspace is part of the address.
pub const REMOVED: &[&str] = &["TF_WORKSPACE"];

/// The variables for a tool; `is_set` says which its user has set.
///
/// The address stays out of everything that the tools store. A user and a password would not do: the tools show those that are in the
/// environment to every other `http` state that the configuration reads, too.
pub fn variables(addresses: &Addresses, is_set: impl Fn(&str) -> bool) -> Vec<(&'static str, String)> {
    let mut variables = vec![
        ("TF_HTTP_ADDRESS", addresses.state.clone()),
        ("TF_HTTP_UPDATE_METHOD", "POST".to_owned()),
        ("TF_HTTP_LOCK_ADDRESS", addresses.lock.clone()),
        ("TF_HTTP_LOCK_METHOD", "LOCK".to_owned()),
        ("TF_HTTP_UNLOCK_ADDRESS", addresses.lock.clone()),
        ("TF_HTTP_UNLOCK_METHOD", "UNLOCK".to_owned()),
    ];
    if !is_set("TF_HTTP_RETRY_MAX") {
        variables.push(("TF_HTTP_RETRY_MAX", RETRIES.to_owned()));
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_set_and_what_the_user_chose_stays() {
        let addresses = Addresses { state: "s".into(), lock: "l".into() };
        let names = |set: &str| -> Vec<&'static str> {
            variables(&addresses, |name| name == set).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names("").len(), 7);
        assert!(names("").iter().all(|name| name.starts_with("TF_HTTP_")));
        assert!(!names("TF_HTTP_RETRY_MAX").contains(&"TF_HTTP_RETRY_MAX"));
    }
}
