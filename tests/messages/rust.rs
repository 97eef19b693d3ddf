//! Finds the messages in a Rust source: a lexer and the calls around each string literal.

/// The tokens of a source that matter for messages.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// A name, keyword or number; a macro's name ends with `!`.
    Word(String),
    /// The value of a string literal.
    Text(String),
    Mark(char),
}

/// The messages of a source in order, and the modules that only its tests use.
pub(crate) struct Found {
    pub(crate) messages: Vec<String>,
    pub(crate) test_modules: Vec<String>,
}

/// Calls whose strings are not shown to users: asserts, access to files and features.
const NOT_SHOWN: [&str; 17] = [
    "assert!",
    "assert_eq!",
    "assert_ne!",
    "debug_assert!",
    "debug_assert_eq!",
    "debug_assert_ne!",
    "unreachable!",
    "panic!",
    "expect",
    "expect_err",
    "env!",
    "include_str!",
    "include_bytes!",
    "debug_struct",
    "debug_tuple",
    "cfg!",
    "compile_error!",
];

/// Calls whose strings are messages even if they are a single word.
const SHOWS: [&str; 10] = [
    "write!",
    "writeln!",
    "print!",
    "println!",
    "eprint!",
    "eprintln!",
    "format_args!",
    "write_str",
    "of",
    "row",
];

/// The messages of `source`.
pub(crate) fn messages(source: &str) -> Found {
    let (tokens, test_modules) = without_tests(&tokens(source));
    let mut messages: Vec<String> = Vec::new();
    // Names of the open brackets around a token, such as `impl Display` and `impl Debug`.
    let mut open: Vec<String> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Mark('(' | '[' | '{') => open.push(opener(&tokens, at)),
            Token::Mark(')' | ']' | '}') => {
                open.pop();
            }
            Token::Text(text) if shown(text, &open) => {
                let text = with_placeholders(text);
                if !messages.contains(&text) {
                    messages.push(text);
                }
            }
            _ => {}
        }
    }
    Found {
        messages,
        test_modules,
    }
}

/// Whether `text` inside `open` can be shown to a user.
fn shown(text: &str, open: &[String]) -> bool {
    let hidden = |name: &String| NOT_SHOWN.contains(&name.as_str()) || name == "impl Debug";
    if open.iter().any(hidden) {
        return false;
    }
    let words = with_placeholders(text).replace("{..}", " ");
    let letters = words.chars().filter(|c| c.is_alphabetic()).count();
    let alone = !text.trim().contains(char::is_whitespace);
    // A path in /proc or /sys.
    if letters < 2 || alone && text.contains('/') {
        return false;
    }
    let display = open.iter().any(|name| name == "impl Display");
    let call = open.iter().rev().find(|name| !name.is_empty());
    !alone || display || call.is_some_and(|name| SHOWS.contains(&name.as_str()))
}

/// `text` with `{..}` for each of its placeholders.
pub(crate) fn with_placeholders(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '{' if rest.peek() == Some(&'{') => {
                rest.next();
                out.push('{');
            }
            '}' if rest.peek() == Some(&'}') => {
                rest.next();
                out.push('}');
            }
            '{' => {
                for inside in rest.by_ref() {
                    if inside == '}' {
                        break;
                    }
                }
                out.push_str("{..}");
            }
            other => out.push(other),
        }
    }
    out
}

/// The name before the bracket at `at`.
fn opener(tokens: &[Token], at: usize) -> String {
    let before = &tokens[..at];
    if tokens[at] != Token::Mark('{') {
        return match before.last() {
            Some(Token::Word(name)) => name.clone(),
            _ => String::new(),
        };
    }
    let ends = |token: &Token| matches!(token, Token::Mark(';' | '{' | '}'));
    let start = before.iter().rposition(ends).map_or(0, |end| end + 1);
    let has = |word: &str| before[start..].contains(&Token::Word(word.to_owned()));
    for shape in ["Display", "Debug"] {
        if has("impl") && has("for") && has(shape) {
            return format!("impl {shape}");
        }
    }
    String::new()
}

/// `tokens` without attributes and items of tests; the names of test modules in other files.
fn without_tests(tokens: &[Token]) -> (Vec<Token>, Vec<String>) {
    let mut kept = Vec::new();
    let mut modules = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let bracket = match tokens[at..] {
            [Token::Mark('#'), Token::Mark('['), ..] => at + 1,
            [Token::Mark('#'), Token::Mark('!'), Token::Mark('['), ..] => at + 2,
            _ => {
                kept.push(tokens[at].clone());
                at += 1;
                continue;
            }
        };
        let end = group_end(tokens, bracket);
        let has = |word: &str| tokens[bracket..end].contains(&Token::Word(word.to_owned()));
        at = end;
        if has("cfg") && has("test") && !has("not") {
            let item = at;
            at = item_end(tokens, at);
            if let [.., Token::Word(module), Token::Word(name), Token::Mark(';')] =
                &tokens[item..at]
                && module == "mod"
            {
                modules.push(name.clone());
            }
        }
    }
    (kept, modules)
}

