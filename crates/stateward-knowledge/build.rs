//! Reads the entries, checks them, and embeds them as one document.

#[path = "build/compile.rs"]
mod compile;
#[path = "src/entry.rs"]
#[expect(dead_code, unreachable_pub, reason = "the build only reads and writes what the crate gives access to")]
mod entry;

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=entries");
    println!("cargo::rerun-if-changed=shared");
    println!("cargo::rerun-if-changed=documents.toml");
    // Cargo runs this in the crate's directory.
    let root = Path::new(".");
    let mut files = Vec::new();
    for directory in ["entries", "shared"] {
        collect(root, Path::new(directory), &mut files)?;
    }
    files.push(read(root, "documents.toml")?);
    match compile::compile(&files) {
        Ok(entries) => {
            fs::write(out_dir()?.join("entries.json"), serde_json::to_string(&entries)?)?;
        }
        Err(faults) => {
            for fault in faults {
                println!("cargo::error={fault}");
            }
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "cargo says by the environment alone where a build may write")]
fn out_dir() -> Result<PathBuf, &'static str> {
    env::var_os("OUT_DIR").map(PathBuf::from).ok_or("no output directory")
}

fn collect(root: &Path, directory: &Path, files: &mut Vec<compile::File>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(directory))? {
        let entry = entry?;
        let path = directory.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(root, &path, files)?;
        } else {
            files.push(read(root, &path.to_string_lossy())?);
        }
    }
    Ok(())
}

fn read(root: &Path, path: &str) -> io::Result<compile::File> {
    Ok(compile::File { path: path.replace('\\', "/"), text: fs::read_to_string(root.join(path))? })
}
