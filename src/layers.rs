//! Options from three layers: flags win over the environment, and that wins over the file.
//!
//! Whatever a layer says is put into the form of flags and goes through the one parser, each value first by itself, so
//! that an error names the variable or the file that the value came from.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use crate::cli::{Cli, URL_VARIABLE};
use crate::config::{cannot_read, check_tap};
use crate::error::Error;

/// How parsing the options can end without options.
pub enum Stop {
    /// The command line is wrong, or asks for help or the version; clap has the words and the exit code.
    Clap(clap::Error),
    /// Another layer is wrong.
    Error(Error),
}

/// Reads the command line with its environment and its file.
///
/// # Errors
/// See [`Stop`].
pub fn read(
    args: impl IntoIterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Cli, Stop> {
    let args = with_address_joined(args.into_iter().collect());
    let matches = Cli::command().try_get_matches_from(&args).map_err(Stop::Clap)?;
    if matches.subcommand_name().is_some() {
        return Cli::from_arg_matches(&matches).map_err(Stop::Clap);
    }
    let mut given = vec![args.first().cloned().unwrap_or_else(|| "authtap".into())];
    let mut known: Vec<String> = given_by(&matches);
    let from_environment = environment_layer(&known, &environment).map_err(Stop::Error)?;
    known.extend(from_environment.iter().map(|value| value.option.clone()));
    let file = match matches.get_one::<PathBuf>("config") {
        Some(path) => Some(path.clone()),
        None => from_environment.iter().find(|value| value.option == "config").map(|value| value.text.clone().into()),
    };
    let from_file = file.map(|path| file_layer(&path, &known)).transpose().map_err(Stop::Error)?.unwrap_or_default();
    for value in from_file.into_iter().chain(from_environment) {
        given.extend(value.as_arguments());
    }
    given.extend(args.into_iter().skip(1));
    let matches = Cli::command().try_get_matches_from(&given).map_err(Stop::Clap)?;
    Cli::from_arg_matches(&matches).map_err(Stop::Clap)
}

/// The arguments with `--inspect :4040` as one. Elsewhere what follows is a tap, and `:4040` can't be one.
fn with_address_joined(args: Vec<OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::with_capacity(args.len());
    let mut is_program = true;
    for arg in args {
        is_program &= arg != "--";
        let port = arg.to_str().and_then(|text| text.strip_prefix(':'));
        let is_port = port.is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
        match joined.last_mut() {
            Some(last) if is_program && is_port && last == "--inspect" => {
                last.push("=");
                last.push(&arg);
            }
            _ => joined.push(arg),
        }
    }
    joined
}

/// Those of the variables' names that look like options and are none, so that a slip of the pen is not passed over.
pub fn unknown_variables(names: impl Iterator<Item = OsString>) -> Vec<String> {
    let known: Vec<String> = options().iter().map(|option| variable_of(option)).collect();
    let names = names.filter_map(|name| name.into_string().ok());
    let is_option = |name: &String| name.starts_with("AUTHTAP_") && !name.starts_with(URL_VARIABLE);
    names.filter(|name| is_option(name) && !known.contains(name)).collect()
}

fn variable_of(option: &str) -> String {
    format!("AUTHTAP_{}", id_of(option).to_ascii_uppercase())
}

/// The options that flags gave.
fn given_by(matches: &ArgMatches) -> Vec<String> {
    options()
        .into_iter()
        .filter(|option| matches.value_source(&id_of(option)) == Some(ValueSource::CommandLine))
        .collect()
}

const TAPS: &str = "taps";

/// The names of all options as flags have them, and the taps.
fn options() -> Vec<String> {
    let command = Cli::command();
    let mut names: Vec<String> = command
        .get_arguments()
        .filter_map(|argument| argument.get_long())
        .filter(|name| !matches!(*name, "help" | "version"))
        .map(str::to_owned)
        .collect();
    names.push(TAPS.to_owned());
    names
}

fn id_of(option: &str) -> String {
    option.replace('-', "_")
}

/// A value from another layer than the flags.
struct Value {
    option: String,
    text: String,
}

impl Value {
    fn as_arguments(&self) -> Vec<OsString> {
        if self.option == TAPS {
            vec![self.text.clone().into()]
        } else {
            vec![format!("--{}={}", self.option, self.text).into()]
        }
    }

    /// Parses the value by itself, to blame the right source.
    fn check(&self, source: &str) -> Result<(), Error> {
        if self.option == TAPS {
            return check_tap(&self.text).map_err(|error| error.from_source(source));
        }
        let arguments = std::iter::once("authtap".into()).chain(self.as_arguments());
        let Err(error) = Cli::command().try_get_matches_from(arguments) else { return Ok(()) };
        let text = error.to_string();
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let hint = lines.find(|line| line.starts_with("[possible values") || line.starts_with("tip:"));
        let error = Error::usage(first).from_source(source);
        Err(match hint {
            Some(hint) => error.advice(hint.trim_start_matches("tip: ").to_owned()),
            None => error.advice("authtap --help says what the option takes"),
        })
    }
}

fn environment_layer(known: &[String], environment: &impl Fn(&str) -> Option<OsString>) -> Result<Vec<Value>, Error> {
    let mut values = Vec::new();
    for option in options().into_iter().filter(|option| !known.contains(option)) {
        let variable = variable_of(&option);
        let Some(text) = environment(&variable) else { continue };
        let text = text.into_string().map_err(|_| {
            Error::usage(format!("{variable}: the value is not UTF-8")).advice("set it to plain text, or unset it")
        })?;
        // Several values of one variable are parted by white space; names of fields and taps, URLs and audiences have none.
        let parts = match option.as_str() {
            TAPS | "show" | "redact" | "jwks" | "issuer" | "audience" => {
                text.split_whitespace().map(str::to_owned).collect()
            }
            _ => vec![text],
        };
        for text in parts.into_iter().filter(|text| !text.is_empty()) {
            let value = Value { option: option.clone(), text };
            value.check(&variable)?;
            values.push(value);
        }
    }
    Ok(values)
}

fn file_layer(path: &Path, known: &[String]) -> Result<Vec<Value>, Error> {
    let source = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| cannot_read("--config", path, &error))?;
    let table: toml::Table =
        text.parse().map_err(|error: toml::de::Error| Error::usage(error.message().to_owned()).from_source(&source))?;
    let options = options();
    let mut values = Vec::new();
    for (name, value) in table {
        if name == "config" || !options.contains(&name) {
            let known = options.iter().filter(|option| *option != "config").cloned().collect::<Vec<_>>().join(", ");
            return Err(
                Error::usage(format!("{source}: there is no option {name:?}")).advice(format!("one of {known}"))
            );
        }
        if known.contains(&name) {
            continue;
        }
        for text in texts(value).ok_or_else(|| {
            Error::usage(format!("{source}: {name}: a value of this kind is not understood"))
                .advice("write a string, a number, true or false, or a list of strings")
        })? {
            let value = Value { option: name.clone(), text };
            value.check(&format!("{source}: {name}"))?;
            values.push(value);
        }
    }
    Ok(values)
}

