//! Layout of JSON that is moved from one state into another.

use crate::document::Style;

/// Starts a line at an indentation level.
pub(crate) fn new_line(level: usize, out: &mut Vec<u8>) {
    out.push(b'\n');
    out.extend(std::iter::repeat_n(b' ', level * 2));
}

/// Lays a valid JSON value out anew; literals stay as they are spelled. `level` is the level of the line it starts on.
pub(crate) fn restyle(raw: &[u8], style: Style, mut level: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() * 2);
    let mut bytes = raw.iter().copied().peekable();
    let indented = style == Style::Indented;
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => {}
            b'"' => {
                out.push(byte);
                while let Some(byte) = bytes.next() {
                    out.push(byte);
                    match byte {
                        b'\\' => out.extend(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            b'{' | b'[' => {
                out.push(byte);
                while bytes.next_if(u8::is_ascii_whitespace).is_some() {}
                if let Some(end) = bytes.next_if(|next| matches!(next, b'}' | b']')) {
                    out.push(end);
                } else {
                    level += 1;
                    if indented {
                        new_line(level, &mut out);
                    }
                }
            }
            b'}' | b']' => {
                level = level.saturating_sub(1);
                if indented {
                    new_line(level, &mut out);
                }
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                if indented {
                    new_line(level, &mut out);
                }
            }
            b':' if indented => out.extend_from_slice(b": "),
            _ => out.push(byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_those_of_terraform_and_opentofu() {
        let compact = br#"{"a":{},"b":[],"c":["x, {\"y\": 1}",{"d":1.0}],"e":null}"#;
        let indented = restyle(compact, Style::Indented, 0);
        let value: serde_json::Value = serde_json::from_slice(compact).expect("valid");
        assert_eq!(indented, serde_json::to_vec_pretty(&value).expect("serializable"));
        assert_eq!(restyle(&indented, Style::Compact, 0), compact);
        assert_eq!(restyle(b"[ ]", Style::Indented, 3), b"[]");
    }
}
