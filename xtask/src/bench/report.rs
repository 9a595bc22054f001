//! One line a measurement.

use std::fmt;

/// A value with its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Quantity {
    PerSecond(f64),
    Millis(f64),
    Bytes(f64),
    Count(f64),
}

impl Quantity {
    fn amount(self) -> f64 {
        let (Self::PerSecond(amount) | Self::Millis(amount) | Self::Bytes(amount) | Self::Count(amount)) = self;
        amount
    }

    fn with_amount(self, amount: f64) -> Self {
        match self {
            Self::PerSecond(_) => Self::PerSecond(amount),
            Self::Millis(_) => Self::Millis(amount),
            Self::Bytes(_) => Self::Bytes(amount),
            Self::Count(_) => Self::Count(amount),
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PerSecond(rate) => write!(f, "{}/s", short(*rate)),
            Self::Millis(millis) if *millis >= 10_000.0 => write!(f, "{} s", short(millis / 1000.0)),
            Self::Millis(millis) => write!(f, "{} ms", short(*millis)),
            Self::Bytes(bytes) if *bytes < 1e6 => write!(f, "{} KB", short(bytes / 1e3)),
            Self::Bytes(bytes) => write!(f, "{} MB", short(bytes / 1e6)),
            Self::Count(count) => write!(f, "{}", short(*count)),
        }
    }
}

/// About three digits that count, and thousands apart.
fn short(number: f64) -> String {
    let decimals = match number.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    let text = format!("{number:.decimals$}");
    let whole = text.split('.').next().map_or(0, str::len);
    let mut out = String::new();
    for (place, digit) in text.char_indices() {
        if place > 0 && place < whole && (whole - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

/// A measurement. Its goal is one for the ratio where there is something to compare with, else for the value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    name: String,
    value: Quantity,
    samples: usize,
    against: Option<(String, Quantity)>,
    goal: Option<Goal>,
    /// What the goal's ratio is to, where that could not be measured.
    missing: Option<&'static str>,
}

impl Line {
    /// A value that was taken from so many samples.
    pub(super) fn new(name: impl Into<String>, value: Quantity, samples: usize) -> Self {
        Self { name: name.into(), value, samples, against: None, goal: None, missing: None }
    }

    /// Compared with this.
    pub(super) fn against(self, what: impl Into<String>, value: Quantity) -> Self {
        Self { against: Some((what.into(), value)), ..self }
    }

    /// Compared with this; where it could not be measured, the goal stays open.
    pub(super) fn against_if(self, what: &'static str, value: Option<Quantity>) -> Self {
        match value {
            Some(value) => self.against(what, value),
            None => Self { missing: Some(what), ..self },
        }
    }

    pub(super) fn at_least(self, goal: f64) -> Self {
        Self { goal: Some(Goal::AtLeast(goal)), ..self }
    }

    pub(super) fn at_most(self, goal: f64) -> Self {
        Self { goal: Some(Goal::AtMost(goal)), ..self }
    }

    fn ratio(&self) -> Option<f64> {
        let (_, other) = self.against.as_ref()?;
        Some(self.value.amount() / other.amount())
    }

    /// Whether the goal was reached, where there is one that can be judged.
    pub(super) fn is_met(&self) -> Option<bool> {
        let judged = self.ratio().unwrap_or(self.value.amount());
        match self.goal.filter(|_| self.missing.is_none())? {
            Goal::AtLeast(goal) => Some(judged >= goal),
            Goal::AtMost(goal) => Some(judged <= goal),
        }
    }

    fn goal_text(&self) -> String {
        let Some(goal) = self.goal else { return String::new() };
        let (sign, goal) = match goal {
            Goal::AtLeast(goal) => (">=", goal),
            Goal::AtMost(goal) => ("<=", goal),
        };
        if self.against.is_some() || self.missing.is_some() {
            return format!("{sign} {goal:.2} x");
        }
        format!("{sign} {}", self.value.with_amount(goal))
    }

    fn verdict(&self) -> String {
        match (self.is_met(), self.missing) {
            (Some(true), _) => "ok".to_owned(),
            (Some(false), _) => "MISSED".to_owned(),
            (None, Some(what)) => format!("(no {what} to compare with)"),
            (None, None) => String::new(),
        }
    }

    /// The line as it is printed.
    pub(super) fn render(&self, section: &str) -> String {
        let against = self.against.as_ref().map_or_else(String::new, |(what, value)| format!("{what} {value}"));
        let ratio = self.ratio().map_or_else(String::new, |ratio| format!("{ratio:.3} x"));
        let line = format!(
            "{section:8} {:44} {:>10}  {:>9}  {against:28} {ratio:>9}  {:>10}  {}",
            self.name,
            self.value.to_string(),
            format!("n={}", self.samples),
            self.goal_text(),
            self.verdict(),
        );
        line.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_short() {
        for (quantity, text) in [
            (Quantity::PerSecond(12_499.6), "12,500/s"),
            (Quantity::PerSecond(999.6), "1,000/s"),
            (Quantity::Millis(0.251), "0.25 ms"),
            (Quantity::Millis(326.4), "326 ms"),
            (Quantity::Millis(61_250.0), "61.2 s"),
            (Quantity::Bytes(1_034_567.0), "1.03 MB"),
            (Quantity::Bytes(20_100.0), "20.1 KB"),
            (Quantity::Count(1.0), "1.00"),
            (Quantity::PerSecond(1_234_567.0), "1,234,567/s"),
        ] {
            assert_eq!(quantity.to_string(), text);
        }
    }

    #[test]
    fn a_goal_is_for_the_ratio_where_there_is_one() {
        let line = Line::new("pairs", Quantity::PerSecond(400.0), 9).at_least(0.4);
        assert_eq!(line.clone().against("fdatasync", Quantity::PerSecond(1000.0)).is_met(), Some(true));
        assert_eq!(line.against("fdatasync", Quantity::PerSecond(1001.0)).is_met(), Some(false));
        let memory = Line::new("peak", Quantity::Bytes(97e6), 1).at_most(96e6);
        assert_eq!(memory.is_met(), Some(false));
        assert!(memory.render("large").ends_with("<= 96.0 MB  MISSED"), "{}", memory.render("large"));
    }

    #[test]
    fn a_goal_without_its_peer_stays_open() {
        let line = Line::new("POST", Quantity::Millis(300.0), 5).against_if("peer", None).at_most(1.25);
        assert_eq!(line.is_met(), None);
        assert!(line.render("large").ends_with("<= 1.25 x  (no peer to compare with)"));
    }

    #[test]
    fn columns_are_aligned() {
        let one = Line::new("a", Quantity::Count(1.0), 1).at_most(2.0).render("x");
        let two = Line::new("longer", Quantity::Millis(200.0), 1000)
            .against("b", Quantity::Millis(100.0))
            .at_most(3.0)
            .render("section");
        assert_eq!((one.len(), one.find("ok")), (two.len(), two.find("ok")), "{one}\n{two}");
    }
}
