//! Strings of policies: text, wildcards, and variables that the request fills in.

use std::borrow::Cow;

use super::glob::{self, Bit};

/// `${key}` or `${key, 'default'}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variable {
    /// In lower case: names of keys do not tell case.
    pub(crate) key: String,
    pub(crate) default: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    One,
    Any,
    Variable(Variable),
}

/// Which characters of a string are special.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Syntax {
    /// `*` and `?`.
    pub(crate) wildcards: bool,
    /// `${…}`: only policies of version 2012-10-17 have them.
    pub(crate) variables: bool,
}

/// What a variable stands for in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filled<'a> {
    Text(&'a str),
    /// The request has no such key, or several values of it.
    Missing,
    /// The request may or may not have it, with any value.
    Unknown,
}

/// A compiled string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
    has_variables: bool,
}

impl Template {
    pub(crate) fn compile(source: &str, syntax: Syntax) -> Self {
        let mut compiler = Compiler { pieces: Vec::new(), text: String::new() };
        compiler.run(source, syntax);
        Self::from(compiler.pieces)
    }

    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    pub(crate) fn has_variables(&self) -> bool {
        self.has_variables
    }

    /// The keys that its variables ask for, in lower case.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Variable(variable) => Some(variable),
            _ => None,
        })
    }

    pub(crate) fn ends_with_any(&self) -> bool {
        self.pieces.last() == Some(&Piece::Any)
    }

    /// Nothing but `*`.
    pub(crate) fn is_everything(&self) -> bool {
        !self.pieces.is_empty() && self.pieces.iter().all(|piece| *piece == Piece::Any)
    }

    /// Whether a text matches; for templates without variables.
    pub(crate) fn matches_plain(&self, text: &str) -> bool {
        let bit = |at: usize| self.pieces.get(at).map_or(Bit::Text(""), plain_bit);
        glob::matches(self.pieces.len(), bit, text)
    }

    /// With its variables filled in; characters that come from a request are never wildcards. The error is what the
    /// first variable without a value stands for.
    pub(crate) fn fill<'a>(
        &'a self,
        mut value: impl FnMut(&'a Variable) -> Filled<'a>,
    ) -> Result<Vec<Bit<'a>>, Filled<'a>> {
        let fill = |piece: &'a Piece| match piece {
            Piece::Variable(variable) => match value(variable) {
                Filled::Text(text) => Ok(Bit::Text(text)),
                other => Err(other),
            },
            piece => Ok(plain_bit(piece)),
        };
        self.pieces.iter().map(fill).collect()
    }

    /// In lower case, defaults of variables too.
    pub(crate) fn lowercase(self) -> Self {
        let lower = |piece| match piece {
            Piece::Text(text) => Piece::Text(text.to_lowercase()),
            Piece::Variable(Variable { key, default }) => {
                Piece::Variable(Variable { key, default: default.map(|default| default.to_lowercase()) })
            }
            piece => piece,
        };
        Self::from(self.pieces.into_iter().map(lower).collect::<Vec<_>>())
    }

    /// Cut at the first colons of its text into at most so many templates.
    pub(crate) fn split_colons(&self, limit: usize) -> Vec<Self> {
        let mut segments: Vec<Vec<Piece>> = vec![Vec::new()];
        for piece in &self.pieces {
            let Piece::Text(text) = piece else {
                push(&mut segments, piece.clone());
                continue;
            };
            let room = limit.saturating_sub(segments.len());
            for (number, part) in text.splitn(room + 1, ':').enumerate() {
                if number > 0 {
                    segments.push(Vec::new());
                }
                if !part.is_empty() {
                    push(&mut segments, Piece::Text(part.to_owned()));
                }
            }
        }
        segments.into_iter().map(Self::from).collect()
    }
}

impl From<Vec<Piece>> for Template {
    fn from(pieces: Vec<Piece>) -> Self {
        let has_variables = pieces.iter().any(|piece| matches!(piece, Piece::Variable(_)));
        Self { pieces, has_variables }
    }
}

fn push(segments: &mut [Vec<Piece>], piece: Piece) {
    if let Some(last) = segments.last_mut() {
        last.push(piece);
    }
}

fn plain_bit(piece: &Piece) -> Bit<'_> {
    match piece {
        Piece::Text(text) => Bit::Text(text),
        Piece::One => Bit::One,
        Piece::Any => Bit::Any,
        // A variable that is not filled in must not match anything: no ARN or value holds a NUL.
        Piece::Variable(_) => Bit::Text("\0"),
    }
}

