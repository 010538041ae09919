//! Who may use whom: every file under `src/` is held to the table in `src/lib.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Modules that the table leaves out: they join the others.
const JOINERS: [&str; 8] = ["check", "compare", "demo", "echo", "export", "port_holder", "run", "teller"];

/// Crates that count as the one that the table names.
const COMPANIONS: [(&str, &[&str]); 3] = [
    ("hyper", &["hyper", "hyper_util", "hyper_rustls", "http_body_util", "h2"]),
    ("tokio", &["tokio", "tokio_rustls", "tokio_util"]),
    ("tracing", &["tracing", "tracing_subscriber"]),
];

/// What the table calls by a word that is no crate and no module of ours: the paths that it means.
const MEANINGS: [(&str, &[&str]); 3] = [
    (
        "clock",
        &[
            "std::time::SystemTime",
            "std::time::Instant",
            "Timestamp::now",
            "jiff::Timestamp::now",
            "jiff::Zoned",
            "SystemTime::now",
            "Instant::now",
        ],
    ),
    ("environment", &["std::env", "std::process"]),
    ("files", &["std::fs", "std::io", "std::net::TcpStream", "std::net::TcpListener", "std::net::UdpSocket"]),
];

/// The longest file that a reader has to face. The dictionary of error texts and the directives of products are data.
const LONGEST: usize = 700;
const DATA: [&str; 2] = ["src/rules/words/entries.rs", "src/rules/products/entries.rs"];

struct Row {
    may: BTreeSet<String>,
    must_not: Vec<String>,
    reason: String,
}

/// The table, by module. A row of several modules is one for each.
fn table(lib: &str) -> BTreeMap<String, Row> {
    let words = |cell: &str| -> Vec<String> {
        cell.split(',').map(|word| word.trim().trim_matches('`').to_owned()).filter(|word| !word.is_empty()).collect()
    };
    let mut rows = BTreeMap::new();
    for line in lib.lines().filter_map(|line| line.strip_prefix("//! | `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [modules, may, must_not, _] = cells.as_slice() else { panic!("a row of the table is not a row: {line}") };
        let modules = words(modules);
        for module in &modules {
            // `wire::head` is a part of `wire`.
            let may = words(may).into_iter().map(|word| word.split("::").next().unwrap().to_owned());
            let row = Row {
                may: may.chain(modules.clone()).collect(),
                must_not: words(must_not),
                reason: format!("{} must not use {must_not}", module),
            };
            assert!(rows.insert(module.clone(), row).is_none(), "{module} is in the table twice");
        }
    }
    assert!(rows.len() > 10, "the table in src/lib.rs was not found");
    rows
}

/// Whether the row forbids the path, which begins with `crate` where it is ours.
fn is_forbidden(row: &Row, path: &[String], ours: &BTreeSet<String>) -> bool {
    let text = path.join("::");
    let own = path.first().is_some_and(|first| first == "crate").then(|| path.get(1)).flatten();
    let own = own.filter(|module| ours.contains(*module));
    row.must_not.iter().any(|word| match word.as_str() {
        "anything of ours" | "everything of ours" | "anything else of ours" | "everything else of ours" => {
            own.is_some_and(|module| !row.may.contains(module))
        }
        word if ours.contains(word) => own.is_some_and(|module| module == word),
        word => {
            if let Some((_, paths)) = MEANINGS.iter().find(|(known, _)| *known == word) {
                return paths.iter().any(|known| text == *known || text.starts_with(&format!("{known}::")));
            }
            let Some((_, crates)) = COMPANIONS.iter().find(|(known, _)| *known == word) else {
                panic!("the table in src/lib.rs forbids {word:?}, and this test does not know what that is")
            };
            // A crate's own name at the start of a path, not a module or a type that is called so.
            path.len() > 1 && crates.contains(&path[0].as_str())
        }
    })
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
    /// `::`.
    Path,
}

impl Token {
    fn is(&self, sign: char) -> bool {
        *self == Token::Sign(sign)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self, Token::Word(own) if own == word)
    }
}

/// A file as tokens with their lines, and its comments.
struct Source {
    tokens: Vec<(usize, Token)>,
    comments: Vec<(usize, String)>,
}

