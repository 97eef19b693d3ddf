//! Finds the messages in scripts, recipes and units of yocto/.

/// The messages of a file, whose kind is known by its name and first line; none for other
/// kinds.
pub(crate) fn messages(name: &str, text: &str) -> Vec<String> {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let script = text.starts_with("#!/bin/sh") || name.ends_with("boot.cmd.in");
    let mut found = match ending {
        "service" | "mount" => descriptions(text),
        "py" if !name.contains("/oeqa/") => python(text),
        "bb" | "inc" | "bbclass" | "bbappend" => python(text),
        _ if script => shell(text),
        _ => Vec::new(),
    };
    let mut seen = Vec::new();
    found.retain(|message| {
        let new = !seen.contains(message);
        seen.push(message.clone());
        new
    });
    found
}

fn descriptions(text: &str) -> Vec<String> {
    let lines = text.lines();
    lines
        .filter_map(|line| line.strip_prefix("Description="))
        .map(str::to_owned)
        .collect()
}

/// The texts that a script prints with `echo` or its own functions.
fn shell(text: &str) -> Vec<String> {
    // Quoted texts there are arguments of programs.
    const NOT_SHOWN: [&str; 3] = ["#", "setenv ", "openssl "];
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        let shown = !NOT_SHOWN.iter().any(|start| line.starts_with(start));
        for (_, literal) in literals(line, &['"']).into_iter().filter(|_| shown) {
            let words = literal.split_whitespace().filter(|word| plain(word));
            if words.count() >= 2 && !literal.starts_with("/CN=") {
                found.push(literal);
            }
        }
    }
    found
}

/// Whether `word` is part of a sentence, not of a command.
fn plain(word: &str) -> bool {
    let word = word.trim_end_matches([',', ':', ';', '.']);
    word.len() > 1 && word.chars().all(|c| c.is_ascii_alphabetic())
}

/// The messages with which Python in recipes, classes and libraries stops a build.
fn python(text: &str) -> Vec<String> {
    const CALLS: [&str; 4] = ["bb.fatal(", "bb.warn(", "bb.error(", "raise "];
    let mut found = Vec::new();
    let starts = CALLS.iter().flat_map(|call| text.match_indices(call));
    let mut starts: Vec<_> = starts.map(|(at, _)| at).collect();
    starts.sort_unstable();
    for start in starts {
        let call = &text[start..];
        let call = &call[..call_end(call)];
        let mut message = String::new();
        let mut end = 0;
        for (start, literal) in literals(call, &['\'', '"']) {
            // Adjacent literals are one message; others are separators of lists.
            if call[end..start - 1].trim().is_empty() || message.is_empty() {
                end = start + literal.len() + 1;
                message.push_str(&literal);
            }
        }
        if message.contains(' ') {
            found.push(message.trim_end_matches("\\n").to_owned());
        }
    }
    found
}

/// The length of the call at the beginning of `text`.
fn call_end(text: &str) -> usize {
    let mut depth = 0;
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, '(') => depth += 1,
            (None, ')') => {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
            (None, '\n') if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

/// The text between `quotes` in `text`, and its position. A `$(...)` of a shell has its own
/// quotes.
fn literals(text: &str, quotes: &[char]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(char, usize)> = None;
    let mut substitutions = 0;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let escaped = before == '\\';
        match open {
            None if quotes.contains(&c) && !escaped => open = Some((c, at + 1)),
            Some((quote, start)) if quote == c && !escaped && substitutions == 0 => {
                found.push((start, text[start..at].to_owned()));
                open = None;
            }
            Some(_) if before == '$' && c == '(' => substitutions += 1,
            Some(_) if substitutions > 0 && c == ')' => substitutions -= 1,
            _ => {}
        }
        before = if escaped { ' ' } else { c };
    }
    found
}
