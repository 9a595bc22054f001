//! What can be held of a state: an instance, a resource, a module, an output, or everything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Write as _};

/// A part of a state, written as an address. Where a key is left out, any is meant: `module.a.x.y` is `x.y` and each
/// `x.y[…]` in each instance of `module.a`. A module is all that is in and below it; `*` is everything, outputs included. An
/// instance is its deposed objects too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub(super) module: Vec<Call>,
    target: Target,
}

/// A step into a module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Call {
    pub(super) name: String,
    /// As it stands between the brackets; nothing means any.
    pub(super) key: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Target {
    /// The module itself; of the root module: everything.
    All,
    /// `x.y` or `data.x.y`, and its key.
    Resource(String, Option<String>),
    Output(String),
}

/// The text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address of an instance, a resource, a module or an output")]
pub struct NotAPlace(pub String);

/// A name and the key behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step<'a> {
    pub(super) name: &'a str,
    /// As it stands between the brackets. Nothing for `[*]`, where `keyed` is set.
    pub(super) key: Option<&'a str>,
    /// Whether brackets follow the name.
    pub(super) keyed: bool,
}

/// Cuts an address or a reference into its steps; only the first key behind a name is kept.
pub(super) fn steps(text: &str) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, after) = rest.split_at_checked(end)?;
        let valid = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-' | '*');
        if name.is_empty() || !name.chars().all(valid) {
            return None;
        }
        rest = after;
        let mut step = Step { name, key: None, keyed: false };
        while rest.starts_with('[') {
            let (key, after) = cut_key(rest)?;
            if !step.keyed {
                step.key = Some(key).filter(|key| *key != "*");
            }
            step.keyed = true;
            rest = after;
        }
        steps.push(step);
        if rest.is_empty() {
            return Some(steps);
        }
        rest = rest.strip_prefix('.')?;
    }
}

/// The key of a text that starts with `[`, and what follows the bracket that closes it.
fn cut_key(text: &str) -> Option<(&str, &str)> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b']' if !quoted => return Some((text.get(1..at)?, text.get(at + 1..)?)).filter(|(key, _)| !key.is_empty()),
            _ => {}
        }
    }
    None
}

/// The module calls that steps begin with, and the steps behind them.
pub(super) fn split_module<'a, 's>(steps: &'s [Step<'a>]) -> (Vec<Call>, &'s [Step<'a>]) {
    let mut module = Vec::new();
    let mut rest = steps;
    while let [Step { name: "module", keyed: false, .. }, call, after @ ..] = rest {
        module.push(Call { name: call.name.to_owned(), key: call.key.map(str::to_owned) });
        rest = after;
    }
    (module, rest)
}

impl Place {
    /// The whole state, outputs included.
    pub fn everything() -> Self {
        Self { module: Vec::new(), target: Target::All }
    }

    /// A root output.
    pub fn output(name: &str) -> Self {
        Self { module: Vec::new(), target: Target::Output(name.to_owned()) }
    }

    /// Reads an address as this crate and Terraform write them, that of a deposed object included (it stands for its
    /// instance), and all that a place is displayed as.
    pub fn parse(text: &str) -> Result<Self, NotAPlace> {
        let wrong = || NotAPlace(text.to_owned());
        if text == "*" {
            return Ok(Self::everything());
        }
        let address = match text.rsplit_once(" (deposed ") {
            Some((address, rest)) if rest.ends_with(')') && !rest.contains('"') => address,
            _ => text,
        };
        let steps = steps(address).ok_or_else(wrong)?;
        let (module, rest) = split_module(&steps);
        let target = match rest {
            [] if !module.is_empty() => Target::All,
            [Step { name: "output", keyed: false, .. }, output] if module.is_empty() && !output.keyed => {
                Target::Output(output.name.to_owned())
            }
            [Step { name: "data", keyed: false, .. }, kind, name] if !kind.keyed => {
                Target::Resource(format!("data.{}.{}", kind.name, name.name), name.key.map(str::to_owned))
            }
            [kind, name] if !kind.keyed && !matches!(kind.name, "data" | "module" | "output") => {
                Target::Resource(format!("{}.{}", kind.name, name.name), name.key.map(str::to_owned))
            }
            _ => return Err(wrong()),
        };
        Ok(Self { module, target })
    }

    pub(super) fn module(module: &[Call]) -> Self {
        Self { module: module.to_vec(), target: Target::All }
    }

    pub(super) fn resource(module: &[Call], bare: &str, key: Option<&str>) -> Self {
        Self { module: module.to_vec(), target: Target::Resource(bare.to_owned(), key.map(str::to_owned)) }
    }

    /// `x.y` or `data.x.y`, where it is a resource or an instance of one.
    pub(super) fn bare(&self) -> Option<&str> {
        match &self.target {
            Target::Resource(bare, _) => Some(bare),
            _ => None,
        }
    }