fn read(text: &str) -> Source {
    let chars: Vec<char> = text.chars().collect();
    let mut source = Source { tokens: Vec::new(), comments: Vec::new() };
    let (mut at, mut line) = (0, 1);
    let get = |at: usize| chars.get(at).copied().unwrap_or('\0');
    while at < chars.len() {
        let (start, from) = (at, line);
        match chars[at] {
            '\n' => {
                line += 1;
                at += 1;
            }
            c if c.is_whitespace() => at += 1,
            '/' if get(at + 1) == '/' => {
                while at < chars.len() && chars[at] != '\n' {
                    at += 1;
                }
                source.comments.push((from, chars[start..at].iter().collect()));
            }
            '/' if get(at + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (get(at), get(at + 1)) {
                        ('/', '*') => (depth, at) = (depth + 1, at + 2),
                        ('*', '/') => (depth, at) = (depth - 1, at + 2),
                        (c, _) => {
                            line += usize::from(c == '\n');
                            at += 1;
                        }
                    }
                    if depth == 0 || at >= chars.len() {
                        break;
                    }
                }
                source.comments.push((from, chars[start..at.min(chars.len())].iter().collect()));
            }
            'r' | 'b' | 'c' if raw_string(&chars, at).is_some() => {
                let (open, hashes) = raw_string(&chars, at).unwrap();
                at = open + 1;
                let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
                while at < chars.len() && !chars[at..].starts_with(&end) {
                    line += usize::from(chars[at] == '\n');
                    at += 1;
                }
                source.tokens.push((from, Token::Text(chars[open + 1..at.min(chars.len())].iter().collect())));
                at += end.len();
            }
            '"' => {
                at += 1;
                while at < chars.len() && chars[at] != '"' {
                    line += usize::from(chars[at] == '\n');
                    if chars[at] == '\\' {
                        at += 1;
                        line += usize::from(get(at) == '\n');
                    }
                    at += 1;
                }
                source.tokens.push((from, Token::Text(chars[start + 1..at.min(chars.len())].iter().collect())));
                at += 1;
            }
            // A character, or a lifetime.
            '\'' if get(at + 1) == '\\' => {
                at += 3;
                while at < chars.len() && chars[at] != '\'' {
                    at += 1;
                }
                at += 1;
            }
            '\'' if get(at + 2) == '\'' => at += 3,
            '\'' => at += 1,
            c if c.is_alphanumeric() || c == '_' => {
                while get(at).is_alphanumeric() || get(at) == '_' {
                    at += 1;
                }
                source.tokens.push((from, Token::Word(chars[start..at].iter().collect())));
            }
            ':' if get(at + 1) == ':' => {
                source.tokens.push((from, Token::Path));
                at += 2;
            }
            c => {
                source.tokens.push((from, Token::Sign(c)));
                at += 1;
            }
        }
    }
    source
}

/// The place of the opening quote of a raw string that starts here, and its number of hashes.
fn raw_string(chars: &[char], at: usize) -> Option<(usize, usize)> {
    if at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_') {
        return None;
    }
    let mut next = at;
    while matches!(chars.get(next), Some('b' | 'c')) {
        next += 1;
    }
    if chars.get(next) != Some(&'r') {
        return None;
    }
    let hashes = chars[next + 1..].iter().take_while(|c| **c == '#').count();
    (chars.get(next + 1 + hashes) == Some(&'"')).then_some((next + 1 + hashes, hashes))
}

/// Takes out what is compiled for tests alone. Gives the rest, and the files of test modules, relative to this one's.
fn without_tests(tokens: &[(usize, Token)]) -> (Vec<(usize, Token)>, Vec<String>) {
    let mut kept = Vec::new();
    let mut files = Vec::new();
    let mut at = 0;
    let is_test = |at: usize| {
        let signs = [Token::Sign('#'), Token::Sign('['), Token::Word("cfg".into()), Token::Sign('(')];
        let signs = signs.into_iter().chain([Token::Word("test".into()), Token::Sign(')'), Token::Sign(']')]);
        signs.enumerate().all(|(offset, sign)| tokens.get(at + offset).is_some_and(|(_, token)| *token == sign))
    };
    while at < tokens.len() {
        if !is_test(at) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let start = at;
        let mut depth = 0i32;
        while at < tokens.len() {
            let token = &tokens[at].1;
            at += 1;
            match token {
                Token::Sign('{' | '(' | '[') => depth += 1,
                Token::Sign(sign @ ('}' | ')' | ']')) => {
                    depth -= 1;
                    if depth == 0 && *sign == '}' {
                        break;
                    }
                }
                Token::Sign(';') if depth == 0 => break,
                _ => {}
            }
        }
        let item = &tokens[start..at];
        if item.last().is_some_and(|(_, token)| token.is(';')) {
            let path = item.iter().find_map(|(_, token)| match token {
                Token::Text(text) => Some(text.clone()),
                _ => None,
            });
            let name = item.windows(2).find_map(|pair| match pair {
                [(_, before), (_, Token::Word(name))] if before.is_word("mod") => Some(format!("{name}.rs")),
                _ => None,
            });
            files.extend(path.or(name));
        }
    }
    (kept, files)
}

