//! Values that stand for a secret that nobody filled in.

/// Which kind of placeholder was sent. Its text is not kept: it may be longer than it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Placeholder {
    /// `${TOKEN}`, `$TOKEN` or `$(command)`, which no shell expanded.
    ShellVariable,
    /// `%TOKEN%`, which no Windows shell expanded.
    WindowsVariable,
    /// `{{token}}`, `{token}`, `{http.auth.token}` or `<%= token %>`, which no template engine filled in.
    Template,
    /// `<token>` or `[token]`, copied out of a manual.
    Brackets,
    /// `YOUR_TOKEN` and the like, copied out of a manual.
    Manual,
    /// `null`, `undefined`, `None`, `nil`, `NaN`: what a program wrote for a value it did not have.
    MissingValue,
    /// `true` or `false`: what a program wrote for a condition.
    Boolean,
    /// `[object Object]`: what JavaScript writes for a value that is no text.
    Object,
}

impl Placeholder {
    /// The placeholder that this is, if the whole value is one. A value that merely has such letters in it is none.
    pub fn recognise(value: &[u8]) -> Option<Self> {
        let value = std::str::from_utf8(value).ok().filter(|value| value.len() <= 100)?;
        let between = |open: &str, close: &str| {
            let inner = value.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
            inner.is_some_and(|inner| inner.len() < 80 && !inner.is_empty())
        };
        let is_name = |name: &str| {
            name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        // A dash is in names of header fields, which Caddy's gaps end with.
        let is_path = |path: &str| {
            let mut parts = path.split('.');
            path.contains('.') && parts.all(|part| is_name(&part.replace('-', "_")))
        };
        let variable = |name: &str| is_name(name) && !name.bytes().any(|byte| byte.is_ascii_lowercase());
        let lower = value.to_ascii_lowercase();
        match lower.as_str() {
            "null" | "undefined" | "none" | "nil" | "nan" | "(null)" | "<nil>" | "<null>" => {
                return Some(Self::MissingValue);
            }
            "true" | "false" => return Some(Self::Boolean),
            _ => {}
        }
        if lower.starts_with("[object ") && lower.ends_with(']') {
            Some(Self::Object)
        } else if between("{{", "}}") || between("<%", "%>") {
            Some(Self::Template)
        } else if between("${", "}") || between("$(", ")") || value.strip_prefix('$').is_some_and(is_name) {
            Some(Self::ShellVariable)
        } else if value.strip_prefix('%').and_then(|rest| rest.strip_suffix('%')).is_some_and(variable) {
            Some(Self::WindowsVariable)
        } else if between("<", ">") || between("[", "]") {
            Some(Self::Brackets)
        } else if value
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
            .is_some_and(|inner| is_name(inner) || is_path(inner))
        {
            Some(Self::Template)
        } else if is_from_a_manual(&lower) {
            Some(Self::Manual)
        } else {
            None
        }
    }

    /// The kind in kebab case, for evidence.
    pub fn id(self) -> &'static str {
        match self {
            Self::ShellVariable => "shell-variable",
            Self::WindowsVariable => "windows-variable",
            Self::Template => "template",
            Self::Brackets => "brackets",
            Self::Manual => "manual",
            Self::MissingValue => "missing-value",
            Self::Boolean => "boolean",
            Self::Object => "object",
        }
    }
}

/// `your_token`, `YOUR-API-KEY-HERE`, `my_access_token`, but not a random token that begins with `your`.
fn is_from_a_manual(lower: &str) -> bool {
    const WORDS: [&str; 17] = [
        "access", "api", "apikey", "auth", "bearer", "client", "github", "goes", "here", "id", "jwt", "key",
        "password", "personal", "secret", "token", "user",
    ];
    let mut words = lower.split(['_', '-', ' ']);
    let mut rest = match words.next() {
        Some("your") => words.peekable(),
        _ => return false,
    };
    rest.peek().is_some() && rest.all(|word| WORDS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_values_only() {
        use Placeholder::*;
        for (value, expected) in [
            ("${TOKEN}", Some(ShellVariable)),
            ("$TOKEN", Some(ShellVariable)),
            ("$(cat token)", Some(ShellVariable)),
            ("%API_TOKEN%", Some(WindowsVariable)),
            ("{{token}}", Some(Template)),
            ("{{ .Values.token }}", Some(Template)),
            ("{token}", Some(Template)),
            ("{http.reverse_proxy.header.X-Token}", Some(Template)),
            ("{1.5}", None),
            ("<token>", Some(Brackets)),
            ("[token]", Some(Brackets)),
            ("YOUR_API_KEY", Some(Manual)),
            ("your-token-here", Some(Manual)),
            ("null", Some(MissingValue)),
            ("undefined", Some(MissingValue)),
            ("None", Some(MissingValue)),
            ("nil", Some(MissingValue)),
            ("NaN", Some(MissingValue)),
            ("true", Some(Boolean)),
            ("[object Object]", Some(Object)),
            ("abcnullabc", None),
            ("nullable", None),
            ("x${TOKEN}", None),
            ("%2Fabc%", None),
            ("%abcdef%", None),
            ("yourtoken", None),
            ("your_x7Gh2", None),
            ("$2b$10$abc", None),
            ("{}", None),
            ("", None),
            ("eyJhbGciOiJub25lIn0.e30.", None),
        ] {
            assert_eq!(Placeholder::recognise(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn ids_are_kebab_case() {
        assert_eq!(Placeholder::MissingValue.id(), "missing-value");
    }
}
