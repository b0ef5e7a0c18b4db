//! What was seen, and `envoy/CLIENTS.md`, which says so.
//!
//! Of a cell that is red the document gives the reason; where a run sees other cells than it says,
//! one of the two is wrong. `UPDATE=1` writes what was seen.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::run::Seen;
use crate::support::python::target_folder;

const COLUMNS: &str = "| Tool | Operation | Envoy | `b2o serve` | Origin's bytes per stored byte | Remark |\n\
                       |---|---|---|---|---|---|\n";

/// What a person writes of a cell that is another one each time.
const SOMETIMES: &str = "at times";

/// What a busy machine may add to a figure: see [`super::EGRESS`].
const BUSY: f64 = 0.4;

/// What came of one operation.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) tool: &'static str,
    pub(super) version: String,
    /// Whether every run has that version.
    pub(super) pinned: bool,
    pub(super) operation: &'static str,
    /// In Envoy, and in `b2o serve`.
    pub(super) seen: [Seen; 2],
}

impl Row {
    fn faults(&self) -> [Option<&str>; 2] {
        self.seen.each_ref().map(|seen| seen.fault.as_deref())
    }

    fn egress(&self) -> f64 {
        self.seen.iter().map(|seen| seen.egress).fold(0.0, f64::max)
    }

    /// As it is kept: a bound in place of the figure, which is another one each time.
    fn kept(&self, kept: &Kept<'_>) -> String {
        let sometimes = kept.of(self).is_some_and(|cells| cells[..2].contains(&SOMETIMES));
        let cells = self.cells();
        let cells = if sometimes { self.named(SOMETIMES, SOMETIMES) } else { cells };
        format!("{cells} ≤ {} | {} |", bound(self.egress()), kept.remark(self))
    }

    /// Without the figure and the remark.
    fn cells(&self) -> String {
        let [envoy, serve] =
            self.faults().map(|fault| if fault.is_none() { "yes" } else { "**no**" });
        self.named(envoy, serve)
    }

    fn named(&self, envoy: &str, serve: &str) -> String {
        let Self { tool, version, operation, .. } = self;
        format!("| {tool} {version} | {operation} | {envoy} | {serve} |")
    }

    fn name(&self) -> (&str, &str) {
        (self.tool, self.operation)
    }

    /// What a person has to write a reason for.
    fn told(&self) -> String {
        let [envoy, serve] = self.faults().map(|fault| fault.map(|text| text.replace('|', "\\|")));
        match (envoy, serve) {
            (None, None) => String::new(),
            (Some(envoy), Some(serve)) if envoy == serve => envoy,
            (Some(envoy), Some(serve)) => format!("Envoy: {envoy}; serve: {serve}"),
            (Some(fault), None) => format!("Envoy: {fault}"),
            (None, Some(fault)) => format!("serve: {fault}"),
        }
    }
}

/// A figure as it is kept: at most 1.1, 2.1 and so on.
fn bound(egress: f64) -> String {
    format!("{:.1}", (egress - 0.1).ceil().max(1.0) + 0.1)
}

/// Compares a part of the document with what was seen.
///
/// # Panics
///
/// Where they differ, with each difference.
pub(super) fn compare(title: &str, rows: &[Row]) {
    let seen = rows.iter().fold(String::from(COLUMNS), |mut text, row| {
        let _ = writeln!(text, "{} {:.2} | {} |", row.cells(), row.egress(), row.told());
        text
    });
    println!("{seen}");
    let folder = target_folder().join("clients");
    fs::create_dir_all(&folder).expect("the target folder is writable");
    let file = folder.join(format!("{}.md", title.replace(' ', "-")));
    fs::write(&file, seen).expect("the target folder is writable");
    if std::env::var_os("CLIENTS").is_some() {
        return;
    }
    let path = document();
    let text = fs::read_to_string(&path).expect("the document of the tools");
    let (before, table, after) = split(&text, title);
    let kept = Kept::read(table);
    if std::env::var_os("UPDATE").is_some() {
        let table = rows.iter().fold(String::from(COLUMNS), |mut text, row| {
            let _ = writeln!(text, "{}", row.kept(&kept));
            text
        });
        fs::write(&path, format!("{before}{table}{after}")).expect("a file of the repository");
        return;
    }
    let differences = kept.differences(rows);
    assert!(
        differences.is_empty(),
        "{} says what is not so, or does not say why:\n{}\nAll that was seen is in {}. \
         UPDATE=1 writes it; the reasons are a person's to write.",
        path.display(),
        differences.join("\n"),
        file.display(),
    );
}

fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy/CLIENTS.md")
}

/// The text before a part's table, the table, and what stands behind it.
fn split<'a>(text: &'a str, title: &str) -> (&'a str, &'a str, &'a str) {
    let heading = text.find(&format!("## {title}\n")).expect("the document has that part");
    let start = text[heading..].find("\n| ").map_or(text.len(), |at| heading + at + 1);
    let end = text[start..].find("\n\n").map_or(text.len(), |at| start + at + 1);
    (&text[..start], &text[start..end], &text[end..])
}

/// The rows of a kept table: their cells behind the name, by tool and operation.
struct Kept<'a>(BTreeMap<(&'a str, &'a str), [&'a str; 4]>);

impl<'a> Kept<'a> {
    fn read(table: &'a str) -> Self {
        let rows = table.lines().skip(2).filter_map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" |").map(str::trim).collect();
            let [tool, operation, envoy, serve, egress, remark] = cells.try_into().ok()?;
            Some(((tool, operation), [envoy, serve, egress, remark]))
        });
        Self(rows.collect())
    }

    fn of(&self, row: &Row) -> Option<&[&'a str; 4]> {
        let (tool, operation) = row.name();
        let version = &row.version;
        let is_it = |kept: &str| match kept.strip_prefix(tool).and_then(|at| at.strip_prefix(' ')) {
            Some(kept) => kept == version || (!row.pinned && !kept.contains(' ')),
            None => false,
        };
        self.0.iter().find(|((tool, of), _)| *of == operation && is_it(tool)).map(|(_, row)| row)
    }

    /// The remark that a row keeps; where it has become red, what was seen.
    fn remark(&self, row: &Row) -> String {
        let was_red = self.of(row).is_some_and(|kept| kept[..2].contains(&"**no**"));
        let sometimes = self.of(row).is_some_and(|kept| kept[..2].contains(&SOMETIMES));
        let kept = self.of(row).map_or("", |kept| kept[3]);
        match (row.faults(), was_red) {
            ([..], _) if sometimes => kept.to_owned(),
            ([None, None], false) => kept.to_owned(),
            ([None, None], true) => String::new(),
            ([..], true) => kept.to_owned(),
            ([..], false) => row.told(),
        }
    }

    fn differences(&self, rows: &[Row]) -> Vec<String> {
        let mut differences = Vec::new();
        let mut differs = |row: &Row, text: String| {
            differences.push(format!("{} {}: {text}", row.tool, row.operation));
        };
        for row in rows {
            let Some([envoy, serve, egress, remark]) = self.of(row) else {
                differs(row, format!("not in the table, or another version: {}", row.cells()));
                continue;
            };
            for ((kept, fault), host) in
                [envoy, serve].iter().zip(row.faults()).zip(["Envoy", "serve"])
            {
                match (**kept, fault) {
                    ("yes", None) => {}
                    ("**no**" | SOMETIMES, Some(fault)) if remark.is_empty() => {
                        differs(row, format!("{host}: no reason is given; seen: {fault}"));
                    }
                    ("**no**" | SOMETIMES, Some(_)) | (SOMETIMES, None) => {}
                    (_, Some(fault)) => differs(row, format!("{host}: {fault}")),
                    (_, None) => differs(row, format!("{host}: works, and is said not to")),
                }
            }
            let limit = egress.trim_start_matches("≤ ").parse().unwrap_or(0.0);
            if row.egress() > limit + BUSY {
                differs(row, format!("the origin sends {:.2}, not {egress}", row.egress()));
            }
        }
        if self.0.len() != rows.len() {
            differences.push(format!("{} rows, and {} were seen", self.0.len(), rows.len()));
        }
        differences
    }
}
