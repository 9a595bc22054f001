//! The command line.

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// The sections to run; all where none is named.
    pub(super) sections: Vec<String>,
    /// The URL of a state on another server, for comparison.
    pub(super) peer: Option<String>,
    /// How often is repeated what a median is taken of.
    pub(super) runs: usize,
    /// The directory stays.
    pub(super) keep: bool,
    /// A missed goal is a failure.
    pub(super) strict: bool,
    pub(super) help: bool,
}

impl Options {
    /// Reads the arguments, given the names of the sections there are.
    pub(super) fn parse(arguments: &[String], known: &[&str]) -> Result<Self, String> {
        let mut options = Self { sections: Vec::new(), peer: None, runs: 5, keep: false, strict: false, help: false };
        let mut rest = arguments.iter().map(String::as_str);
        while let Some(argument) = rest.next() {
            let (flag, given) = argument.split_once('=').map_or((argument, None), |(flag, value)| (flag, Some(value)));
            let mut value = || given.or_else(|| rest.next()).ok_or_else(|| format!("`{flag}` wants a value"));
            match flag {
                "--peer" => options.peer = Some(value()?.to_owned()),
                "--runs" => {
                    let runs = value()?.parse().ok().filter(|runs| *runs > 0);
                    options.runs = runs.ok_or("`--runs` wants a number from 1 on")?;
                }
                "--keep" => options.keep = true,
                "--strict" => options.strict = true,
                "-h" | "--help" => options.help = true,
                section if known.contains(&section) => options.sections.push(section.to_owned()),
                other => return Err(format!("no section or flag `{other}`; the sections are {}", known.join(" "))),
            }
        }
        Ok(options)
    }

    /// Whether this section is to run.
    pub(super) fn includes(&self, section: &str) -> bool {
        self.sections.is_empty() || self.sections.iter().any(|named| named == section)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&arguments, &["locks", "large"])
    }

    #[test]
    fn without_sections_all_are_meant() {
        let options = parse("").unwrap();
        assert!(options.includes("locks") && options.runs == 5 && !options.strict && !options.keep);
        let options = parse("large --strict").unwrap();
        assert!(options.includes("large") && !options.includes("locks") && options.strict);
    }

    #[test]
    fn values_stand_beside_or_behind_their_flag() {
        let options = parse("--peer http://h:1/s --runs=3 --keep").unwrap();
        assert_eq!((options.peer.as_deref(), options.runs, options.keep), (Some("http://h:1/s"), 3, true));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert!(parse("lock").unwrap_err().contains("the sections are locks large"));
        for line in ["--fast", "--runs 0", "--runs x", "--runs", "--peer"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
