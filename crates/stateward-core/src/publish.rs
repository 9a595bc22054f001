//! Whether a body may become the head: Terraform's rules of serial and lineage, kept by the server. Pure.

use crate::control::{Control, Head};
use crate::error::{Error, Kind};

/// What the rules look at in an incoming body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incoming<'a> {
    /// Terraform's serial.
    pub serial: u64,
    /// Terraform's lineage.
    pub lineage: &'a str,
    /// SHA-256 of the body, hexadecimal.
    pub sha256: &'a str,
}

/// The outcome for a body that may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It becomes a new version.
    New,
    /// The head has these very bytes: a repeated request.
    Same,
}

/// Decides. With `force`, serial and lineage may go anywhere; the history stays either way.
pub fn fits(control: &Control, incoming: Incoming<'_>, force: bool) -> Result<Fit, Error> {
    let Some(head) = &control.head else { return Ok(Fit::New) };
    if head.serial == incoming.serial && head.lineage == incoming.lineage && head.sha256 == incoming.sha256 {
        return Ok(Fit::Same);
    }
    if force { Ok(Fit::New) } else { check(head, incoming).map(|()| Fit::New) }
}

fn check(head: &Head, incoming: Incoming<'_>) -> Result<(), Error> {
    let refuse = |why: String, next: &str| Err(Error::new(Kind::Conflict, "the state was not stored", why, next));
    if head.lineage != incoming.lineage {
        return refuse(
            format!(
                "its lineage `{}` is not that of the state here, `{}`: it describes other infrastructure",
                incoming.lineage, head.lineage
            ),
            "check the address in the backend block; to replace the state all the same, use `stateward state push --force`",
        );
    }
    if incoming.serial < head.serial {
        return refuse(
            format!(
                "its serial {} is lower than {}, the serial of the state here: it is older",
                incoming.serial, head.serial
            ),
            "run the plan again on the current state; to go back to an old version, use `stateward state restore`",
        );
    }
    if incoming.serial == head.serial {
        return refuse(
            format!("the state here has the same serial {} and other content", head.serial),
            "somebody else wrote in between: run the plan again on the current state",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::Version;

    fn control() -> Control {
        let head = Head {
            version: Version(3),
            record: "r".into(),
            serial: 5,
            lineage: "L".into(),
            size: 1,
            sha256: "S".into(),
            md5: String::new(),
            resources: 0,
            opaque: false,
            created: jiff::Timestamp::UNIX_EPOCH,
            who: String::new(),
            body: stateward_store::body::Tree::default(),
            mark: None,
            index: None,
        };
        let mut control = Control::default();
        control.head = Some(head);
        control
    }

    fn try_it(serial: u64, lineage: &str, sha256: &str, force: bool) -> Result<Fit, Kind> {
        fits(&control(), Incoming { serial, lineage, sha256 }, force).map_err(|error| error.kind())
    }

    #[test]
    fn terraform_s_rules() {
        assert_eq!(try_it(6, "L", "T", false), Ok(Fit::New));
        assert_eq!(try_it(5, "L", "S", false), Ok(Fit::Same));
        assert_eq!(try_it(5, "L", "T", false), Err(Kind::Conflict));
        assert_eq!(try_it(4, "L", "T", false), Err(Kind::Conflict));
        assert_eq!(try_it(6, "M", "T", false), Err(Kind::Conflict));
        assert_eq!(try_it(4, "M", "T", true), Ok(Fit::New));
        assert_eq!(
            fits(&Control::default(), Incoming { serial: 1, lineage: "M", sha256: "T" }, false).unwrap(),
            Fit::New
        );
    }
}
