//! Crates as `cargo metadata` and `cargo tree` tell of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::ReadError;

/// Where a crate stands; a crate may depend on what stands lower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// `shared/domain`.
    Domain,
    /// `shared/store` and `shared/outbound`, which do not know each other.
    Reach,
    /// `shared/inbound`.
    Inbound,
    /// `functions/<family>`.
    Function,
    /// `infra/local`.
    Local,
    /// `shared/testkit`.
    Testkit,
    /// `tests`.
    Tests,
}

/// One crate of ours.
#[derive(Debug, Clone, Default)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its folder, from the root of the workspace.
    pub folder: PathBuf,
    /// Crates it depends on itself, outside of tests.
    pub dependencies: BTreeSet<String>,
    /// Crates its tests depend on.
    pub dev_dependencies: BTreeSet<String>,
    /// Crates it depends on at any distance, outside of tests; read for the domain alone.
    pub closure: BTreeSet<String>,
    /// Names of its binaries.
    pub binaries: BTreeSet<String>,
}

impl Package {
    /// Its layer by its folder, where the folder is one of the tree's.
    pub fn layer(&self) -> Option<Layer> {
        let folder = self.folder.to_str().unwrap_or_default().replace('\\', "/");
        match folder.as_str() {
            "shared/domain" => Some(Layer::Domain),
            "shared/store" | "shared/outbound" => Some(Layer::Reach),
            "shared/inbound" => Some(Layer::Inbound),
            "shared/testkit" => Some(Layer::Testkit),
            "infra/local" => Some(Layer::Local),
            "tests" => Some(Layer::Tests),
            _ if folder.strip_prefix("functions/").is_some_and(|family| !family.contains('/')) => Some(Layer::Function),
            _ => None,
        }
    }

    /// The family's name: its folder in `functions/`.
    pub fn family(&self) -> &str {
        self.folder.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<String, ReadError> {
    let output = Command::new("cargo").args(arguments).current_dir(root).output()?;
    if !output.status.success() {
        return Err(format!("cargo {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The workspace's crates.
///
/// # Errors
/// Where cargo fails.
pub fn read(root: &Path) -> Result<Vec<Package>, ReadError> {
    let text = cargo(root, &["metadata", "--format-version", "1", "--no-deps", "--offline"])?;
    let metadata: Value = serde_json::from_str(&text)?;
    let real_root = PathBuf::from(metadata["workspace_root"].as_str().unwrap_or_default());
    let mut packages: Vec<Package> = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|package| read_package(package, &real_root))
        .collect();
    let by_name: BTreeMap<String, Layer> =
        packages.iter().filter_map(|package| Some((package.name.clone(), package.layer()?))).collect();
    for package in &mut packages {
        if by_name.get(&package.name) == Some(&Layer::Domain) {
            package.closure = closure(root, &package.name)?;
        }
    }
    Ok(packages)
}

fn read_package(package: &Value, root: &Path) -> Package {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let manifest = PathBuf::from(text(&package["manifest_path"]));
    let folder = manifest.parent().unwrap_or(Path::new(""));
    let mut read = Package {
        name: text(&package["name"]),
        folder: folder.strip_prefix(root).unwrap_or(folder).to_owned(),
        ..Package::default()
    };
    for dependency in package["dependencies"].as_array().into_iter().flatten() {
        let list = if dependency["kind"] == "dev" { &mut read.dev_dependencies } else { &mut read.dependencies };
        list.insert(text(&dependency["name"]));
    }
    for target in package["targets"].as_array().into_iter().flatten() {
        if target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "bin")) {
            read.binaries.insert(text(&target["name"]));
        }
    }
    read
}

/// Names of everything `package` depends on outside of tests, with its own features only.
fn closure(root: &Path, package: &str) -> Result<BTreeSet<String>, ReadError> {
    let text = cargo(root, &["tree", "--package", package, "--edges", "normal", "--prefix", "none", "--offline"])?;
    let names = text.lines().filter_map(|line| line.split_whitespace().next());
    Ok(names.filter(|name| *name != package).map(str::to_owned).collect())
}
