//! `steadctl explain NAME`: explains a message in detail, from `docs/troubleshooting.md`.

use super::{Failure, print, usage};

/// The page with one third-level heading for each explanation.
const PAGE: &str = include_str!("../../../docs/troubleshooting.md");

/// Prints the sections with the heading `name`, in any case, or with `name` as the code in
/// parentheses after it. Without a name, prints all headings.
pub(crate) fn main(name: Option<&str>) -> Result<u8, Failure> {
    let Some(name) = name else {
        let headings: String = sections()
            .map(|(heading, _)| format!("{heading}\n"))
            .collect();
        return print(&headings).map(|()| 0);
    };
    let found: Vec<String> = sections()
        .filter(|(heading, _)| is_called(heading, name))
        .map(|(heading, text)| format!("{heading}\n\n{}\n", text.trim()))
        .collect();
    if found.is_empty() {
        let like = sections()
            .map(|(heading, _)| heading)
            .find(|heading| heading.to_lowercase().contains(&name.to_lowercase()));
        return Err(match like {
            Some(heading) => usage(format_args!(
                "there is no explanation of \"{name}\"; did you mean \"{heading}\"?"
            )),
            None => usage(format_args!(
                "there is no explanation of \"{name}\"; run steadctl explain for the list"
            )),
        });
    }
    print(&found.join("\n")).map(|()| 0)
}

/// Heading and text of each section.
fn sections() -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut parts = PAGE.split("\n### ");
    // The text before the first section.
    parts.next();
    parts.filter_map(|part| {
        let (heading, text) = part.split_once('\n')?;
        // A section also ends at the next second-level heading.
        Some((heading, text.split("\n## ").next().unwrap_or(text)))
    })
}

fn is_called(heading: &str, name: &str) -> bool {
    let name = name.trim();
    let (title, code) = match heading.rsplit_once(" (") {
        Some((title, code)) => (title, code.trim_end_matches(')')),
        None => (heading, ""),
    };
    [heading, title, code]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use steadfast::axis::Fault;
    use steadfast::realtime::audit::Promise;

    /// The names of the contract's rows, as its source has them.
    fn rows() -> Vec<&'static str> {
        const CONTRACT: &str = include_str!("../../../src/realtime/contract.rs");
        let rows = CONTRACT.split("contract.row(").skip(1);
        let judged = CONTRACT.split("self.judged(").skip(1);
        let calls = rows.chain(judged);
        let names = calls.map(|call| call.trim_start().strip_prefix('"').expect("a name"));
        names
            .map(|name| name.split('"').next().expect("an end"))
            .collect()
    }

    #[test]
    fn there_is_one_answer_for_each_exit_code_row_promise_and_fault() {
        let mut expected: Vec<String> = (1..=5).map(|code| format!("exit {code}")).collect();
        assert!(rows().len() > 10, "{:?}", rows());
        expected.extend(rows().into_iter().map(str::to_owned));
        for promise in Promise::ALL {
            if !rows().contains(&promise.name()) {
                expected.push(promise.name().to_owned());
            }
        }
        for fault in Fault::ALL {
            expected.push(format!("{} (0x{:04X})", fault.message().name, fault.code()));
        }
        let mut found: Vec<String> = sections().map(|(name, _)| name.to_owned()).collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
        for (heading, text) in sections() {
            assert!(text.trim().len() > 60, "{heading}: {text}");
            assert!(
                !text.contains("\n#"),
                "{heading} ends before the next heading"
            );
        }
    }

    #[test]
    fn an_answer_is_found_by_its_heading_its_title_and_its_code() {
        let heading = "following error (0x8611)";
        for name in [heading, "Following Error", "0x8611"] {
            assert!(is_called(heading, name), "{name}");
        }
        assert!(!is_called(heading, "following"));
        let Err(Failure(_, line)) = main(Some("following")) else {
            panic!("found");
        };
        assert!(
            line.contains("did you mean \"following error (0x8611)\""),
            "{line}"
        );
        assert!(main(Some("no such name")).is_err());
    }
}