struct Compiler {
    pieces: Vec<Piece>,
    text: String,
}

impl Compiler {
    fn run(&mut self, source: &str, syntax: Syntax) {
        let mut rest = source;
        while let Some(at) = memchr::memchr3(b'*', b'?', b'$', rest.as_bytes()) {
            let (plain, special) = rest.split_at(at);
            self.text.push_str(plain);
            if syntax.variables
                && let Some(inner) = special.strip_prefix("${")
                && let Some((inside, after)) = inner.split_once('}')
            {
                self.variable(inside);
                rest = after;
                continue;
            }
            let (special, after) = special.split_at(1);
            match special {
                "*" if syntax.wildcards => self.wildcard(Piece::Any),
                "?" if syntax.wildcards => self.wildcard(Piece::One),
                _ => self.text.push_str(special),
            }
            rest = after;
        }
        self.text.push_str(rest);
        self.flush();
    }

    fn variable(&mut self, inside: &str) {
        // `${*}`, `${?}` and `${$}` write the characters themselves.
        if matches!(inside, "*" | "?" | "$") {
            self.text.push_str(inside);
            return;
        }
        self.flush();
        let (key, default) = match inside.split_once(',') {
            Some((key, default)) => (key, unquote(default.trim())),
            None => (inside, None),
        };
        let default = default.map(Cow::into_owned);
        self.pieces.push(Piece::Variable(Variable { key: key.trim().to_ascii_lowercase(), default }));
    }

    fn wildcard(&mut self, piece: Piece) {
        self.flush();
        // `**` is `*`.
        if piece != Piece::Any || self.pieces.last() != Some(&Piece::Any) {
            self.pieces.push(piece);
        }
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.pieces.push(Piece::Text(std::mem::take(&mut self.text)));
        }
    }
}

fn unquote(default: &str) -> Option<Cow<'_, str>> {
    default.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).map(Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIKE: Syntax = Syntax { wildcards: true, variables: true };

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    fn variable(key: &str, default: Option<&str>) -> Piece {
        Piece::Variable(Variable { key: key.to_owned(), default: default.map(str::to_owned) })
    }

    #[test]
    fn strings_are_cut_into_pieces() {
        for (source, expected) in [
            ("", vec![]),
            ("a*?", vec![text("a"), Piece::Any, Piece::One]),
            ("a**b", vec![text("a"), Piece::Any, text("b")]),
            ("${AWS:UserName}/*", vec![variable("aws:username", None), text("/"), Piece::Any]),
            ("${*}${?}${$}", vec![text("*?$")]),
            ("${ aws:PrincipalTag/Team , 'x y' }", vec![variable("aws:principaltag/team", Some("x y"))]),
            ("${a, unquoted}", vec![variable("a", None)]),
            ("a${b", vec![text("a${b")]),
            ("$x}", vec![text("$x}")]),
        ] {
            assert_eq!(Template::compile(source, LIKE).pieces, expected, "{source}");
        }
    }

    #[test]
    fn what_is_not_special_means_itself() {
        let none = Syntax { wildcards: false, variables: false };
        assert_eq!(Template::compile("${aws:username}*?", none).pieces, [text("${aws:username}*?")]);
    }

    #[test]
    fn filled_in_wildcards_are_literal() {
        let template = Template::compile("a${k}*", LIKE);
        let bits = template.fill(|_| Filled::Text("*")).expect("filled");
        assert!(glob::matches_all(&bits, "a*x") && !glob::matches_all(&bits, "abx"));
        assert_eq!(template.fill(|_| Filled::Missing), Err(Filled::Missing));
        assert!(!template.matches_plain("a"), "unfilled it matches nothing");
    }

    #[test]
    fn splitting_minds_only_colons_of_the_text() {
        let parts = Template::compile("arn:*:s3:::b/${aws:username}:x:y", LIKE).split_colons(6);
        assert_eq!(parts.len(), 6);
        assert_eq!(parts[1].pieces, [Piece::Any]);
        assert_eq!(parts[3].pieces, []);
        assert_eq!(parts[5].pieces, [text("b/"), variable("aws:username", None), text(":x:y")]);
        assert_eq!(Template::compile("a:b", LIKE).split_colons(6).len(), 2);
    }
}