/// All paths of two or more parts, those of `use` trees in full, `super` and `self` resolved from the crate's root.
fn paths(tokens: &[(usize, Token)], module: &[String]) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at].1 {
            Token::Word(word) if word == "use" => {
                at += 1;
                tree(tokens, &mut at, &[], &mut found);
            }
            Token::Word(_) => {
                let line = tokens[at].0;
                let mut path = Vec::new();
                while let Some((_, Token::Word(word))) = tokens.get(at) {
                    path.push(word.clone());
                    at += 1;
                    if tokens.get(at).is_none_or(|(_, token)| *token != Token::Path) {
                        break;
                    }
                    at += 1;
                }
                if path.len() > 1 {
                    found.push((line, path));
                }
            }
            _ => at += 1,
        }
    }
    for (_, path) in &mut found {
        resolve(path, module);
    }
    found
}

fn tree(tokens: &[(usize, Token)], at: &mut usize, before: &[String], found: &mut Vec<(usize, Vec<String>)>) {
    let mut path = before.to_vec();
    while let Some((line, token)) = tokens.get(*at) {
        match token {
            Token::Word(word) if word == "as" => *at += 1,
            Token::Word(word) => {
                if word != "self" || path.is_empty() {
                    path.push(word.clone());
                }
                *at += 1;
                if tokens.get(*at).is_none_or(|(_, token)| *token != Token::Path) {
                    found.push((*line, path.clone()));
                }
            }
            Token::Path => *at += 1,
            Token::Sign('*') => {
                found.push((*line, path.clone()));
                *at += 1;
            }
            Token::Sign('{') => {
                *at += 1;
                while tokens.get(*at).is_some_and(|(_, token)| !token.is('}')) {
                    tree(tokens, at, &path, found);
                    if tokens.get(*at).is_some_and(|(_, token)| token.is(',')) {
                        *at += 1;
                    }
                }
                *at += 1;
                return;
            }
            _ => return,
        }
    }
}

fn resolve(path: &mut Vec<String>, module: &[String]) {
    let up = path.iter().take_while(|part| *part == "super").count();
    let is_self = path.first().is_some_and(|part| part == "self");
    if up == 0 && !is_self {
        return;
    }
    let base = &module[..module.len().saturating_sub(up)];
    let rest = path.split_off(if is_self { 1 } else { up });
    *path = std::iter::once("crate".to_owned()).chain(base.iter().cloned()).chain(rest).collect();
}

struct File {
    path: PathBuf,
    shown: String,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files() -> Vec<File> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join("src"), &mut found);
    found.sort();
    let shown = |path: &Path| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    found.into_iter().map(|path| File { shown: shown(&path), text: fs::read_to_string(&path).unwrap(), path }).collect()
}

