//! Patterns that name one or more addresses.

/// An instance (`x.y["k"]`), a resource with all its instances (`x.y`), a module with everything below it (`module.a`
/// with all its instances, `module.a["x"]`), or an output (`output.NAME`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressPattern {
    text: String,
    /// Whether what follows a `[` belongs to the pattern too.
    any_key: bool,
    /// Whether it names a module.
    module: bool,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an address: {problem} at byte {offset}; give an instance (`aws_s3_bucket.b[\"k\"]`, `module.a.data.x.y[0]`), \
     a whole resource (`aws_s3_bucket.b`), a module (`module.a`, `module.a[\"x\"]`) or an output (`output.NAME`)"
)]
pub struct PatternError {
    /// What is wrong.
    problem: &'static str,
    /// Where, in bytes from the start of the text.
    offset: usize,
}

/// A `name` or a `[key]` of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step<'a> {
    Name(&'a str),
    Key,
}

impl AddressPattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (address, deposed) = match text.split_once(" (deposed ") {
            Some((address, rest))
                if rest
                    .strip_suffix(')')
                    .is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric())) =>
            {
                (address, true)
            }
            _ => (text, false),
        };
        let problem = |problem| PatternError { problem, offset: address.len() };
        let steps = steps(address)?;
        let mut rest = steps.as_slice();
        let mut modules = 0;
        while let [Step::Name("module"), Step::Name(_), after @ ..] = rest {
            modules += 1;
            rest = if let [Step::Key, after @ ..] = after { after } else { after };
        }
        let keyed = address.ends_with(']');
        let pattern = |any_key, module| Ok(Self { text: text.to_owned(), any_key, module });
        match rest {
            [] if modules > 0 && !deposed => pattern(!keyed, true),
            [Step::Name("output"), Step::Name(_)] if modules == 0 && !deposed => pattern(false, false),
            [Step::Name("output"), Step::Name(_)] if modules > 0 => {
                Err(problem("only the root module has outputs in a state"))
            }
            [] | [Step::Name(_)] | [Step::Name("data"), Step::Name(_)] => Err(problem("the address ends too early")),
            [Step::Name("data" | "managed"), Step::Name(_), Step::Name(_), key @ ..]
            | [Step::Name(_), Step::Name(_), key @ ..]
                if matches!(key, [] | [Step::Key]) =>
            {
                pattern(key.is_empty() && !deposed, false)
            }
            _ => Err(problem("too many parts")),
        }
    }

    /// Whether the pattern covers an address as this crate writes them.
    pub fn matches(&self, address: &str) -> bool {
        let Some(rest) = address.strip_prefix(self.text.as_str()) else { return false };
        match rest.bytes().next() {
            None => true,
            Some(b'[') => self.any_key,
            Some(b'.') => self.module,
            // An instance does not cover its deposed objects: they are addresses of their own.
            Some(b' ') => self.any_key && !self.module,
            Some(_) => false,
        }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl std::fmt::Display for AddressPattern {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl std::str::FromStr for AddressPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

fn steps(address: &str) -> Result<Vec<Step<'_>>, PatternError> {
    let mut steps = Vec::new();
    let mut rest = address;
    loop {
        let offset = address.len() - rest.len();
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if name.is_empty()
            || !name.chars().all(|character| character.is_alphanumeric() || matches!(character, '_' | '-'))
        {
            return Err(PatternError { problem: "a name of letters, digits, `_` and `-` is missing", offset });
        }
        steps.push(Step::Name(name));
        rest = after;
        if rest.starts_with('[') {
            let offset = address.len() - rest.len();
            let length = key_length(rest)
                .ok_or(PatternError { problem: "a key such as `[0]` or `[\"k\"]` is not complete", offset })?;
            steps.push(Step::Key);
            rest = rest.get(length..).unwrap_or_default();
        }
        if rest.is_empty() {
            return Ok(steps);
        }
        let offset = address.len() - rest.len();
        rest = rest.strip_prefix('.').ok_or(PatternError { problem: "`.` or the end is missing", offset })?;
    }
}

/// The length of the `[0]` or `["k"]` that a text starts with.
fn key_length(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('[')?;
    let Some(quoted) = inner.strip_prefix('"') else {
        let (digits, _) = inner.split_once(']')?;
        let unsigned = digits.strip_prefix('-').unwrap_or(digits);
        let valid = !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit());
        return valid.then_some(digits.len() + 2);
    };
    let mut escaped = false;
    for (index, byte) in quoted.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return quoted.get(index + 1..)?.starts_with(']').then_some(index + 4),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, address: &str) -> bool {
        AddressPattern::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}")).matches(address)
    }

    #[test]
    fn an_instance_matches_itself_only() {
        assert!(matches("x.y[\"k\"]", "x.y[\"k\"]"));
        assert!(!matches("x.y[\"k\"]", "x.y[\"kk\"]"));
        assert!(!matches("x.y[\"k\"]", "x.y[\"k\"] (deposed 1234abcd)"));
        assert!(matches("x.y[1]", "x.y[1]"));
        assert!(!matches("x.y[1]", "x.y[10]"));
        assert!(matches("x.y (deposed 1234abcd)", "x.y (deposed 1234abcd)"));
        assert!(!matches("x.y (deposed 1234abcd)", "x.y"));
        assert!(matches("x.y[\"a.b]\\\"\"]", "x.y[\"a.b]\\\"\"]"));
    }

    #[test]
    fn a_resource_matches_its_instances() {
        for address in ["x.y", "x.y[0]", "x.y[\"k\"]", "x.y (deposed 1234abcd)", "x.y[0] (deposed 1234abcd)"] {
            assert!(matches("x.y", address), "{address}");
        }
        for address in ["x.yy", "x.y2[0]", "data.x.y", "module.a.x.y", "x.y.z"] {
            assert!(!matches("x.y", address), "{address}");
        }
        assert!(matches("module.a[\"x\"].data.x.y", "module.a[\"x\"].data.x.y[0]"));
    }

    #[test]
    fn a_module_matches_all_below_it() {
        for address in ["module.a.x.y", "module.a[0].x.y[\"k\"]", "module.a.module.b.x.y", "module.a.data.x.y"] {
            assert!(matches("module.a", address), "{address}");
        }
        assert!(!matches("module.a", "module.ab.x.y"));
        assert!(matches("module.a[\"x\"]", "module.a[\"x\"].x.y"));
        assert!(!matches("module.a[\"x\"]", "module.a[\"xy\"].x.y"));
        assert!(!matches("module.a[0]", "module.a.x.y"));
    }

    #[test]
    fn an_output_matches_itself_only() {
        assert!(matches("output.a", "output.a"));
        assert!(!matches("output.a", "output.ab"));
        assert!(!matches("output.a", "output.a[0]"));
    }

    #[test]
    fn what_is_no_address_says_what_is_expected() {
        for text in [
            "",
            "x",
            "x.",
            ".y",
            "x.y.z",
            "x.y[",
            "x.y[]",
            "x.y[\"k]",
            "x.y[k]",
            "data.x",
            "module",
            "module.a.x",
            "x.y[0][1]",
            "x y.z",
            "module.a.output.x",
            "x.y[0]z",
            "module.a (deposed 1)",
        ] {
            let error = AddressPattern::parse(text).expect_err(text);
            assert!(error.to_string().contains("a whole resource"), "{text}");
        }
    }
}