    /// Whether all of `other` is part of this.
    pub fn covers(&self, other: &Self) -> bool {
        self.relates(other, |mine, theirs| mine.is_none() || mine == theirs)
    }

    /// Whether some address may be part of both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let compatible =
            |mine: &Option<String>, theirs: &Option<String>| mine.is_none() || theirs.is_none() || mine == theirs;
        self.relates(other, compatible) || other.relates(self, compatible)
    }

    fn relates(&self, other: &Self, keys: impl Fn(&Option<String>, &Option<String>) -> bool) -> bool {
        let (mine, theirs) = (&self.module, &other.module);
        mine.len() <= theirs.len()
            && mine.iter().zip(theirs).all(|(mine, theirs)| mine.name == theirs.name && keys(&mine.key, &theirs.key))
            && match (&self.target, &other.target) {
                // The outputs of a state are those of its root module, so a module below it has none.
                (Target::All, _) => true,
                (Target::Resource(mine_bare, mine_key), Target::Resource(bare, key)) => {
                    mine.len() == theirs.len() && mine_bare == bare && keys(mine_key, key)
                }
                (Target::Output(mine), Target::Output(theirs)) => mine == theirs,
                _ => false,
            }
    }

    /// The address without any key, and those of the modules around it, the widest first.
    fn shelves(&self) -> Vec<String> {
        let mut shelf = String::new();
        let mut shelves = vec![shelf.clone()];
        for call in &self.module {
            let _ = write!(shelf, "module.{}.", call.name);
            shelves.push(shelf.clone());
        }
        match &self.target {
            Target::All => {}
            Target::Resource(bare, _) => shelves.push(shelf + bare),
            Target::Output(name) => shelves.push(shelf + "output." + name),
        }
        shelves
    }
}

impl Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for call in &self.module {
            write!(formatter, "{separator}module.{}", call.name)?;
            if let Some(key) = &call.key {
                write!(formatter, "[{key}]")?;
            }
            separator = ".";
        }
        match &self.target {
            Target::All if self.module.is_empty() => formatter.write_str("*"),
            Target::All => Ok(()),
            Target::Resource(bare, None) => write!(formatter, "{separator}{bare}"),
            Target::Resource(bare, Some(key)) => write!(formatter, "{separator}{bare}[{key}]"),
            Target::Output(name) => write!(formatter, "{separator}output.{name}"),
        }
    }
}

impl std::str::FromStr for Place {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// A set of places. Asking it costs what the address is long, however many places there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// By their address without keys.
    shelves: BTreeMap<String, BTreeSet<Place>>,
}

impl Places {
    /// Adds a place.
    pub fn insert(&mut self, place: Place) {
        let shelf = place.shelves().pop().unwrap_or_default();
        self.shelves.entry(shelf).or_default().insert(place);
    }

    /// All places, sorted by their address without keys.
    pub fn iter(&self) -> impl Iterator<Item = &Place> {
        self.shelves.values().flatten()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.shelves.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.shelves.values().map(BTreeSet::len).sum()
    }

    /// Whether an address of the instance index (`output.NAME` too) is part of a place. What is no address is covered only
    /// by everything.
    pub fn covers(&self, address: &str) -> bool {
        let place = Place::parse(address).unwrap_or_else(|_| Place::everything());
        self.around(&place).any(|mine| mine.covers(&place))
    }

    /// A place of this set and one of the other that have something in common. Costs what the smaller set holds.
    pub fn overlap<'a>(&'a self, other: &'a Self) -> Option<(&'a Place, &'a Place)> {
        if other.shelves.len() < self.shelves.len() {
            return other.overlap(self).map(|(theirs, mine)| (mine, theirs));
        }
        self.iter().find_map(|mine| {
            let mut near = other.around(mine).chain(other.below(mine));
            near.find(|theirs| mine.overlaps(theirs)).map(|theirs| (mine, theirs))
        })
    }

    /// The places that may be as wide as this one or wider.
    fn around(&self, place: &Place) -> impl Iterator<Item = &Place> {
        place.shelves().into_iter().filter_map(|shelf| self.shelves.get(&shelf)).flatten()
    }

    /// The places that may be in a module.
    fn below(&self, place: &Place) -> impl Iterator<Item = &Place> {
        let shelf = matches!(place.target, Target::All).then(|| place.shelves().pop().unwrap_or_default());
        shelf.into_iter().flat_map(|shelf| {
            let range = self.shelves.range(shelf.clone()..);
            range.take_while(move |(narrower, _)| narrower.starts_with(&shelf)).flat_map(|(_, places)| places)
        })
    }
}

impl Extend<Place> for Places {
    fn extend<I: IntoIterator<Item = Place>>(&mut self, places: I) {
        places.into_iter().for_each(|place| self.insert(place));
    }
}

impl FromIterator<Place> for Places {
    fn from_iter<I: IntoIterator<Item = Place>>(places: I) -> Self {
        let mut set = Self::default();
        set.extend(places);
        set
    }
}

#[cfg(test)]
mod tests;