/// `src/rules/token/mod.rs` is `rules::token`.
fn module_of(shown: &str) -> Vec<String> {
    let inner = shown.trim_start_matches("src/").trim_end_matches(".rs");
    let mut parts: Vec<String> = inner.split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

/// Where a module's own children lie.
fn folder_of(file: &File) -> PathBuf {
    let name = file.path.file_stem().unwrap();
    let parent = file.path.parent().unwrap();
    if matches!(name.to_str().unwrap(), "mod" | "lib" | "main") { parent.to_owned() } else { parent.join(name) }
}

fn ours(lib: &str) -> BTreeSet<String> {
    let names = lib.lines().filter_map(|line| {
        let line = line.trim_start_matches("pub ").strip_prefix("mod ")?;
        line.strip_suffix(';')
    });
    names.map(str::to_owned).collect()
}

/// Every breach of the table in a file: line and path.
fn breaches(
    rows: &BTreeMap<String, Row>,
    ours: &BTreeSet<String>,
    module: &[String],
    tokens: &[(usize, Token)],
) -> Vec<String> {
    let Some(row) = module.first().and_then(|first| rows.get(first)) else { return Vec::new() };
    let mut found = Vec::new();
    for (line, path) in paths(tokens, module) {
        // A part of the module itself is no use of another.
        let is_own = path.first().is_some_and(|first| first == "crate") && path.get(1) == module.first();
        if !is_own && is_forbidden(row, &path, ours) {
            found.push(format!("{line}: {}: {}", path.join("::"), row.reason));
        }
    }
    found
}

#[test]
fn every_module_keeps_to_the_table() {
    let files = files();
    let lib = &files.iter().find(|file| file.shown == "src/lib.rs").unwrap().text;
    let (rows, ours) = (table(lib), ours(lib));
    for module in &ours {
        let known = rows.contains_key(module) || JOINERS.contains(&module.as_str());
        assert!(known, "src/lib.rs: the module {module} is not in the table");
    }
    for module in rows.keys() {
        assert!(ours.contains(module), "src/lib.rs: the table has {module}, and there is no such module");
    }
    let sources: Vec<_> = files.iter().map(|file| without_tests(&read(&file.text).tokens)).collect();
    let mut for_tests = BTreeSet::new();
    for (file, (_, tests)) in files.iter().zip(&sources) {
        // `#[path]` is relative to the file's own folder, a plain module to that of its children.
        for test in tests {
            for_tests.insert(folder_of(file).join(test));
            for_tests.insert(folder_of(file).join(test.trim_end_matches(".rs")).join("mod.rs"));
            for_tests.insert(file.path.parent().unwrap().join(test));
        }
    }
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for (file, (tokens, _)) in files.iter().zip(&sources) {
        if for_tests.contains(&file.path) {
            continue;
        }
        let module = module_of(&file.shown);
        seen.extend(module.first().cloned());
        found.extend(breaches(&rows, &ours, &module, tokens).into_iter().map(|what| format!("{}:{what}", file.shown)));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    let looked_at = rows.keys().all(|module| seen.contains(module));
    assert!(looked_at, "a module of the table was not looked at: {seen:?}");
}

#[test]
fn the_check_finds_what_it_is_there_for() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let (rows, ours) = (table(&lib), ours(&lib));
    let check = |module: &str, code: &str| {
        let module: Vec<String> = module.split("::").map(str::to_owned).collect();
        !breaches(&rows, &ours, &module, &without_tests(&read(code).tokens).0).is_empty()
    };
    for (module, code) in [
        ("wire::framer", "use crate::exchange::Body;"),
        ("wire::framer", "use crate::{auth::Secret, wire::RawHead};"),
        ("wire::framer", "fn f() { crate::auth::parse_challenges(b\"\"); }"),
        ("wire::framer", "use super::super::exchange::View;"),
        ("auth::jwt", "use crate::wire::RawHead;"),
        ("auth::jwt", "use tokio::time;"),
        ("exchange::view", "use crate::proxy::Workers;"),
        ("rules::token", "use std::{fmt, fs};"),
        ("rules::token", "use std::time::{Duration, SystemTime};"),
        ("rules::token", "use jiff::Timestamp; fn f() { Timestamp::now(); }"),
        ("rules::token", "fn f() { std::env::var(\"A\"); }"),
        ("rules::token", "use std::net::TcpStream;"),
        ("rules::token", "fn f() { tracing::warn!(\"a\"); }"),
        ("memory", "use crate::sinks::escape::printable;"),
        ("diagnose", "use hyper_util::rt;"),
        ("queue", "use crate::wire::RawHead;"),
        ("proxy::relay", "use crate::rules;"),
        ("proxy::relay", "use crate::{config, diagnose as d};"),
        ("admin", "use crate::queue::Losses;"),
        ("config", "use crate::exchange::names;"),
        ("sinks::console", "use crate::{exchange::View, diagnose::{self}};"),
    ] {
        assert!(check(module, code), "{module} may not have {code}");
    }
    for (module, code) in [
        ("wire::framer", "use bytes::Bytes; use super::head::RawHead; use httparse::Header;"),
        (
            "rules::token",
            "use std::net::IpAddr; use std::time::Duration; use crate::memory::Memory; use jiff::Timestamp;",
        ),
        (
            "rules::token",
            "// use tokio::net;\nconst A: &str = \"crate::proxy::x\"; const B: char = '\"'; fn f<'a>() {}",
        ),
        ("rules::token", "#[cfg(test)] mod tests { use std::fs; } #[cfg(test)] #[path = \"a.rs\"] mod more;"),
        ("memory", "use crate::rules::normal; use crate::exchange::View;"),
        ("config", "use crate::cli::RunOptions; use std::fs;"),
        ("queue", "use crate::exchange::Exchange;"),
    ] {
        assert!(!check(module, code), "{module} may have {code}");
    }
}

#[test]
fn no_file_is_unsafe_unfinished_or_too_long() {
    let mut found = Vec::new();
    for file in files() {
        let shown = &file.shown;
        let lines = file.text.lines().count();
        if lines > LONGEST && !DATA.contains(&shown.as_str()) {
            found.push(format!("{shown}: {lines} lines; split it by subject, {LONGEST} are the most"));
        }
        let source = read(&file.text);
        for (at, (line, token)) in source.tokens.iter().enumerate() {
            let is_macro = source.tokens.get(at + 1).is_some_and(|(_, token)| token.is('!'));
            if token.is_word("unsafe") {
                found.push(format!("{shown}:{line}: unsafe code"));
            }
            if is_macro && (token.is_word("todo") || token.is_word("unimplemented")) {
                found.push(format!("{shown}:{line}: unfinished code"));
            }
        }
        for (line, comment) in &source.comments {
            if comment.contains("TODO") || comment.contains("FIXME") || comment.contains("XXX") {
                found.push(format!("{shown}:{line}: a note of unfinished work: {comment}"));
            }
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}
