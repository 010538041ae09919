//! `authtap redirect`: the rules by which the kernel redirects connections to a transparent tap, and those that undo it.

use std::fmt::Write;

use crate::cli::{RedirectOptions, RulesProgram};
use crate::error::Error;

/// The longest name of a user that systems know.
const USER: usize = 32;

/// The commands, one a line, with remarks on what they do.
///
/// # Errors
/// A user whose name could be read as something else by a shell.
pub fn commands(options: &RedirectOptions) -> Result<String, Error> {
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '.' | '-');
    if let Some(user) = &options.user
        && (!user.starts_with(|char: char| char.is_ascii_alphanumeric() || char == '_')
            || user.len() > USER
            || !user.chars().all(plain))
    {
        return Err(Error::usage(format!("--user can't be {user:?}"))
            .advice("give the name or the number of the user as whom the tap runs"));
    }
    let mut text = if options.undo { String::new() } else { remarks(options) };
    let lines = match options.format {
        RulesProgram::Iptables => iptables(options),
        RulesProgram::Nft => nft(options),
    };
    for line in lines {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{line}");
    }
    Ok(text)
}

fn remarks(options: &RedirectOptions) -> String {
    let RedirectOptions { ports, to, user, mark, incoming, format, .. } = options;
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let (whose, but, option) = match (user, mark, incoming) {
        (_, _, true) => ("come to this machine", String::new(), " --incoming".to_owned()),
        (Some(user), ..) => {
            ("this machine makes", format!(", but for those of the user {user}"), format!(" --user {user}"))
        }
        (_, Some(mark), _) => {
            ("this machine makes", format!(", but for those with the mark {mark}"), format!(" --mark {mark}"))
        }
        _ => ("this machine makes", String::new(), String::new()),
    };
    let tap_mark = mark.map(|mark| format!(" --mark {mark}")).unwrap_or_default();
    let program = if *format == RulesProgram::Nft { " --format nft" } else { "" };
    format!(
        "# Connections to port {} that {whose} go to the tap{but}.\n\
         # The tap, for IPv4 and IPv6: authtap --transparent [::]:{to}{tap_mark}\n\
         # To undo it: authtap redirect {} --to {to}{option}{program} --undo\n",
        ports.join(", "),
        ports.join(" "),
    )
}

fn iptables(options: &RedirectOptions) -> Vec<String> {
    let RedirectOptions { ports, to, user, mark, incoming, undo, .. } = options;
    let chain = if *incoming { "PREROUTING" } else { "OUTPUT" };
    let which = match (user, mark) {
        (Some(user), _) => format!(" -m owner ! --uid-owner {user}"),
        (_, Some(mark)) => format!(" -m mark ! --mark {mark:#x}"),
        // What neighbours only have routed by this machine is not for it: the tap would connect them to wherever they like.
        _ if *incoming => " -m addrtype --dst-type LOCAL".to_owned(),
        _ => String::new(),
    };
    let rule = |program: &str, port: &u16| {
        let command = |act: &str| {
            format!("{program} -w -t nat {act} {chain} -p tcp --dport {port}{which} -j REDIRECT --to-ports {to}")
        };
        // Set twice it is there once, and what others set twice goes as well. The first one to be taken away says what fails.
        match undo {
            false => format!("{} 2>/dev/null || {}", command("-C"), command("-A")),
            true => format!("{} && while {} 2>/dev/null; do :; done", command("-D"), command("-D")),
        }
    };
    ["iptables", "ip6tables"].iter().flat_map(|program| ports.iter().map(|port| rule(program, port))).collect()
}

/// A table of its own for each port of a tap and each direction, so that undoing it takes away nothing else.
fn nft(options: &RedirectOptions) -> Vec<String> {
    let RedirectOptions { ports, to, user, mark, incoming, undo, .. } = options;
    let (hook, priority) = if *incoming { ("prerouting", "dstnat") } else { ("output", "-100") };
    let table = format!("inet authtap_{hook}_{to}");
    if *undo {
        return vec![format!("nft delete table {table}")];
    }
    let which = match (user, mark) {
        (Some(user), _) => format!("meta skuid != {user} "),
        (_, Some(mark)) => format!("meta mark != {mark:#x} "),
        _ if *incoming => "fib daddr type local ".to_owned(),
        _ => String::new(),
    };
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    vec![
        format!("nft add table {table}"),
        format!("nft add chain {table} to_tap '{{ type nat hook {hook} priority {priority}; }}'"),
        format!("nft add rule {table} to_tap {which}tcp dport '{{ {} }}' redirect to :{to}", ports.join(", ")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> RedirectOptions {
        RedirectOptions {
            ports: vec![80, 443],
            to: 15001,
            user: Some("authtap".to_owned()),
            mark: None,
            incoming: false,
            format: RulesProgram::Iptables,
            undo: false,
        }
    }

    /// The lines that are no remarks.
    fn rules(options: &RedirectOptions) -> Vec<String> {
        let text = commands(options).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn what_is_set_is_what_is_undone() {
        for (user, mark, incoming) in [(Some("1337"), None, false), (None, Some(7), false), (None, None, true)] {
            let set = RedirectOptions { user: user.map(str::to_owned), mark, incoming, ..options() };
            let undo = RedirectOptions { undo: true, user: user.map(str::to_owned), mark, incoming, ..options() };
            let set_rules = rules(&set);
            let undone: Vec<String> = set_rules
                .iter()
                .map(|line| {
                    let (check, add) = line.split_once(" 2>/dev/null || ").unwrap();
                    assert_eq!(check.replace(" -C ", " -A "), add);
                    let delete = add.replace(" -A ", " -D ");
                    format!("{delete} && while {delete} 2>/dev/null; do :; done")
                })
                .collect();
            assert_eq!(rules(&undo), undone);
            assert_eq!(undone.len(), 4, "two ports, for two families");
            assert!(set_rules.iter().all(|line| line.contains("--dst-type LOCAL") == incoming), "{set_rules:?}");
            let remark = commands(&set).unwrap();
            let command = remark.lines().find_map(|line| line.strip_prefix("# To undo it: authtap redirect ")).unwrap();
            assert!(command.ends_with("--undo") && command.starts_with("80 443 --to 15001"), "{command}");
        }
    }

    #[test]
    fn a_user_is_nothing_that_a_shell_acts_on() {
        for user in ["", "a b", "$(id)", "a;b", "-x", "a\nb", "!a", &"a".repeat(33)] {
            let options = RedirectOptions { user: Some(user.to_owned()), ..options() };
            assert!(commands(&options).is_err(), "{user:?}");
        }
    }
}
