//! What control laws say about their parts in the report.

/// A list of parts of one kind that control laws report on, such as axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// The key of the list in the JSON report, plural.
    pub key: &'static str,
    /// The name of one part in the text report.
    pub label: &'static str,
    /// The parts.
    pub entries: Vec<SectionEntry>,
}

/// One part of a [`Section`] at the end of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct SectionEntry {
    /// Its name in the board file.
    pub name: String,
    /// Its state for the text report, one line.
    pub text: String,
    /// Its fields in the JSON report, beside its name.
    pub fields: Vec<(&'static str, Field)>,
}

/// A value in a [`SectionEntry`].
#[derive(Clone, Debug, PartialEq)]
pub enum Field {
    /// A text.
    Text(String),
    /// A number, in the unit at the end of its key.
    Number(f64),
}
