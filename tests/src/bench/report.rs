//! What a part of the benchmark found, kept as a file a part so that one can be run again without the others, and the
//! page that is made of all of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Serialize};

/// A bar of the design and what was measured against it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bar {
    /// What it is about.
    pub what: String,
    /// The bar.
    pub bar: String,
    /// What was measured.
    pub measured: String,
    /// Whether it is met; none where it is only reported.
    pub met: Option<bool>,
}

impl Bar {
    /// A bar that is met or not.
    pub fn judged(what: &str, bar: &str, measured: impl Into<String>, met: bool) -> Self {
        Self { what: what.to_owned(), bar: bar.to_owned(), measured: measured.into(), met: Some(met) }
    }

    /// A figure that is compared from outside.
    pub fn reported(what: &str, bar: &str, measured: impl Into<String>) -> Self {
        Self { what: what.to_owned(), bar: bar.to_owned(), measured: measured.into(), met: None }
    }
}

/// One part.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Section {
    /// Where it stands on the page.
    pub order: u32,
    /// Its title.
    pub title: String,
    /// Its text and tables.
    pub text: String,
    /// Bars it judges.
    pub bars: Vec<Bar>,
    /// When, on what and how it was run.
    pub run: String,
}

impl Section {
    /// An empty part.
    pub fn new(order: u32, title: &str) -> Self {
        Self { order, title: title.to_owned(), ..Self::default() }
    }

    /// Adds a paragraph.
    pub fn say(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push_str("\n\n");
    }

    /// Adds a table.
    pub fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
        self.text.push_str(&line(&head));
        self.text.push_str(&format!("|{}\n", " --- |".repeat(head.len())));
        for row in rows {
            self.text.push_str(&line(row));
        }
        self.text.push('\n');
    }
}

/// Keeps `section` as `name` in `folder`.
///
/// # Errors
/// Where it cannot be written.
pub fn keep(folder: &Path, name: &str, section: &Section) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join(format!("{name}.json")), serde_json::to_vec_pretty(section)?)
}

/// The page of all parts in `folder`.
///
/// # Errors
/// Where one cannot be read.
pub fn page(folder: &Path) -> io::Result<String> {
    let mut sections = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "json") {
            let section: Section = serde_json::from_slice(&fs::read(&path)?)?;
            sections.insert((section.order, section.title.clone()), section);
        }
    }
    let mut page = String::from(HEAD);
    page.push_str("## The bars\n\n| what | bar | measured | met |\n| --- | --- | --- | --- |\n");
    for bar in sections.values().flat_map(|section| &section.bars) {
        let met = match bar.met {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "reported",
        };
        // Writing into a text cannot fail.
        writeln!(page, "| {} | {} | {} | {met} |", bar.what, bar.bar, bar.measured).ok();
    }
    for (what, bar) in LATER {
        writeln!(page, "| {what} | {bar} | — | later: its family is not built yet |").ok();
    }
    page.push('\n');
    for section in sections.values() {
        write!(page, "## {}\n\n{}\n\n{}\n\n", section.title, section.run, section.text.trim_end()).ok();
    }
    Ok(format!("{}\n", page.trim_end()))
}

const HEAD: &str = "# Benchmarks\n\nWritten by `make bench` (`tests/src/bin/bench-process.rs`); do not edit by hand. Ratios are of one run on one \
machine and carry over better than times do. Functions run as real processes under a Lambda Runtime API on loopback; \
DynamoDB and the other services are the emulators of `infra/local`, which are faster than AWS: a request's time there is \
not a request's time on AWS, its CPU and its capacity units are. Pure rules have their own figures: `cargo bench -p \
satchel-tests`.\n\n";

const LATER: [(&str, &str); 4] = [
    ("notification accepted to frame on the socket, 50 a second among 1,000 sockets", "p99 ≤ 100 ms"),
    ("sockets held by one local process", "10,000"),
    ("analytics over 90 days", "≤ 200 ms"),
    ("relay, realtime, notifications, push, activity and mobile: cold start, size, memory", "as above"),
];
