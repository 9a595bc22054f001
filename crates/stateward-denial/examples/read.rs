//! Reads any text on standard input and writes what it tells, one problem a line.

use std::io::{Read, Write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text)?;
    let mut out = std::io::stdout().lock();
    for problem in stateward_denial::read(&text) {
        writeln!(out, "{}", serde_json::to_string(&problem)?)?;
    }
    Ok(())
}