/// The position after the group that opens at `at`.
fn group_end(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0;
    for (place, token) in tokens.iter().enumerate().skip(at) {
        match token {
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return place + 1;
        }
    }
    tokens.len()
}

/// The position after the item, field or arm that begins at `at`.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    let mut item = false;
    while at < tokens.len() {
        match &tokens[at] {
            Token::Mark(';') => return at + 1,
            Token::Mark(',') if !item => return at + 1,
            Token::Mark('{') => {
                let end = group_end(tokens, at);
                // `use a::{b};` ends at its semicolon.
                let goes_on = tokens.get(end) == Some(&Token::Mark(';'));
                return end + usize::from(goes_on);
            }
            Token::Mark('(' | '[') => at = group_end(tokens, at),
            Token::Word(word) => {
                item |= ["fn", "impl", "struct", "enum", "mod", "use"].contains(&word.as_str());
                at += 1;
            }
            _ => at += 1,
        }
    }
    at
}

fn tokens(source: &str) -> Vec<Token> {
    let source: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < source.len() {
        let next = source.get(at + 1).copied();
        match source[at] {
            '/' if next == Some('/') => at = find(&source, at, '\n'),
            '/' if next == Some('*') => at = comment_end(&source, at),
            '"' => at = quoted(&source, at + 1, &mut tokens),
            '\'' => {
                let is_char = next == Some('\\') || source.get(at + 2) == Some(&'\'');
                // Past the first character, which may be a quote.
                let after = if next == Some('\\') { at + 3 } else { at + 2 };
                at = if is_char {
                    find(&source, after, '\'') + 1
                } else {
                    at + 1
                };
            }
            c if c.is_alphanumeric() || c == '_' => at = word(&source, at, &mut tokens),
            c => {
                if !c.is_whitespace() {
                    tokens.push(Token::Mark(c));
                }
                at += 1;
            }
        }
    }
    tokens
}

/// The position of `mark` from `at` on.
fn find(source: &[char], at: usize, mark: char) -> usize {
    let rest = source.iter().skip(at);
    at + rest.take_while(|c| **c != mark).count()
}

fn comment_end(source: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < source.len() {
        match (source[at], source.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// A word, or a literal with a prefix.
fn word(source: &[char], from: usize, tokens: &mut Vec<Token>) -> usize {
    let mut at = from;
    while at < source.len() && (source[at].is_alphanumeric() || source[at] == '_') {
        at += 1;
    }
    let word: String = source[from..at].iter().collect();
    let hashes = source[at..].iter().take_while(|c| **c == '#').count();
    let quote = source.get(at + hashes) == Some(&'"');
    match word.as_str() {
        "b" | "c" if hashes == 0 && quote => return quoted(source, at + 1, tokens),
        "b" if source.get(at) == Some(&'\'') => {
            let after = at
                + if source.get(at + 1) == Some(&'\\') {
                    3
                } else {
                    2
                };
            return find(source, after, '\'') + 1;
        }
        "r" | "br" | "cr" if quote => return raw(source, at + hashes + 1, hashes, tokens),
        _ => {}
    }
    let is_macro = source.get(at) == Some(&'!') && source.get(at + 1) != Some(&'=');
    if is_macro {
        tokens.push(Token::Word(word + "!"));
        return at + 1;
    }
    tokens.push(Token::Word(word));
    at
}

fn raw(source: &[char], from: usize, hashes: usize, tokens: &mut Vec<Token>) -> usize {
    let mut at = from;
    loop {
        at = find(source, at, '"');
        let closing = source.iter().skip(at + 1).take(hashes);
        if at >= source.len() || closing.filter(|c| **c == '#').count() == hashes {
            tokens.push(Token::Text(source[from..at].iter().collect()));
            return at + 1 + hashes;
        }
        at += 1;
    }
}

/// The literal whose text begins at `at`, after its quote.
fn quoted(source: &[char], mut at: usize, tokens: &mut Vec<Token>) -> usize {
    let mut text = String::new();
    while at < source.len() && source[at] != '"' {
        if source[at] != '\\' {
            text.push(source[at]);
            at += 1;
            continue;
        }
        match source.get(at + 1) {
            Some('\n') => {
                at += 2;
                while source.get(at).is_some_and(|c| c.is_whitespace()) {
                    at += 1;
                }
                continue;
            }
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('x') => {
                let digits: String = source[at + 2..].iter().take(2).collect();
                let code = u8::from_str_radix(&digits, 16).expect("two digits follow \\x");
                text.push(code.into());
                at += 2;
            }
            // Other escapes in messages are quotes and the backslash.
            Some(other) => text.push(*other),
            None => {}
        }
        at += 2;
    }
    tokens.push(Token::Text(text));
    at + 1
}
