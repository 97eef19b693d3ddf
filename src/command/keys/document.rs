//! A board file as a tree that can be modified and written as text.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The text of a value, or a table with its entries in the order of the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Value(String),
    Table(Vec<(String, Node)>),
}

impl Node {
    /// The tree of `text`; `None` if it is not TOML.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let document = DeTable::parse(text).ok()?;
        Some(Self::of_table(text, document.get_ref()))
    }

    fn of_table(text: &str, table: &DeTable<'_>) -> Self {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let entries = entries.into_iter().map(|(key, value)| {
            let key = key.get_ref().to_string();
            (key, Self::of_value(text, value))
        });
        Self::Table(entries.collect())
    }

    fn of_value(text: &str, value: &Spanned<DeValue<'_>>) -> Self {
        match value.get_ref() {
            DeValue::Table(table) => Self::of_table(text, table),
            _ => Self::Value(text.get(value.span()).unwrap_or_default().to_owned()),
        }
    }

    pub(super) fn entries(&self) -> &[(String, Self)] {
        match self {
            Self::Table(entries) => entries,
            Self::Value(_) => &[],
        }
    }

    /// The node at `path`, names joined by dots; the empty path is the file.
    pub(super) fn get(&self, path: &str) -> Option<&Self> {
        let mut node = self;
        for name in path.split('.').filter(|name| !name.is_empty()) {
            let found = node.entries().iter().find(|(key, _)| key == name);
            node = &found?.1;
        }
        Some(node)
    }

    /// Sets `key` of the table at `path` to `node`; missing tables are created.
    pub(super) fn set(&mut self, path: &str, key: &str, node: Self) {
        let names = path.split('.').filter(|name| !name.is_empty());
        let mut at = self;
        for name in names.chain([key]) {
            if !matches!(at, Self::Table(_)) {
                *at = Self::Table(Vec::new());
            }
            let Self::Table(entries) = at else { return };
            let index = entries.iter().position(|(key, _)| key == name);
            let index = index.unwrap_or_else(|| {
                entries.push((name.to_owned(), Self::Table(Vec::new())));
                entries.len() - 1
            });
            at = &mut entries[index].1;
        }
        *at = node;
    }

    /// Removes `key` of the table at `path`.
    pub(super) fn remove(&mut self, path: &str, key: &str) {
        let mut at = self;
        for name in path.split('.').filter(|name| !name.is_empty()) {
            let Self::Table(entries) = at else { return };
            let found = entries.iter_mut().find(|(key, _)| key == name);
            let Some((_, node)) = found else { return };
            at = node;
        }
        if let Self::Table(entries) = at {
            entries.retain(|(name, _)| name != key);
        }
    }

    /// The text of the board file.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.write("", &mut text);
        text
    }

    fn write(&self, path: &str, text: &mut String) {
        if !path.is_empty() {
            text.push_str(&format!("[{path}]\n"));
        }
        for (key, node) in self.entries() {
            if let Self::Value(value) = node {
                text.push_str(&format!("{} = {value}\n", quoted(key)));
            }
        }
        for (key, node) in self.entries() {
            if let Self::Table(_) = node {
                let dot = if path.is_empty() { "" } else { "." };
                node.write(&format!("{path}{dot}{}", quoted(key)), text);
            }
        }
    }
}

/// A key in TOML syntax.
fn quoted(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if !key.is_empty() && key.chars().all(is_bare) {
        key.to_owned()
    } else {
        format!("{key:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a = { b = 1, \"c d\" = [2, 3] }\n[e.f]\ng = \"x\"\n[e]\nh = true\n";

    #[test]
    fn a_file_keeps_its_content_when_it_is_written_again() {
        let tree = Node::parse(TEXT).unwrap();
        let text = "[a]\nb = 1\n\"c d\" = [2, 3]\n[e]\nh = true\n[e.f]\ng = \"x\"\n";
        assert_eq!(tree.text(), text);
        assert_eq!(Node::parse(text).unwrap().text(), text);
        assert_eq!(tree.get("a.b"), Some(&Node::Value("1".to_owned())));
        assert_eq!(tree.get("a.x"), None);
    }

    #[test]
    fn entries_are_set_and_removed() {
        let mut tree = Node::parse(TEXT).unwrap();
        tree.set("e.new.one", "k", Node::Value("5".to_owned()));
        tree.remove("a", "b");
        tree.remove("nothing.here", "b");
        assert_eq!(tree.get("e.new.one.k"), Some(&Node::Value("5".to_owned())));
        assert_eq!(tree.get("a.b"), None);
        tree.set("", "a", Node::Table(Vec::new()));
        assert!(tree.text().contains("[a]\n[e]\nh = true\n[e.f]\n"));
    }
}
