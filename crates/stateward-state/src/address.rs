//! Addresses of instances and outputs, in Terraform's own syntax.

mod pattern;

use std::fmt::Write as _;

pub use pattern::{AddressPattern, PatternError};

/// What tells the instances of a resource apart: the `index_key` of a state file. Ordered as Terraform orders them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IndexKey {
    /// From `count`, in canonical digits.
    Int(i64),
    /// From `for_each`.
    String(String),
}

/// The fields of a resource that its address is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceName {
    /// The module instance as the state file spells it, such as `module.a["x"]`; empty for the root module.
    pub module: String,
    /// `managed` or `data`.
    pub mode: String,
    /// Such as `aws_s3_bucket`.
    pub r#type: String,
    /// The name in the configuration.
    pub name: String,
}

impl ResourceName {
    /// The address of the resource, without any instance.
    pub fn address(&self) -> String {
        let mut address = String::with_capacity(self.module.len() + self.r#type.len() + self.name.len() + 8);
        if !self.module.is_empty() {
            address.push_str(&self.module);
            address.push('.');
        }
        if self.mode != "managed" {
            address.push_str(&self.mode);
            address.push('.');
        }
        address.push_str(&self.r#type);
        address.push('.');
        address.push_str(&self.name);
        address
    }

    /// The address of an instance: `module.a["x"].aws_s3_bucket.b[0]`, with ` (deposed 1234abcd)` for a deposed object.
    pub fn instance(&self, key: Option<&IndexKey>, deposed: Option<&str>) -> String {
        let mut address = self.address();
        push_key(&mut address, key);
        if let Some(deposed) = deposed {
            // Writing to a string cannot fail.
            let _ = write!(address, " (deposed {deposed})");
        }
        address
    }
}

/// The address of a root output.
pub fn output(name: &str) -> String {
    format!("output.{name}")
}

fn push_key(address: &mut String, key: Option<&IndexKey>) {
    match key {
        None => {}
        Some(IndexKey::Int(index)) => {
            let _ = write!(address, "[{index}]");
        }
        Some(IndexKey::String(key)) => {
            address.push('[');
            push_quoted(address, key);
            address.push(']');
        }
    }
}

/// Appends a string as Terraform quotes it in addresses.
pub(crate) fn push_quoted(address: &mut String, text: &str) {
    address.push('"');
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '\n' => address.push_str("\\n"),
            '\r' => address.push_str("\\r"),
            '\t' => address.push_str("\\t"),
            '"' => address.push_str("\\\""),
            '\\' => address.push_str("\\\\"),
            '$' | '%' => {
                address.push(character);
                if rest.as_str().starts_with('{') {
                    address.push(character);
                }
            }
            _ if is_printable(character) => address.push(character),
            _ if u32::from(character) < 0x1_0000 => {
                let _ = write!(address, "\\u{:04x}", u32::from(character));
            }
            _ => {
                let _ = write!(address, "\\U{:08x}", u32::from(character));
            }
        }
    }
    address.push('"');
}

/// Whether a character is a letter, mark, number, punctuation, symbol or the space.
fn is_printable(character: char) -> bool {
    if character.is_ascii() {
        return !character.is_ascii_control();
    }
    // After another character, `escape_debug` escapes only what is not printable.
    let text: String = ['a', character].iter().collect();
    !text.escape_debug().any(|escaped| escaped == '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(module: &str, mode: &str) -> ResourceName {
        ResourceName { module: module.into(), mode: mode.into(), r#type: "aws_s3_bucket".into(), name: "b".into() }
    }

    #[test]
    fn addresses_are_those_of_terraform() {
        assert_eq!(name("", "managed").instance(None, None), "aws_s3_bucket.b");
        assert_eq!(name("", "data").instance(Some(&IndexKey::Int(3)), None), "data.aws_s3_bucket.b[3]");
        assert_eq!(
            name("module.a[\"x\"]", "managed").instance(Some(&IndexKey::String("k".into())), Some("1234abcd")),
            "module.a[\"x\"].aws_s3_bucket.b[\"k\"] (deposed 1234abcd)"
        );
        assert_eq!(name("module.a", "data").instance(None, None), "module.a.data.aws_s3_bucket.b");
    }

    #[test]
    fn keys_are_quoted_as_terraform_quotes_them() {
        for (text, expected) in [
            ("", r#""""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\n\r\t\u{1}\u{7f}", r#""\n\r\t\u0001\u007f""#),
            ("${x} %{y} $x % $", r#""$${x} %%{y} $x % $""#),
            ("$${", r#""$$${""#),
            ("é 漢 \u{301} 😀", "\"é 漢 \u{301} 😀\""),
            ("\u{200b}\u{a0}\u{e0001}", r#""\u200b\u00a0\U000e0001""#),
        ] {
            let mut quoted = String::new();
            push_quoted(&mut quoted, text);
            assert_eq!(quoted, expected);
        }
    }
}
