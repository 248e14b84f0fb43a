//! The rules of the house that no compiler holds: which crate may lean on which, and which layer on which.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The packages of the workspace with the names of what they depend on in a build.
fn packages() -> Result<Vec<(String, BTreeSet<String>)>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata.get("packages").and_then(Value::as_array).context("packages")?;
    packages
        .iter()
        .map(|package| {
            let name = package.get("name").and_then(Value::as_str).context("name")?.to_owned();
            let dependencies =
                package.get("dependencies").and_then(Value::as_array).context("dependencies")?;
            let built = dependencies.iter().filter(|d| d.get("kind").is_none_or(Value::is_null));
            let names =
                built.filter_map(|d| d.get("name").and_then(Value::as_str)).map(str::to_owned);
            Ok((name, names.collect()))
        })
        .collect()
}

#[test]
fn crates_lean_only_on_those_below_them() -> Result<()> {
    const OURS: [&str; 6] =
        ["sync-protocol", "storage", "image-worker", "server", "tablet", "genba-tests"];
    let allowed = |name: &str| -> &[&str] {
        match name {
            "storage" | "image-worker" | "tablet" => &["sync-protocol"],
            "server" => &["storage", "image-worker", "sync-protocol"],
            "genba-tests" => &OURS,
            _ => &[],
        }
    };
    let packages = packages()?;
    ensure!(packages.len() == OURS.len(), "a crate came or went: {packages:?}");
    for (name, dependencies) in &packages {
        for other in OURS.iter().filter(|other| dependencies.contains(**other)) {
            ensure!(allowed(name).contains(other), "{name} leans on {other}");
        }
    }
    Ok(())
}

#[test]
fn the_core_has_neither_runtime_nor_database_and_axum_serves_only_in_server() -> Result<()> {
    for (name, dependencies) in packages()? {
        let has = |other: &str| dependencies.contains(other);
        match name.as_str() {
            "sync-protocol" => {
                for foreign in ["tokio", "sqlx", "axum", "reqwest", "rand", "getrandom", "hyper"] {
                    ensure!(!has(foreign), "sync-protocol depends on {foreign}");
                }
            }
            "server" | "genba-tests" => {}
            _ => ensure!(!has("axum"), "{name} depends on axum"),
        }
        ensure!(name != "server" || !has("sqlx"), "server names sqlx; only storage may");
    }
    Ok(())
}

/// Every Rust file below a folder, with its text.
fn sources(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path.clone(), std::fs::read_to_string(&path)?));
            }
        }
    }
    found.sort();
    Ok(found)
}

#[test]
fn a_lower_layer_never_imports_a_higher_one() -> Result<()> {
    let server = root().join("server/src");
    for (layer, higher) in [
        ("sync", &["crate::routes", "crate::cli", "crate::listen"][..]),
        ("auth", &["crate::routes", "crate::cli", "crate::listen", "crate::sync"]),
        ("live", &["crate::routes", "crate::cli", "crate::listen", "crate::sync"]),
        ("extract", &["crate::routes", "crate::cli", "crate::listen", "crate::sync"]),
    ] {
        for (path, text) in sources(&server.join(layer))? {
            for name in higher {
                ensure!(!text.contains(name), "{} imports {name}", path.display());
            }
        }
    }
    Ok(())
}

#[test]
fn routes_never_import_each_other() -> Result<()> {
    const SHARED: [&str; 4] = ["registry", "edge", "made", "openapi"];
    let routes = root().join("server/src/routes");
    let text = std::fs::read_to_string(routes.join("mod.rs"))?;
    let modules: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'))
        .filter(|module| !SHARED.contains(module))
        .collect();
    ensure!(modules.len() > 5, "the list of routes could not be read: {modules:?}");
    for (path, text) in sources(&routes)? {
        if path.ends_with("routes/mod.rs") {
            continue;
        }
        for module in &modules {
            for form in [format!("use super::{module}::"), format!("crate::routes::{module}::")] {
                ensure!(!text.contains(&form), "{} imports {module}", path.display());
            }
        }
    }
    Ok(())
}

#[test]
fn the_core_reads_no_clock_and_draws_no_chance() -> Result<()> {
    for (path, text) in sources(&root().join("sync-protocol/src"))? {
        for foreign in ["SystemTime", "std::time::Instant", "std::fs", "std::net", "thread::spawn"]
        {
            ensure!(!text.contains(foreign), "{} names {foreign}", path.display());
        }
    }
    Ok(())
}

#[test]
fn every_file_says_what_it_is() -> Result<()> {
    for folder in ["sync-protocol/src", "storage/src", "server/src", "tablet/src", "tests/src"] {
        for (path, text) in sources(&root().join(folder))? {
            ensure!(
                text.starts_with("//!") || text.starts_with("#!["),
                "{} has no first line of docs",
                path.display()
            );
        }
    }
    Ok(())
}

#[test]
fn migrations_come_in_pairs() -> Result<()> {
    let names = |engine: &str| -> Result<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        for entry in std::fs::read_dir(root().join("migrations").join(engine))? {
            names.insert(entry?.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    };
    ensure!(names("sqlite")? == names("postgres")?, "a migration stands alone");
    Ok(())
}