fn texts(value: toml::Value) -> Option<Vec<String>> {
    match value {
        toml::Value::String(text) => Some(vec![text]),
        toml::Value::Integer(number) => Some(vec![number.to_string()]),
        toml::Value::Boolean(flag) => Some(vec![flag.to_string()]),
        toml::Value::Array(values) => {
            values.into_iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::cli::LogFormat;

    fn parsed(args: &[&str], environment: &[(&str, &str)]) -> Result<Cli, String> {
        let args = std::iter::once("authtap").chain(args.iter().copied()).map(OsString::from);
        let get = |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        read(args, get).map_err(|stop| match stop {
            Stop::Clap(error) => error.to_string(),
            Stop::Error(error) => error.to_string(),
        })
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let file = file(
            "drain = \"1s\"\nlog-format = \"json\"\nidle-timeout = \"7s\"\ntaps = [\"http://f\"]\ninsecure = true\n",
        );
        let path = file.path().to_str().unwrap();
        let cli = parsed(
            &["--config", path, "--drain", "3s", "http://a"],
            &[("AUTHTAP_DRAIN", "2s"), ("AUTHTAP_IDLE_TIMEOUT", "8s"), ("AUTHTAP_TAPS", "http://e")],
        )
        .unwrap();
        assert_eq!(cli.run.drain.get().as_secs(), 3);
        assert_eq!(cli.run.idle_timeout.get().as_secs(), 8);
        assert_eq!(cli.run.log_format, LogFormat::Json);
        assert_eq!(cli.run.taps, ["http://a"]);
        assert!(cli.run.insecure.is_on());
    }

    #[test]
    fn the_environment_alone_is_enough() {
        let cli =
            parsed(&[], &[("AUTHTAP_TAPS", "edge@:1=http://a app@:2=http://b"), ("AUTHTAP_SHOW", "A B")]).unwrap();
        assert_eq!(cli.run.taps, ["edge@:1=http://a", "app@:2=http://b"]);
        assert_eq!(cli.run.show, ["A", "B"]);
    }

    #[test]
    fn a_wrong_value_names_its_source() {
        let error = parsed(&["http://a"], &[("AUTHTAP_DRAIN", "soon")]).unwrap_err();
        assert!(error.contains("AUTHTAP_DRAIN") && error.contains("30s"), "{error}");
        let file = file("log-format = \"xml\"\n");
        let error = parsed(&["--config", file.path().to_str().unwrap()], &[]).unwrap_err();
        assert!(error.contains(": log-format") && error.contains("json"), "{error}");
        let error = parsed(&["--drain", "soon", "http://a"], &[]).unwrap_err();
        assert!(error.contains("--drain"), "{error}");
    }

    #[test]
    fn the_inspector_has_an_address_or_takes_its_own() {
        let addr = |args: &[&str], environment: &[(&str, &str)]| {
            let cli = parsed(args, environment).unwrap_or_else(|error| panic!("{args:?}: {error}"));
            assert_eq!(cli.run.taps, ["http://a"], "{args:?}");
            cli.run.inspect.and_then(|inspect| inspect.addr()).map(|addr| addr.to_string())
        };
        let usual = Some("127.0.0.1:4040".to_owned());
        assert_eq!(addr(&["http://a"], &[]), None);
        assert_eq!(addr(&["--inspect", "http://a"], &[]), usual);
        assert_eq!(addr(&["http://a", "--inspect"], &[]), usual);
        assert_eq!(addr(&["--inspect", ":4041", "http://a"], &[]).as_deref(), Some("127.0.0.1:4041"));
        assert_eq!(addr(&["--inspect=[::1]:0", "http://a"], &[]).as_deref(), Some("[::1]:0"));
        assert_eq!(addr(&["http://a"], &[("AUTHTAP_INSPECT", "true")]), usual);
        assert_eq!(addr(&["http://a"], &[("AUTHTAP_INSPECT", "off")]), None);
        assert_eq!(addr(&["http://a"], &[("AUTHTAP_INSPECT", ":1")]).as_deref(), Some("127.0.0.1:1"));
        let file = file("inspect = true\ninspect-memory = \"8MiB\"\n");
        assert_eq!(addr(&["--config", file.path().to_str().unwrap(), "http://a"], &[]), usual);
        assert!(parsed(&["--inspect=4040", "http://a"], &[]).unwrap_err().contains(":4040"));
        let behind = parsed(&["http://a", "--", "curl", "--inspect", ":1"], &[]).unwrap().run.client;
        assert_eq!(behind, ["curl", "--inspect", ":1"]);
    }

    #[test]
    fn an_unknown_variable_is_named() {
        let names =
            ["PATH", "AUTHTAP_DRAIN", "AUTHTAP_TAPS", "AUTHTAP_URL_EDGE", "AUTHTAP_INSECUR"].map(OsString::from);
        assert_eq!(unknown_variables(names.into_iter()), ["AUTHTAP_INSECUR"]);
    }

    #[test]
    fn an_unknown_option_in_the_file_is_refused() {
        let file = file("drian = \"1s\"\n");
        let error = parsed(&["--config", file.path().to_str().unwrap()], &[]).unwrap_err();
        assert!(error.contains("\"drian\"") && error.contains("drain"), "{error}");
    }
}
